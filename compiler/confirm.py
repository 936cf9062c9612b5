"""confirm: read the emitted program back as a set of pairs, and prove that it is the pattern.

What is read is the text of the generated kernels, not the values that the passes handed to each other: a wrong range,
mask, order or a lost loop, wherever it came from, makes the sets differ. Proved for every length at once:

    1. each kernel visits every pair of its terms exactly once: the tiles or diagonals of a sweep's ranges cover the
       term's mask, do not meet, and where a range is unmasked all of its pairs belong to it; forward and backward;
    2. the terms, mapped back to tokens, are disjoint and their union is the pattern.

The softmax arithmetic inside a tile is not part of this proof; the tests compare it with the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product

from .kernels.read import read
from .passes.placement import SPACE
from .passes.program import Fan, Kernel, Order, Program, Range, Term, Tile, on_diagonals, range_variables
from .relations.context import budget, quote
from .relations.formula import condition
from .relations.integer import All, Binary, Compare, Const, Predicate, Var, substitute, variables
from .relations.presburger import IntegerSet
from .relations.relation import KEY, QUERY, Relation

_OPERATIONS = 20_000_000


class Unconfirmed(RuntimeError):
    """The emitted program is not the pattern: a bug in the compiler, never in the pattern."""


def confirm(source: str, meaning: Relation) -> None:
    """Raises Unconfirmed, with a pair that shows the difference, unless the kernels compute exactly ``meaning``;
    BudgetExceeded where that is too hard to decide."""
    program = read(source)
    with budget(_OPERATIONS):
        stated = [_stated(program, index) for index in range(len(program.terms))]
        for side, kernels in (("forward", program.forward), ("backward", program.backward)):
            _visited_once(program, stated, kernels, side)
        _partition(program, stated, meaning)


def _stated(program: Program, index: int) -> IntegerSet:
    """The ranks (c, a, b) of a term: those of its mask, or, where no range is masked, those that forward visits."""
    term = program.terms[index]
    if any(span.masked for span in _ranges((*program.forward, *program.backward), index)):
        return _space(program, index, condition(term.keep, "v_c"))
    visited = _space(program, index, "0 = 1")
    for span in _ranges(program.forward, index):
        visited = visited | _space(program, index, _visited(program, term, span, "forward")).for_some("T")
    return visited


def _ranges(kernels: tuple[Kernel, ...], index: int) -> list[Range]:
    """The ranges of a term in these kernels."""
    return [span for kernel in kernels for sweep in kernel.sweeps if sweep.term == index for span in sweep.ranges]


def _partition(program: Program, stated: list[IntegerSet], meaning: Relation) -> None:
    """The terms are disjoint and their union is the pattern."""
    tokens = {
        index: ranks.image((QUERY, KEY), _tokens(program, term), program.lengths)
        for index, (term, ranks) in enumerate(zip(program.terms, stated, strict=True))
        if not _tiled(term)
    }
    for (one, left), (two, right) in combinations(tokens.items(), 2):
        _empty(left & right, program, f"terms {one} and {two} share a pair")
    missing = meaning.pairs
    for index, term in tokens.items():
        _empty(term - meaning.pairs, program, f"term {index} computes a pair that the pattern does not have")
        missing = missing - term
    if len(tokens) < len(stated):
        missing = _missing_in_boxes(program, stated, missing)
    _empty(missing, program, "no term computes a pair of the pattern")


def _tiled(term: Term) -> bool:
    return term.query.tiled or term.key.tiled


def _missing_in_boxes(program: Program, stated: list[IntegerSet], missing: IntegerSet) -> IntegerSet:
    """What the terms in tiled orders leave of the missing pairs. It is asked in the ranks of these orders, one pair of
    orders after the other: as tokens their pairs are hard to compare with others."""
    boxes: dict[tuple[Order, Order], list[int]] = {}
    for index, term in enumerate(program.terms):
        if _tiled(term):
            boxes.setdefault((term.query, term.key), []).append(index)
    for one, two in combinations(boxes.values(), 2):
        for pair in product(one, two):
            left, right = (_as_tokens(program, program.terms[index], stated[index]) for index in pair)
            _empty(left & right, program, f"terms {pair[0]} and {pair[1]} share a pair")
    left = missing
    for orders, indices in boxes.items():
        term = program.terms[indices[0]]
        existing, ranked = _existing(program, term), _as_ranks(program, term, missing)
        for first, second in combinations(indices, 2):
            shared = stated[first] & stated[second] & existing
            _empty(shared, program, f"terms {first} and {second} share a pair of ranks")
        for index in indices:
            if not (stated[index] & existing) <= ranked:
                raise Unconfirmed(f"term {index} computes a pair that the pattern does not have, or another term has")
        others = left & _without_ranks(program, *orders)
        ranked = _as_ranks(program, term, left) - IntegerSet.union([stated[index] for index in indices])
        left = _as_tokens(program, term, ranked) | others
    return left


def _without_ranks(program: Program, query: Order, key: Order) -> IntegerSet:
    """The tokens that have no rank in two orders, of which those that are tiled have all from their first one on."""
    for order in (query, key):
        whole = (order.period, order.classes) == (order.count, 1) if order.tiled else order.covers_all
        if not whole:
            raise Unconfirmed("a tiled order leaves tokens out")
    before = f"v_{QUERY} < {query.start} or v_{KEY} < {key.start}"
    return IntegerSet.parse((QUERY, KEY), before, program.lengths)


_RANKS = "v_c = 0 and v_a >= 0 and v_b >= 0"


def _existing(program: Program, term: Term) -> IntegerSet:
    return IntegerSet.parse(SPACE, f"{_RANKS} and exists (v_i, v_j : {_tokens(program, term)})", program.lengths)


def _as_ranks(program: Program, term: Term, pairs: IntegerSet) -> IntegerSet:
    """Those pairs of tokens that have ranks in the orders of a term."""
    return pairs.image(SPACE, f"{_RANKS} and {_tokens(program, term)}", program.lengths)


def _as_tokens(program: Program, term: Term, ranks: IntegerSet) -> IntegerSet:
    return ranks.image((QUERY, KEY), _tokens(program, term), program.lengths)


def _empty(pairs: IntegerSet, program: Program, complaint: str) -> None:
    if not pairs.empty:
        raise Unconfirmed(f"{complaint}: {pairs.smallest(program.lengths)}")


def _tokens(program: Program, term: Term) -> str:
    query, key = term.query.formula("v_c", "v_a"), term.key.formula(_key_class(term), "v_b")
    queries, keys = program.lengths[0], program.lengths[-1]
    return f"v_i = {query} and v_j = {key} and 0 <= v_i < {quote(queries)} and 0 <= v_j < {quote(keys)}"


def _tile(program: Program, term: Term) -> Tile:
    return term.tile or program.tile


def _key_class(term: Term) -> str:
    return f"((v_c + {term.shift}) mod {term.key.classes})" if term.key.classes > 1 else "0"


def _visited_once(program: Program, stated: list[IntegerSet], kernels: tuple[Kernel, ...], side: str) -> None:
    """Each term is swept by one kernel of its own order, whose ranges partition it."""
    swept = sorted(sweep.term for kernel in kernels for sweep in kernel.sweeps)
    if swept != list(range(len(program.terms))):
        raise Unconfirmed(f"the {side} kernels sweep the terms {swept} of {len(program.terms)}")
    for kernel in kernels:
        if not kernel.order.one_to_one:
            raise Unconfirmed(f"a {side} kernel runs in an order that gives a token two ranks")
        for sweep in kernel.sweeps:
            term = program.terms[sweep.term]
            if kernel.order != (term.query if side == "forward" else term.key):
                raise Unconfirmed(f"a {side} kernel runs term {sweep.term} in an order that is not its own")
            _ranges_partition(program, sweep.term, stated[sweep.term], sweep.ranges, side)


def _ranges_partition(program: Program, index: int, stated: IntegerSet, ranges: tuple[Range, ...], side: str) -> None:
    where = f"{side}, term {index}"
    tile = _tile(program, program.terms[index])
    rank, size = ("b", tile.key) if side == "forward" else ("a", tile.query)
    visits: list[IntegerSet] = []
    for span in ranges:
        tiles = _space(program, index, _visited(program, program.terms[index], span, side))
        if not span.masked and not tiles <= stated:
            raise Unconfirmed(f"{where}: an unmasked range computes a pair that is not in the term")
        if span.fan and _visited_again(program, index, span, side):
            raise Unconfirmed(f"{where}: two steps of a range visit the same tile")
        visits.append(tiles)
    if any(not (one & two).disjoint(stated) for one, two in combinations(visits, 2)):
        raise Unconfirmed(f"{where}: two ranges visit the same pair")
    # Every tile that holds a token lies below T; nothing else is assumed of T. Diagonals do not ask for it.
    left = stated & _space(program, index, f"floor(v_{rank} / {size}) < v_T")
    parts = [
        part
        for span, visit in zip(ranges, visits, strict=True)
        for part in (
            [visit] if span.fan is None or span.diagonal else _visited_at_own_step(program, index, span, span.fan, side)
        )
    ]
    if not left.covered_by(parts):
        raise Unconfirmed(f"{where}: no range visits some pair of the term")


def _space(program: Program, index: int, formula: str) -> IntegerSet:
    """Ranks (c, a, b) with a formula. Only where a range or mask of the term speaks of a length must the tokens
    lie below it: without, the claim is made for all ranks, which is more."""
    term = program.terms[index]
    ranges = _ranges((*program.forward, *program.backward), index)
    spoken = variables(term.keep).union(*map(range_variables, ranges))
    exist = " and ".join(f"{quote(length)} >= 1" for length in program.lengths)
    tokens = f"exists (v_i, v_j : {_tokens(program, term)})" if spoken.intersection(program.lengths) else exist
    ranks = f"0 <= v_c < {term.query.classes} and v_a >= 0 and v_b >= 0"
    return IntegerSet.parse(SPACE, f"{ranks} and {tokens} and {formula}", (*program.lengths, "T"))


def _visited(program: Program, term: Term, span: Range, side: str) -> str:
    """The pairs of ranks in the tiles of a range, or on its diagonals."""
    return _of_tiles(program, term, _bounds(span, side), side)


def _visited_at_own_step(program: Program, index: int, span: Range, fan: Fan, side: str) -> Iterator[IntegerSet]:
    """The pairs whose tile a fan visits at the step that is meant for them, and those at the step before it. All that
    it visits would be more, but too hard to take away: which step visits a tile is no simple function."""
    a, b = (Binary("//", Var(name), Const(fan.row)) for name in ("a", "b"))
    own = Binary("-", b, a) if side == "forward" else Binary("-", a, b)
    for step in (own, Binary("-", own, Const(1))):
        bounds = substitute(_bounds(span, side), {"d": step})
        yield _space(program, index, _of_tiles(program, program.terms[index], bounds, side))


def _of_tiles(program: Program, term: Term, bounds: Predicate, side: str) -> str:
    """The pairs of ranks in the tiles within bounds."""
    # The kernel's own c is the class of the stationary side; a mask always speaks of the query class.
    own_class = "v_c" if side == "forward" else _key_class(term)
    tile = _tile(program, term)
    tiles = f"v_I = floor(v_a / {tile.query}) and v_J = floor(v_b / {tile.key})"
    return f"exists (v_I, v_J, v_d : {tiles} and {condition(bounds, own_class)})"


def _bounds(span: Range, side: str) -> Predicate:
    if span.diagonal:
        return on_diagonals(span)
    swept = Var("J" if side == "forward" else "I")
    bounds = (Compare("<=", span.lo, swept), Compare("<", swept, span.hi), Compare("<", swept, Var("T")))
    if span.fan is None:
        return All(bounds)
    return All((*bounds, Compare("<=", span.fan.first, Var("d")), Compare("<", Var("d"), span.fan.last)))


def _visited_again(program: Program, index: int, span: Range, side: str) -> bool:
    """Whether some tile, or diagonal of one, is in two steps of a fan."""
    classes = program.terms[index].query.classes
    exist = " and ".join(f"{quote(length)} >= 1" for length in program.lengths)
    ranks = f"0 <= v_c < {classes} and v_I >= 0 and v_J >= 0 and {exist}"
    seen = ("a", "b") if span.diagonal else ()
    formula = f"{ranks} and {condition(_bounds(span, side), 'v_c')}"
    tiles = IntegerSet.parse(("c", "I", "J", *seen, "d"), formula, (*program.lengths, "T"))
    dims = (*tiles.dims, "e")
    later = tiles.rename({"d": "e"}).onto(dims) & IntegerSet.parse(dims, "v_d < v_e")
    return not (tiles.onto(dims) & later).empty
