"""What was selected, as tables that an engine reads. Never a table of every query by every key.

G is the number of groups that choose separately: heads, key heads, or 1; query head h follows group h // (Hq / G).
A log-gate is added to a score. Of a hard choice it is 0, with the gradient that the selector states; of a soft one it
is log p. Where nothing is selected it is -inf. ``density`` [B, G] is what was realised, of the pairs that the direction
allows and whose tokens exist; it is differentiable where the number of choices is learned.

``first``: in a text that grows, the query at which the tables begin, a multiple of their block or tile; earlier queries
have chosen before, and the density is of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

from torch import Tensor

from ...patterns_dsl.syntax import Direction


@dataclass(frozen=True, slots=True)
class TokenSelection:
    """A set of tokens, as columns and as rows: ``importance`` and ``topk``.

    until int64 [B, G, Nk]: key j is read by the queries i < until[j], in a causal pattern those from j on; 0: by none.
    column_gate [B, G, Nk]. rows bool [B, G, Nq]: these queries read every key; None where there are only columns.
    row_gate [B, G, Nq] with it. A pair in a row and a column is the column's.
    """

    direction: Direction
    until: Tensor
    column_gate: Tensor
    rows: Tensor | None
    row_gate: Tensor | None
    density: Tensor


@dataclass(frozen=True, slots=True)
class BlockSelection:
    """Key blocks for each block of queries: ``topk_blocks``.

    blocks int64 [B, G, query blocks, slots], rising, with -1 behind the last, out of ``key_blocks``; log_gate of the
    same shape. In a causal pattern the block of the queries themselves is cut at the diagonal.

    probed int64 [B, G, query blocks, probes], -1 for none: blocks that are not read, whose gates are 0; probe_gate of
    the same shape, all 0, gets the gradient that each gate would have.
    """

    direction: Direction
    block: int
    key_blocks: int
    blocks: Tensor
    log_gate: Tensor
    density: Tensor
    probed: Tensor | None = None
    probe_gate: Tensor | None = None
    first: int = 0


@dataclass(frozen=True, slots=True)
class KeySelection:
    """Keys for each tile of queries: ``topk_keys``.

    keys int64 [B, G, tiles, slots], out of ``key_count``, with -1 in slots that hold none; until int64 and log_gate of
    the same shape: the queries of the tile with i < until read the key, in a causal pattern those with j <= i.
    ``diagonal``: every query reads its own key, ungated, and no slot stands for that pair.
    """

    direction: Direction
    tile: int
    key_count: int
    diagonal: bool
    keys: Tensor
    until: Tensor
    log_gate: Tensor
    density: Tensor
    first: int = 0


SKIP, COARSE, MEDIUM, FINE = range(4)
LEVELS = ("skip", "coarse", "medium", "fine")
"""A level's number is its place here, whatever the levels of a declaration are."""


@dataclass(frozen=True, slots=True)
class LevelSelection:
    """A level for each pair of blocks: ``granularity``.

    level uint8 [B, G, query blocks, key blocks]; log_gate of the same shape. coarse: the block is one summary; medium:
    one for every 4 tokens; a summary is the mean key and the mean value of its m tokens, and log m is added to its
    score. ``density`` is the realised cost, in dense attention: 1/block for coarse, 1/4 for medium, 1 for fine.
    """

    direction: Direction
    block: int
    level: Tensor
    log_gate: Tensor
    density: Tensor
    first: int = 0


@dataclass(frozen=True, slots=True)
class SummarySelection:
    """Summaries of ``size`` tokens each: ``pooled``. Nothing is learned.

    keys and values [B, Hkv, P, D]; log_size, added to every score; visible_from int64 [P]: the first query that reads
    the summary; counts int64 [B]: how many of the P are complete.
    """

    direction: Direction
    size: int
    keys: Tensor
    values: Tensor
    log_size: float
    visible_from: Tensor
    counts: Tensor
    density: Tensor


@dataclass(frozen=True, slots=True)
class TermGate:
    """A factor for a whole term, per head: ``gated R``. log_gate [H], -inf where it is closed."""

    log_gate: Tensor


Selection: TypeAlias = TokenSelection | BlockSelection | KeySelection | LevelSelection | SummarySelection | TermGate


TABLES = ("blocks", "log_gate", "probed", "probe_gate", "keys", "until", "level")
"""Fields with a row for each block or tile of queries."""


def tile_of(selection: Selection) -> int:
    """How many queries choose together."""
    match selection:
        case BlockSelection(block=tile) | LevelSelection(block=tile) | KeySelection(tile=tile):
            return tile
        case _:
            return 1


def begun(selection: Selection, first: int) -> Selection:
    """With the queries from ``first`` on alone, a multiple of its tile, where it chooses for tiles of them."""
    if not isinstance(selection, BlockSelection | KeySelection | LevelSelection) or first == selection.first:
        return selection
    rows = (first - selection.first) // tile_of(selection)
    values = {name: getattr(selection, name, None) for name in TABLES}
    cut: dict[str, Any] = {name: x[:, :, rows:] for name, x in values.items() if x is not None}
    return replace(selection, first=first, **cut)


def changed(selection: Selection, change: Callable[[Tensor], Tensor]) -> Selection:
    """With each of its tensors changed."""
    values: dict[str, Any] = {each.name: getattr(selection, each.name) for each in fields(selection)}
    own: dict[str, Any] = {name: change(x) for name, x in values.items() if isinstance(x, Tensor)}
    return replace(selection, **own)


def without_gradient(selection: Selection) -> Selection:
    """The same choice, and no gradient through it to what made it; that of summaries is the tokens' own, and stays."""
    return selection if isinstance(selection, SummarySelection) else changed(selection, Tensor.detach)
