"""confirm: read the emitted program back as a set of pairs, and prove that it is the pattern.

What is read is the text of the generated kernels, not the values that the passes handed to each other: a wrong range,
mask, order or a lost loop, wherever it came from, makes the sets differ. Proved for every length at once:

    1. each kernel visits every pair of its terms exactly once: the tiles of a sweep's ranges cover the term's mask,
       do not meet, and where a range is unmasked all of its pairs belong to the term; forward and backward;
    2. the terms, mapped back to tokens, are disjoint and their union is the pattern.

The softmax arithmetic inside a tile is not part of this proof; the tests compare it with the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import assert_never

from .kernels.read import read
from .passes.program import Kernel, Program, Range, Term
from .passes.tile import SPACE
from .relations.context import budget, quote
from .relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var, variables
from .relations.presburger import IntegerSet
from .relations.relation import KEY, QUERY, Relation

_OPERATIONS = 1_500_000
_ALWAYS = "0 = 0"  # isl reads `true` only where no bracket stands around it


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
        return _space(program, index, _condition(term.keep, "v_c"))
    visited = _space(program, index, "0 = 1")
    for span in _ranges(program.forward, index):
        visited = visited | _space(program, index, _visited(program, term, span, "forward")).for_some("T")
    return visited


def _ranges(kernels: tuple[Kernel, ...], index: int) -> list[Range]:
    """The ranges of a term in these kernels."""
    return [span for kernel in kernels for sweep in kernel.sweeps if sweep.term == index for span in sweep.ranges]


def _partition(program: Program, stated: list[IntegerSet], meaning: Relation) -> None:
    """The terms are disjoint and their union is the pattern."""
    terms = [
        ranks.image((QUERY, KEY), _tokens(program, term), program.lengths)
        for term, ranks in zip(program.terms, stated, strict=True)
    ]
    for (one, left), (two, right) in combinations(enumerate(terms), 2):
        _empty(left & right, program, f"terms {one} and {two} share a pair")
    missing = meaning.pairs
    for index, term in enumerate(terms):
        _empty(term - meaning.pairs, program, f"term {index} computes a pair that the pattern does not have")
        missing = missing - term
    _empty(missing, program, "no term computes a pair of the pattern")


def _empty(pairs: IntegerSet, program: Program, complaint: str) -> None:
    if not pairs.empty:
        raise Unconfirmed(f"{complaint}: {pairs.smallest(program.lengths)}")


def _tokens(program: Program, term: Term) -> str:
    query, key = term.query.formula("v_c", "v_a"), term.key.formula(_key_class(term), "v_b")
    queries, keys = program.lengths[0], program.lengths[-1]
    return f"v_i = {query} and v_j = {key} and 0 <= v_i < {quote(queries)} and 0 <= v_j < {quote(keys)}"


def _key_class(term: Term) -> str:
    return f"((v_c + {term.shift}) mod {term.key.classes})" if term.key.classes > 1 else "0"


def _visited_once(program: Program, stated: list[IntegerSet], kernels: tuple[Kernel, ...], side: str) -> None:
    """Each term is swept by one kernel of its own order, whose ranges partition it."""
    swept = sorted(sweep.term for kernel in kernels for sweep in kernel.sweeps)
    if swept != list(range(len(program.terms))):
        raise Unconfirmed(f"the {side} kernels sweep the terms {swept} of {len(program.terms)}")
    for kernel in kernels:
        for sweep in kernel.sweeps:
            term = program.terms[sweep.term]
            if kernel.order != (term.query if side == "forward" else term.key):
                raise Unconfirmed(f"a {side} kernel runs term {sweep.term} in an order that is not its own")
            _ranges_partition(program, sweep.term, stated[sweep.term], sweep.ranges, side)


def _ranges_partition(program: Program, index: int, stated: IntegerSet, ranges: tuple[Range, ...], side: str) -> None:
    where = f"{side}, term {index}"
    rank, size = ("b", program.tile.key) if side == "forward" else ("a", program.tile.query)
    # Every tile that holds a token lies below T; nothing else is assumed of T.
    left = stated & _space(program, index, f"floor(v_{rank} / {size}) < v_T")
    visits: list[IntegerSet] = []
    for span in ranges:
        tiles = _space(program, index, _visited(program, program.terms[index], span, side))
        if not span.masked and not tiles <= stated:
            raise Unconfirmed(f"{where}: an unmasked range computes a pair that is not in the term")
        visits.append(tiles & stated)
    if any(not one.disjoint(two) for one, two in combinations(visits, 2)):
        raise Unconfirmed(f"{where}: two ranges visit the same pair")
    for visit in visits:
        left = left - visit
    if not left.empty:
        raise Unconfirmed(f"{where}: no range visits some pair of the term")


def _space(program: Program, index: int, formula: str) -> IntegerSet:
    """Ranks (c, a, b) with a formula. Only where a range or mask of the term speaks of a length must the tokens
    lie below it: without, the claim is made for all ranks, which is more."""
    term = program.terms[index]
    ranges = _ranges((*program.forward, *program.backward), index)
    spoken = variables(term.keep).union(*(variables(span.lo) | variables(span.hi) for span in ranges))
    exist = " and ".join(f"{quote(length)} >= 1" for length in program.lengths)
    tokens = f"exists (v_i, v_j : {_tokens(program, term)})" if spoken.intersection(program.lengths) else exist
    ranks = f"0 <= v_c < {term.query.classes} and v_a >= 0 and v_b >= 0"
    return IntegerSet.parse(SPACE, f"{ranks} and {tokens} and {formula}", (*program.lengths, "T"))


def _visited(program: Program, term: Term, span: Range, side: str) -> str:
    """The pairs of ranks in the tiles of a range."""
    swept = Var("J" if side == "forward" else "I")
    # The kernel's own c is the class of the stationary side; a mask always speaks of the query class.
    own_class = "v_c" if side == "forward" else _key_class(term)
    bounds = All((Compare("<=", span.lo, swept), Compare("<", swept, span.hi), Compare("<", swept, Var("T"))))
    tiles = f"v_I = floor(v_a / {program.tile.query}) and v_J = floor(v_b / {program.tile.key})"
    return f"exists (v_I, v_J : {tiles} and {_condition(bounds, own_class)})"


def _cases(expr: Expr, cls: str) -> Iterator[tuple[str, str]]:
    """(guard, value): isl's text has no conditional value, so each way through the selections is a case."""
    match expr:
        case Const(value):
            yield _ALWAYS, str(value) if value >= 0 else f"({value})"
        case Var(name):
            yield _ALWAYS, cls if name == "c" else quote(name)
        case Binary("*", Const(factor), operand) | Binary("*", operand, Const(factor)):
            yield from ((guard, f"({factor} * {value})") for guard, value in _cases(operand, cls))
        case Binary("//", left, Const(divisor)):
            yield from ((guard, f"floor({value} / {divisor})") for guard, value in _cases(left, cls))
        case Binary("%", left, Const(modulus)):
            yield from ((guard, f"({value} mod {modulus})") for guard, value in _cases(left, cls))
        case Binary(operator, left, right):
            for (guard, a), (other, b) in product(_cases(left, cls), _cases(right, cls)):
                infix = f"({a} {operator} {b})"
                yield _both(guard, other), f"{operator}({a}, {b})" if operator in ("min", "max") else infix
        case Select(condition, then, otherwise):
            test = _condition(condition, cls)
            yield from ((_both(test, guard), value) for guard, value in _cases(then, cls))
            yield from ((_both(f"not {test}", guard), value) for guard, value in _cases(otherwise, cls))
        case _:
            assert_never(expr)


def _both(left: str, right: str) -> str:
    return f"({' and '.join(part for part in (left, right) if part != _ALWAYS) or _ALWAYS})"


def _condition(predicate: Predicate, cls: str) -> str:
    match predicate:
        case Compare(operator, left, right):
            symbol = {"==": "="}.get(operator, operator)
            ways = (
                _both(_both(guard, other), f"{a} {symbol} {b}")
                for (guard, a), (other, b) in product(_cases(left, cls), _cases(right, cls))
            )
            return f"({' or '.join(ways)})"
        case All(parts):
            return "(" + " and ".join(_condition(part, cls) for part in parts) + ")" if parts else _ALWAYS
        case AnyOf(parts):
            return "(" + " or ".join(_condition(part, cls) for part in parts) + ")" if parts else "0 = 1"
        case _:
            assert_never(predicate)
