"""choices: what a term asks of a selection, where an engine can run it.

A term is runnable when one selection decides on its pairs, and all else about it is positional: the selection alone,
narrowed by `& R`, by `- R`, or by `and` in a formula. ``settle`` with MAY then is what is positional about it, since a
selection may choose any pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TypeAlias

from ...patterns_dsl.diagnostics import codes
from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, PatternError
from ...patterns_dsl.syntax import (
    And,
    Chosen,
    Difference,
    Direction,
    Expression,
    Formula,
    Gated,
    Intersection,
    Name,
    Pairs,
    Pooled,
)
from ..relations.settle import drawn, opens
from .split import terms

Gates: TypeAlias = tuple[str, ...]
"""Gates that are open together or not at all; their log-gates add up. () is always open."""


class Use(Enum):
    """What of a selection a term reads; in the order in which terms take the pairs that they share. Whether an earlier
    one holds a pair is asked for each pair of a later one, and costs least of a column, most of a list of keys."""

    COLUMNS = "columns"
    ROWS = "rows"
    BLOCKS = "blocks"
    LEVELS = "levels"
    KEYS = "keys"

    @property
    def rank(self) -> int:
        return list(Use).index(self)


_RELATIONS = {"topk_blocks": Use.BLOCKS, "granularity": Use.LEVELS, "topk_keys": Use.KEYS}


def readable(
    expression: Expression, direction: Direction, kinds: Mapping[str, str], *, tables: bool = False
) -> tuple[tuple[Expression, Gates], ...]:
    """The terms of a union, each with the gates that it is under. ``kinds``: of each selection, its selector.

    Raises PatternError (P403) for terms that no engine runs, all of them together; ``tables``: seeded ones are fine.
    """
    found = tuple(terms_under_gates(expression))
    complaints = [
        complaint
        for term, _ in found
        if not isinstance(term, Pooled) and (complaint := _complaint(term, direction, kinds, tables)) is not None
    ]
    refined: dict[str, Expression] = {}
    for term, _ in found if not complaints else ():
        if not isinstance(term, Pooled) and opens(term) and (reading := chosen(term, kinds))[1] is Use.LEVELS:
            if reading[0] in refined:
                complaints.append(refusal(term, f"`{reading[0]}` refined twice", "refine each selection in one term"))
            refined[reading[0]] = term
    if complaints:
        raise PatternError(complaints)
    return found


def refusal(term: Expression, what: str, remedy: str) -> Diagnostic:
    return Diagnostic(codes.NO_ENGINE, f"no engine runs {what} yet", term.span, help=(remedy,))


def terms_under_gates(expression: Expression, gates: Gates = ()) -> Iterator[tuple[Expression, Gates]]:
    """The terms of a union, whether an engine runs them or not."""
    for term in terms(expression):
        if isinstance(term, Gated):
            yield from terms_under_gates(term.operand, (*gates, term.gate))
        else:
            yield term, gates


def _complaint(term: Expression, direction: Direction, kinds: Mapping[str, str], tables: bool) -> Diagnostic | None:
    if drawn(term) and (opens(term) or not tables):
        return refusal(term, "a seeded table", 'compile the other terms alone; engine="reference" reads tables')
    if not opens(term):
        return None
    reading = _reading(term, kinds)
    if isinstance(reading, str):
        remedy = "write the selection as a term of its own; `&` and `-` with positional relations may narrow it"
        return refusal(term, reading, remedy)
    source, use = reading
    # The selectors themselves have no rows there: see runtime/selectors.
    if use is Use.ROWS and (direction is Direction.CAUSAL or kinds[source] == "topk"):
        pattern = "causal pattern" if direction is Direction.CAUSAL else "`topk` selection"
        return refusal(term, f"the rows of `{source}`, in a {pattern},", f"write `columns({source})`")
    return None


def chosen(term: Expression, kinds: Mapping[str, str]) -> tuple[str, Use]:
    """The selection that decides on a term of ``readable`` with open choices, and what is read of it."""
    found = _reading(term, kinds)
    if isinstance(found, str):
        raise ValueError(f"no engine runs {found}")
    return found


def _reading(term: Expression, kinds: Mapping[str, str]) -> tuple[str, Use] | str:
    """As ``chosen``, or why no engine can run the term."""
    names = " and ".join(f"`{one.source}`" for one in opens(term))
    found = list(_positive(term))
    if None in found:
        return f"a negation, a product `@` or an `or` over what {names} decides"
    places = [place for place in found if place is not None]
    if len(places) > 1:
        return f"a term that {names} decide{'s twice' if len(opens(term)) == 1 else ' together'}"
    [(query, key, node)] = places
    if node.source not in kinds:
        return f"what `{node.source}` decides"
    match node.terms:
        case (Name(name),) if name in (query, key) and query != key:
            return node.source, Use.ROWS if name == query else Use.COLUMNS
        case (Name(first), Name(second)) if (first, second) == (query, key):
            return node.source, _RELATIONS[kinds[node.source]]
        case _:
            return f"what `{node.source}` decides at other places than the query and the key"


def _positive(node: Expression) -> Iterator[tuple[str, str, Chosen] | None]:
    """The choices that a relation is an intersection over, each with the names of its query and key; None for one
    that stands elsewhere."""
    match node:
        case Pairs(query, key, formula):
            for choice in _conjuncts(formula):
                yield None if choice is None else (query, key, choice)
        case Intersection(left, right):
            yield from _positive(left)
            yield from _positive(right)
        case Difference(left, right):
            yield from _positive(left)
            if opens(right):
                yield None
        case _:
            if opens(node):
                yield None


def _conjuncts(formula: Formula) -> Iterator[Chosen | None]:
    match formula:
        case Chosen():
            yield formula
        case And(left, right):
            yield from _conjuncts(left)
            yield from _conjuncts(right)
        case _:
            if opens(Pairs("i", "j", formula, span=formula.span)):
                yield None
