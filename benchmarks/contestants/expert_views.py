"""Patterns cut by hand into views that torch's flash attention takes without a mask: the expert's work, per pattern.

Within a piece no two queries and no two keys coincide, so that a gradient is added through the same views. Pieces of a
pattern are disjoint and cover it; the first one has every query. All tensors are [H, n, D] here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cases import Case
from torch import Tensor

from .contestant import CannotRun

View = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Piece:
    """Queries and keys as views [groups, groups, rows, D]. ``flip``: key a sees query b from a >= b on, which is causal
    once both are reversed. ``packed``: ``keys`` is a view of the packed keys."""

    queries: View
    keys: View
    causal: bool = False
    flip: bool = False
    packed: bool = False


@dataclass(frozen=True, slots=True)
class Composition:
    """``pack``: a view of the keys that no single stride describes, copied once and then read as [H, keys, D]."""

    pieces: tuple[Piece, ...]
    pack: View | None = None


def compose(case: Case, n: int) -> Composition:
    """Raises CannotRun where nobody has written it, or not for this length."""
    numbers = case.numbers
    match case.kind:
        case "strided":
            stride = _divides(numbers["l"], n)
            return Composition((*_window(stride), _behind(stride)))
        case "fixed":
            return _fixed(_divides(numbers["l"], n), numbers["c"], n)
        case "window":
            return Composition(_window(_divides(numbers["w"], n)))
        case "streaming":
            return Composition((*_window(_divides(numbers["w"], n)), *_sinks(numbers["sink"], numbers["w"], n)))
        case "longformer":
            return _longformer(_divides(numbers["w"], n), n)
        case "block_longformer":
            return _block_longformer(_divides(numbers["block"], n))
        case "dense":
            raise CannotRun("it is dense attention, which takes part as such")
    raise CannotRun("no views compose it: blocks are drawn at random")


def _divides(part: int, n: int) -> int:
    if n % part or n < 2 * part:
        raise CannotRun(f"written for multiples of {part} from {2 * part} on, and n = {n}")
    return part


def _blocks(x: Tensor, size: int) -> Tensor:
    return x.unflatten(1, (-1, size))


def _residues(x: Tensor, size: int) -> Tensor:
    return _blocks(x, size).transpose(1, 2)


def _window(w: int) -> tuple[Piece, ...]:
    """i - j < w: of a query's own block of w what is not later, and of the block before what is less than w behind."""
    own = Piece(lambda x: _blocks(x, w), lambda x: _blocks(x, w), causal=True)
    before = Piece(lambda x: _blocks(x, w)[:, 1:, :-1], lambda x: _blocks(x, w)[:, :-1, 1:], causal=True, flip=True)
    return own, before


def _behind(stride: int) -> Piece:
    """What lies a multiple of the stride behind: in each residue class, what is earlier."""
    return Piece(lambda x: _residues(x, stride)[:, :, 1:], lambda x: _residues(x, stride)[:, :, :-1], causal=True)


def _sinks(sink: int, w: int, n: int) -> tuple[Piece, ...]:
    """The first keys for queries whose window has left them: one after another for the next ``sink`` queries."""
    leaving = Piece(lambda x: x[:, None, w : w + sink], lambda x: x[:, None, :sink], causal=True)
    left = Piece(lambda x: x[:, None, w + sink :], lambda x: x[:, None, :sink])
    return leaving, left


def _fixed(side: int, c: int, n: int) -> Composition:
    """Own block, and the packed summaries of all blocks before, without a mask by halving: of each group of 2 s blocks
    the second half sees the summaries of the first, for s = 1, 2, 4, ..."""
    count = n // side
    if count & (count - 1):
        raise CannotRun(f"written for {side} times a power of two, and n = {n}")
    own = Piece(lambda x: _blocks(x, side), lambda x: _blocks(x, side), causal=True)
    halves = (_half(side << level, c << level) for level in range(count.bit_length() - 1))
    return Composition((own, *halves), pack=lambda x: _blocks(x, side)[:, :, side - c :])


def _half(rows: int, keys: int) -> Piece:
    return Piece(lambda x: _blocks(x, 2 * rows)[:, :, rows:], lambda x: _blocks(x, 2 * keys)[:, :, :keys], packed=True)


def _longformer(w: int, n: int) -> Composition:
    """|i - j| <= w by own block, the one before and the one after; then row and column 0 beyond the band."""
    own = Piece(lambda x: _blocks(x, w), lambda x: _blocks(x, w))
    before = Piece(lambda x: _blocks(x, w)[:, 1:], lambda x: _blocks(x, w)[:, :-1], causal=True, flip=True)
    after = Piece(lambda x: _blocks(x, w)[:, :-1], lambda x: _blocks(x, w)[:, 1:], causal=True)
    column = Piece(lambda x: x[:, None, w + 1 :], lambda x: x[:, None, :1])
    row = Piece(lambda x: x[:, None, :1], lambda x: x[:, None, w + 1 :])
    return Composition((own, before, after, column, row))


def _block_longformer(b: int) -> Composition:
    own = Piece(lambda x: _blocks(x, b), lambda x: _blocks(x, b))
    before = Piece(lambda x: _blocks(x, b)[:, 1:], lambda x: _blocks(x, b)[:, :-1])
    after = Piece(lambda x: _blocks(x, b)[:, :-1], lambda x: _blocks(x, b)[:, 1:])
    column = Piece(lambda x: x[:, None, 2 * b :], lambda x: x[:, None, :b])
    row = Piece(lambda x: x[:, None, :b], lambda x: x[:, None, 2 * b :])
    return Composition((own, before, after, column, row))


def keys_of_last(case: Case, n: int) -> list[View] | None:
    """Views of a cache [B, H, n, D] that hold the keys of the last query, once each; None where nobody has written
    it."""
    numbers = case.numbers
    match case.kind:
        case "strided":
            stride = numbers["l"]
            return [lambda x: x[:, :, n - stride :], lambda x: x[:, :, (n - 1) % stride : n - stride : stride]]
        case "fixed":
            side, c = numbers["l"], numbers["c"]
            first = (n - 1) // side * side
            earlier = lambda x: x[:, :, :first].unflatten(2, (-1, side))  # noqa: E731
            return [lambda x: x[:, :, first:], lambda x: earlier(x)[..., side - c :, :].flatten(2, 3)]
        case "window":
            return [lambda x: x[:, :, n - numbers["w"] :]]
        case "streaming":
            return [lambda x: x[:, :, : numbers["sink"]], lambda x: x[:, :, n - numbers["w"] :]]
    return None
