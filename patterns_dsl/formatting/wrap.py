"""wrap: statements that are too long for a line become several, each a part of an expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .words import Word, line

WIDTH = 120
"""Columns of a line, comments not counted."""

INDENT = 4

_OPERATORS = ("OR", "AND", "VBAR", "AMPERSAND", "LESS AT_MOST MORE AT_LEAST UNEQUAL", "PLUS MINUS", "AT STAR DIV MOD")
"""What a line breaks before, the loosest first. An `=` is not among them: most define what stands before them."""

_RANKS = {kind: rank for rank, kinds in enumerate(_OPERATORS) for kind in kinds.split()}

_ONE_A_LINE = frozenset({"OR", "AND", "VBAR", "AMPERSAND"})
"""The operators whose operands get a line each."""


@dataclass(frozen=True, slots=True)
class Part:
    """The words of one line."""

    indent: int
    words: tuple[Word, ...]

    @property
    def fits(self) -> bool:
        return self.indent + len(line(self.words)) <= WIDTH


def wrap(words: Sequence[Word], indent: int, deeper: int = INDENT, head: int = 0) -> list[Part]:
    """The words on as many lines as they need. Further lines stand ``deeper`` than the first.

    A line is broken outside its brackets where it can be: before all of its loosest operators, or at as few commas and
    arithmetic signs as do; within the first ``head`` words only where it cannot be elsewhere. What cannot be broken
    stays too long.
    """
    part = Part(indent, tuple(words))
    if part.fits:
        return [part]
    pieces = _pieces(part.words, head)
    if len(pieces) == 1:
        return [part]
    if pieces[1][0].kind not in _ONE_A_LINE:
        pieces = _filled(pieces, indent, deeper)
    parts = wrap(pieces[0], indent, deeper + INDENT, head)  # deeper than the pieces after it
    for piece in pieces[1:]:
        parts += wrap(piece, indent + deeper)
    return parts


def _pieces(words: Sequence[Word], head: int) -> list[Sequence[Word]]:
    """The words, cut at all the places where they part most easily."""
    places = dict[tuple[bool, int, int], list[int]]()  # by whether in the head, depth and rank
    for place, word in enumerate(words):
        if word.kind == "COMMA" and place + 1 < len(words):
            # In brackets nothing is looser than a comma. Outside there are those of lengths: `... at nq = 8, nk = 4`.
            rank = -1 if word.depth else len(_RANKS)
            places.setdefault((place < head, word.depth, rank), []).append(place + 1)
        elif word.kind in _RANKS and place:
            places.setdefault((place < head, word.depth, _RANKS[word.kind]), []).append(place)
    cuts = [0, *(places[min(places)] if places else []), len(words)]
    return [words[start:end] for start, end in pairwise(cuts)]


def _filled(pieces: Sequence[Sequence[Word]], indent: int, deeper: int) -> list[Sequence[Word]]:
    """The pieces, as many in a line as fit."""
    lines = list[Sequence[Word]]()
    for piece in pieces:
        joined = [*lines[-1], *piece] if lines else piece
        if lines and Part(indent + deeper * (len(lines) > 1), tuple(joined)).fits:
            lines[-1] = joined
        else:
            lines.append(piece)
    return lines
