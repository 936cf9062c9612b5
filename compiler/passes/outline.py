"""outline: the tiles of a term as seen from afar: a few convex pieces that hold them all.

Seen over the rationals, the tiles of a term need no divisions. What a division said is kept by *marks*: for each
modulus m of the term, the rows of m ranks in which the first and the last rank of the stationary tile lie. Where a row
is a whole number of tiles both are one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from operator import and_, ge, le

from ..relations.integer import Binary, Const, Expr, Var
from ..relations.isl.presburger import IntegerSet
from ..relations.shadow import shadow
from .placement import Placement, known_of, seen_from
from .program import Tile


@dataclass(frozen=True)
class Outline:
    """``tiles`` is over ``dims``: the class, the stationary tile, its marks, with rows the difference d between the
    row of the swept rank and that of the stationary one, and the swept tile. ``known`` holds of all but d and the
    latter; ``marks`` are functions of the stationary tile. ``row`` is the one mark of the row, if it has one; the
    ``coarser`` marks are those of moduli of at least a row, the ``finer`` ones of at most a row.
    """

    tiles: IntegerSet
    known: IntegerSet
    marks: Mapping[str, Expr]
    row: str | None
    coarser: tuple[str, ...]
    finer: tuple[str, ...]

    @property
    def dims(self) -> tuple[str, ...]:
        return self.tiles.dims


def outline(placement: Placement, tile: Tile, still: str, swept: str, most_marks: int) -> Outline:
    """The outline of a placement that holds some pair, with the largest of its moduli marked."""
    size = tile.query if still == "I" else tile.key
    largest = sorted(placement.pairs.moduli, reverse=True)[:most_marks]
    own_row = {placement.row} - {0}
    moduli = sorted({*largest, *own_row})
    marks = {name: value for m in moduli for name, value in _marks(m, size, still)}
    dims = ("c", still, *marks, *(("d",) if placement.row else ()), swept)
    # What a constraint loses differs with what is marked.
    pairs = seen_from(still, placement.present, placement)
    views = [_seen(pairs, placement.row, tile, still, swept, chosen) for chosen in {(*moduli,), (*own_row,)}]
    pieces = [reduce(and_, (view.onto(dims) for view in of_piece)) for of_piece in zip(*views, strict=True)]
    formula = " and ".join(part for m in moduli for part in _known_marks(m, size, still)) or "true"
    known = known_of(placement, still).image(("c", still, *marks), formula)
    coarser, finer = (
        tuple(name for m in moduli if keep(m, placement.row) for name, _ in _marks(m, size, still)) for keep in (ge, le)
    )
    row = f"f{placement.row}" if placement.row and placement.row % size == 0 else None
    return Outline(IntegerSet.union(pieces), known, marks, row, coarser, finer)


@lru_cache(maxsize=256)  # at a glance and closely
def _seen(
    pairs: IntegerSet, row: int, tile: Tile, still: str, swept: str, moduli: tuple[int, ...]
) -> tuple[IntegerSet, ...]:
    """The shadows of the tiles of each piece, in which the marks of some moduli play a part."""
    size, own, other = (tile.query, "a", "b") if still == "I" else (tile.key, "b", "a")
    marks = (name for m in moduli for name, _ in _marks(m, size, still))
    dims = ("c", still, *marks, *(("d",) if row else ()), swept)
    formulas = [f"v_I = floor(v_a / {tile.query})", f"v_J = floor(v_b / {tile.key})"]
    for m in moduli:
        formulas += [f"v_r{m} = floor(v_{own} / {m})", f"v_s{m} = floor(v_{other} / {m})", _between(m, size)]
    formulas += [f"v_d = v_s{row} - v_r{row}"] if row else []
    rows = (f"{side}{m}" for side in "rs" for m in moduli)
    spread, formula = ("a", "b", *rows, *dims), " and ".join(formulas)
    return tuple(shadow(piece.image(spread, formula), dims, first=("a", "b")) for piece in pairs.disjuncts())


def _marks(m: int, size: int, still: str) -> Iterator[tuple[str, Expr]]:
    """The rows of the first and of the last rank of a tile."""
    first = Binary("*", Const(size), Var(still))
    yield f"f{m}", Binary("//", first, Const(m)) if m % size else Binary("//", Var(still), Const(m // size))
    if m % size:
        yield f"l{m}", Binary("//", Binary("+", first, Const(size - 1)), Const(m))


def _known_marks(m: int, size: int, still: str) -> Iterator[str]:
    """What marks are, without divisions."""
    yield f"{m} * v_f{m} <= {size} * v_{still} < {m} * v_f{m} + {m}"
    if m % size:
        yield f"{m} * v_l{m} <= {size} * v_{still} + {size - 1} < {m} * v_l{m} + {m}"


def _between(m: int, size: int) -> str:
    """Where the row of a rank of the tile lies. That marks are functions of the tile is left out, so that none of this
    is dropped as needless."""
    return f"v_f{m} <= v_r{m} <= v_l{m}" if m % size else f"v_f{m} = v_r{m}"
