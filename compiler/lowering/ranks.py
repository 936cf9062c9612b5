"""ranks: the pairs that the terms of a program state and that its ranges visit, as sets, for confirm.

A pair is (c, a, b): the class of the query, and the ranks of query and key. Where all orders are natural and ranges run
over the rows of a grid, it is (c, the digits of a, those of b): what is hard to prove of ranks is easy there
(``relations/digits.py``). So are pairs of tokens, where orders are boxes of a grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_
from typing import TypeAlias

from ..passes.placement import SPACE
from ..passes.program import NATURAL, Fan, Kernel, Program, Range, Term, Tile, on_diagonals, range_variables
from ..relations.digits import Digits
from ..relations.formula import condition
from ..relations.integer import All, Binary, Compare, Const, Expr, Predicate, Select, Var, joined, substitute, variables
from ..relations.isl.context import quote
from ..relations.isl.presburger import IntegerSet
from ..relations.relation import KEY, QUERY

Rest: TypeAlias = Callable[[IntegerSet], IntegerSet]
"""What is left of some pairs of a term."""


@dataclass(frozen=True)
class Visits:
    """The pairs in the tiles of a range, or on its diagonals: those within all ``limits``. ``twice``: whether two steps
    of a fan have a tile in common. ``rests``: each leaves of some pairs no fewer than are not visited, and all of them
    in turn those that are at no step that is meant for them."""

    limits: tuple[IntegerSet, ...]
    twice: bool
    rests: tuple[Rest, ...]

    @cached_property
    def pairs(self) -> IntegerSet:
        return reduce(and_, self.limits)


def all_visited(pairs: IntegerSet, visits: Sequence[Visits]) -> bool:
    """Whether some visit has each of the pairs."""
    left = pairs
    for rest in (rest for each in visits for rest in each.rests):
        left = rest(left)
    return left.empty


class Ranks:
    """Of a program, as it was read back, whose pairs of tokens are to be ``meaning``."""

    def __init__(self, program: Program, meaning: IntegerSet) -> None:
        self.program, self._lengths = program, program.lengths
        self._digits = _digits(program, meaning)
        self._of_tokens = self._digits or _of_boxes(program, meaning)
        self._visits: dict[tuple[int, Range, str], Visits] = {}

    @cached_property
    def _speaks(self) -> list[bool]:
        """Of each term whether a range or its mask speaks of a length."""
        kernels = (*self.program.forward, *self.program.backward)
        spoken = (
            variables(term.keep).union(*map(range_variables, ranges_of(kernels, index)))
            for index, term in enumerate(self.program.terms)
        )
        return [not names.isdisjoint(self._lengths) for names in spoken]

    def kept(self, index: int) -> IntegerSet:
        """The pairs that the mask of a term keeps."""
        return self.where(index, condition(self.program.terms[index].keep, "v_c"))

    def visits(self, index: int, span: Range, side: str) -> Visits:
        """What a range visits of a term."""
        key = index, span, side
        if key not in self._visits:
            self._visits[key] = self._found(index, span, side)
        return self._visits[key]

    def where(self, index: int, formula: str) -> IntegerSet:
        """The pairs of a term with a formula over SPACE."""
        return self._written(self._space(index, SPACE, formula))

    def as_tokens(self, index: int, ranks: IntegerSet) -> IntegerSet:
        """Pairs of a term as those of tokens that exist, to be compared with ``tokens``."""
        formula = tokens_of(self.program, self.program.terms[index])
        if self._digits is None:
            return self.tokens(ranks.image((QUERY, KEY), formula, self._lengths))
        there = IntegerSet.parse(SPACE, f"v_c = 0 and exists (v_i, v_j : {formula})", self._lengths)
        return (ranks & self._written(there)).onto(ranks.dims[1:])

    def tokens(self, pairs: IntegerSet) -> IntegerSet:
        """Pairs of tokens, over (i, j), as ``as_tokens`` has them."""
        return pairs if self._of_tokens is None else self._of_tokens.write(pairs.rename({QUERY: "a", KEY: "b"}))

    def smallest(self, tokens: IntegerSet) -> dict[str, int] | None:
        """The first of such pairs, at the least length that has one."""
        if self._of_tokens is not None and QUERY not in tokens.dims:
            tokens = self._of_tokens.read(tokens).rename({"a": QUERY, "b": KEY})
        return tokens.smallest(self._lengths)

    def _written(self, ranks: IntegerSet) -> IntegerSet:
        return ranks if self._digits is None else self._digits.write(ranks)

    def _space(self, index: int, dims: tuple[str, ...], formula: str) -> IntegerSet:
        """Only where a range or mask of the term speaks of a length must the tokens lie below it: without, the claim is
        made for all ranks, which is more."""
        term = self.program.terms[index]
        exist = " and ".join(f"{quote(length)} >= 1" for length in self._lengths)
        existing = f"exists (v_i, v_j : {tokens_of(self.program, term)})"
        tokens = existing if self._speaks[index] else exist
        ranks = f"0 <= v_c < {term.query.classes} and v_a >= 0 and v_b >= 0"
        return IntegerSet.parse(dims, f"{ranks} and {tokens} and {formula}", (*self._lengths, "T"))

    def _found(self, index: int, span: Range, side: str) -> Visits:
        bounds = _bounds(span, side)
        if span.fan is None or span.diagonal:
            pairs = self.where(index, self._of_tiles(index, bounds, side))
            if span.fan is None:
                return Visits((pairs,), False, (self._rest(index, bounds.parts, side),))
            return Visits((pairs,), self._again(index, span, side), (lambda left: left - pairs,))
        own = _own_step(span.fan, side)
        at_own = [substitute(bound, {"d": own}) for bound in bounds.parts]
        if self._digits is not None and not self._strays(index, bounds, own, side):
            limits = tuple(self.where(index, self._of_tiles(index, bound, side)) for bound in at_own)
            return Visits(limits, False, (self._rest(index, at_own, side),))
        # The step that is meant for a tile, and the one before, or behind, where an end may leave it tiles. All that is
        # visited would be more, but too hard to take away: which step visits a tile is no simple function.
        signs = "-+" if isinstance(span.hi, Select) else "-"
        beside = ([substitute(bound, {"d": Binary(sign, own, Const(1))}) for bound in bounds.parts] for sign in signs)
        steps = (at_own, *beside)
        pairs = self.where(index, self._of_tiles(index, bounds, side))
        return Visits((pairs,), self._again(index, span, side), tuple(self._rest(index, step, side) for step in steps))

    def _rest(self, index: int, bounds: Sequence[Predicate], side: str) -> Rest:
        """Of some pairs of a term those that are in no tile within bounds, which speak of no step. What lies beyond
        each bound is written down: to take the tiles away, isl would have to find that out, piece by piece."""

        def rest(left: IntegerSet) -> IntegerSet:
            if left.empty:
                return left
            beyond = (self.where(index, self._of_tiles(index, _beyond(each), side)) for each in bounds)
            return IntegerSet.union([left & each for each in beyond])

        return rest

    def _strays(self, index: int, bounds: Predicate, own: Expr, side: str) -> bool:
        """Whether a fan visits some tile at another step than the one that is meant for it."""
        visited = self._joined(index, bounds, side)
        apart = (All((visited, Compare(operator, Var("d"), own))) for operator in "<>")
        return any(not self._written(self._space(index, (*SPACE, "d"), condition(each))).empty for each in apart)

    def _of_tiles(self, index: int, bounds: Predicate, side: str) -> str:
        """The pairs of ranks in the tiles within bounds."""
        if self._digits is not None:
            return f"exists (v_d : {condition(self._joined(index, bounds, side))})"
        # The kernel's own c is the class of the stationary side; a mask always speaks of the query class.
        term = self.program.terms[index]
        own_class, tile = "v_c" if side == "forward" else key_class(term), tile_of(self.program, term)
        tiles = f"v_I = floor(v_a / {tile.query}) and v_J = floor(v_b / {tile.key})"
        return f"exists (v_I, v_J, v_d : {tiles} and {condition(bounds, own_class)})"

    def _joined(self, index: int, bounds: Predicate, side: str) -> Predicate:
        """Bounds of tiles as those of the ranks in them, in natural order, whose divisions are those of the digits."""
        tile = tile_of(self.program, self.program.terms[index])
        tiles = {"I": Binary("//", Var("a"), Const(tile.query)), "J": Binary("//", Var("b"), Const(tile.key))}
        return joined(substitute(bounds, tiles))

    def _again(self, index: int, span: Range, side: str) -> bool:
        """Whether some tile, or diagonal of one, is in two steps of a fan."""
        classes = self.program.terms[index].query.classes
        exist = " and ".join(f"{quote(length)} >= 1" for length in self._lengths)
        ranks = f"0 <= v_c < {classes} and v_I >= 0 and v_J >= 0 and {exist}"
        seen = ("a", "b") if span.diagonal else ()
        formula = f"{ranks} and {condition(_bounds(span, side), 'v_c')}"
        tiles = IntegerSet.parse(("c", "I", "J", *seen, "d"), formula, (*self._lengths, "T"))
        dims = (*tiles.dims, "e")
        later = tiles.rename({"d": "e"}).onto(dims) & IntegerSet.parse(dims, "v_d < v_e")
        return not (tiles.onto(dims) & later).empty


def _digits(program: Program, meaning: IntegerSet) -> Digits | None:
    """Those of rows, tiles and the pattern, where it is of use to write ranks by digits."""
    spans = ranges_of((*program.forward, *program.backward))
    rows = [span.fan.row for span in spans if span.fan and not span.diagonal]
    tiles = [tile_of(program, term) for term in program.terms]
    if not rows or any((term.query, term.key) != (NATURAL, NATURAL) for term in program.terms):
        return None
    return Digits.of([*rows, *(side for tile in tiles for side in (tile.query, tile.key)), *meaning.moduli])


def _of_boxes(program: Program, meaning: IntegerSet) -> Digits | None:
    """Those of tokens in the boxes of a grid: the columns of a box, the rows, the planes; and what the pattern says of
    them, where these are a chain."""
    orders = [order for term in program.terms for order in (term.query, term.key) if order.tiled]
    if not orders:
        return None
    widths = [order.digits[axis][1] for order in orders for axis in range(1, len(order.box))]
    grid = [*widths, min(order.box[0] for order in orders)]
    return Digits.of([*grid, *meaning.moduli]) or Digits.of(grid)


def ranges_of(kernels: tuple[Kernel, ...], index: int | None = None) -> list[Range]:
    """The ranges in these kernels, of one term or of all."""
    sweeps = (sweep for kernel in kernels for sweep in kernel.sweeps if index in (None, sweep.term))
    return [span for sweep in sweeps for span in sweep.ranges]


def tokens_of(program: Program, term: Term) -> str:
    """That i and j are the tokens of a pair of ranks, and exist."""
    query, key = term.query.formula("v_c", "v_a"), term.key.formula(key_class(term), "v_b")
    queries, keys = program.lengths[0], program.lengths[-1]
    return f"v_i = {query} and v_j = {key} and 0 <= v_i < {quote(queries)} and 0 <= v_j < {quote(keys)}"


def tile_of(program: Program, term: Term) -> Tile:
    return term.tile or program.tile


def key_class(term: Term) -> str:
    return term.turn.formula("v_c", term.key.classes)


def _own_step(fan: Fan, side: str) -> Expr:
    """Of a pair of ranks the step that is meant for it."""
    a, b = (Binary("//", Var(name), Const(fan.row)) for name in ("a", "b"))
    return Binary("-", b, a) if side == "forward" else Binary("-", a, b)


def _beyond(bound: Predicate) -> Compare:
    """Where a bound of tiles does not hold, with the sign that bounds have."""
    assert isinstance(bound, Compare)
    return Compare("<" if bound.operator == "<=" else "<=", bound.right, bound.left)


def _bounds(span: Range, side: str) -> All:
    if span.diagonal:
        return on_diagonals(span)
    swept = Var("J" if side == "forward" else "I")
    bounds = (Compare("<=", span.lo, swept), Compare("<", swept, span.hi), Compare("<", swept, Var("T")))
    if span.fan is None:
        return All(bounds)
    return All((*bounds, Compare("<=", span.fan.first, Var("d")), Compare("<", Var("d"), span.fan.last)))
