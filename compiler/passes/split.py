"""split: a pattern into disjoint terms, each simple enough to be arranged on its own.

    A | B              ->  A, B - A                when both are terms
    (A | B) & C        ->  A & C | B & C
    (A | B) - C        ->  (A - C) | (B - C)
    (A | B) @ C        ->  A @ C | B @ C           and the same on the right
    { F or G }         ->  { F } | { G }           also under `and`

One softmax over a union of disjoint terms is a chain: each term resumes from the (out, lse) of those before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...patterns_dsl.diagnostics.source import Span
from ...patterns_dsl.syntax import (
    And,
    Composition,
    Difference,
    Direction,
    Expression,
    Formula,
    Intersection,
    Or,
    Pairs,
    Union,
)
from ..relations.denote import denote
from ..relations.relation import KEY, LENGTHS, QUERY, Relation

MOST_TERMS = 24
"""A pattern that distributes into more terms than this is kept whole where the limit is met."""

_SAMPLE_LENGTH, _SAMPLE_ROWS, _SAMPLE_TILE = 8192, 16, 64

_NEAR = 8
"""Keys are looked at one by one where a piece leaves fewer than one in so many: numbers in rows and columns are shorter
to compute."""


@dataclass(frozen=True)
class Part:
    """One disjoint part of a pattern, with the source text it came from."""

    relation: Relation
    label: str
    line: int


def split(expression: Expression, direction: Direction) -> tuple[Part, ...]:
    """Disjoint parts whose union is the expression; the blockiest first, so that the others lose their overlap."""
    candidates = [
        Part(relation, " ".join(term.span.text.split()), term.span.line)
        for term in terms(expression)
        if not (relation := denote(term, direction)).empty
    ]
    parts: list[Part] = []
    for candidate in sorted(candidates, key=lambda part: _waste(part.relation)):
        rest = candidate.relation
        for part in parts:
            if not rest.pairs.disjoint(part.relation.pairs):
                rest = rest - part.relation
        if not rest.empty:
            parts.append(Part(rest, candidate.label, candidate.line))
    return tuple(parts)


def terms(expression: Expression) -> tuple[Expression, ...]:
    """The union that an expression distributes into; the expression alone where that is more than ``MOST_TERMS``."""
    match expression:
        case Union(left, right):
            found = (*terms(left), *terms(right))
        case Intersection(left, right) | Composition(left, right):
            build = type(expression)
            found = tuple(build(a, b, span=_span(a, expression)) for a in terms(left) for b in terms(right))
        case Difference(left, right):
            found = tuple(Difference(a, right, span=_span(a, expression)) for a in terms(left))
        case Pairs(query, key, formula):
            found = tuple(Pairs(query, key, part, span=expression.span) for part in _disjuncts(formula))
        case _:
            return (expression,)
    return found if len(found) <= MOST_TERMS else (expression,)


def _span(part: Expression, whole: Expression) -> Span:
    """Where people find the term: in their own file, not in the prelude that a rule was expanded from."""
    return part.span if part.span.source == whole.span.source else whole.span


def _disjuncts(formula: Formula) -> tuple[Formula, ...]:
    match formula:
        case Or(left, right):
            return (*_disjuncts(left), *_disjuncts(right))
        case And(left, right):
            return tuple(And(a, b, span=formula.span) for a in _disjuncts(left) for b in _disjuncts(right))
        case _:
            return (formula,)


def _waste(relation: Relation) -> float:
    """Keys of the tiles that a sampled query touches in natural order, per key that it attends to."""
    queries = np.linspace(0, _SAMPLE_LENGTH - 1, _SAMPLE_ROWS, dtype=np.int64)
    inside = attended(relation, queries, _SAMPLE_LENGTH)
    tiles = inside.reshape(_SAMPLE_ROWS, -1, _SAMPLE_TILE).any(axis=-1).sum()
    return float(tiles * _SAMPLE_TILE / max(1, inside.sum()))


def attended(relation: Relation, queries: NDArray[np.int64], length: int) -> NDArray[np.bool_]:
    """[queries, length]: which keys these tokens attend to, where each length is ``length``."""
    inside = np.zeros((len(queries), length), dtype=np.bool_)
    for piece in relation.formula().divided():
        values: dict[str, Any] = {QUERY: queries, **dict.fromkeys(LENGTHS, length)}
        lo, hi = piece.reach(KEY, values, np.zeros_like(queries), length)
        if _NEAR * np.maximum(hi - lo, 0).sum() < inside.size:
            rows, keys = spread(lo, hi)
            inside[rows, keys] |= piece.holds(values | {QUERY: queries[rows], KEY: keys})
        else:
            inside |= piece.holds(values | {QUERY: queries[:, None], KEY: np.arange(length)})
    return inside


def spread(lo: NDArray[np.int64], hi: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(place, number) of each number in the intervals [lo, hi) of the places, one after the other."""
    counts = np.maximum(hi - lo, 0)
    places = np.repeat(np.arange(len(counts)), counts)
    return places, np.arange(len(places)) + (lo + counts - np.cumsum(counts))[places]
