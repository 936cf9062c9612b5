"""choices: what a term asks of a selection or of a seeded table, where an engine can run it.

A term is runnable when one selection, or one table, decides on its pairs, and all else about it is positional: it
alone, narrowed by `& R`, by `- R`, or by `and` in a formula. ``settle`` with MAY then is what is positional about it,
since it may choose any pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from enum import Enum
from typing import TypeAlias

from ...patterns_dsl.binding.selections import DOCUMENTS
from ...patterns_dsl.diagnostics import codes
from ...patterns_dsl.diagnostics.diagnostic import Diagnostic, PatternError
from ...patterns_dsl.syntax import (
    And,
    Arithmetic,
    Chosen,
    Difference,
    Direction,
    Drawn,
    Expression,
    Formula,
    Gated,
    Integer,
    Intersection,
    Name,
    Pairs,
    Pooled,
    Term,
)
from ..relations.settle import drawn, opens
from .split import terms

Gates: TypeAlias = tuple[str, ...]
"""Gates that are open together or not at all; their log-gates add up. () is always open."""


class Use(Enum):
    """What of a selection a term reads; in the order in which terms take the pairs that they share. A table, which is
    certain, comes first. Whether an earlier one holds a pair is asked for each pair of a later one, and costs least of
    a column, most of a list of keys."""

    TABLE = "table"
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

    Raises PatternError (P403) for terms that no engine runs, all of them together; ``tables``: for an engine that reads
    seeded tables pair by pair, wherever they stand in a term without a selection.
    """
    found = tuple(terms_under_gates(expression))
    complaints = [
        complaint
        for term, _ in found
        if not isinstance(term, Pooled) and (complaint := _complaint(term, direction, kinds, tables)) is not None
    ]
    refined: dict[str | Drawn, Expression] = {}
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


def without_documents(ids: str, *, packed: bool) -> str:
    """What to do instead of `document(ids)`; ``packed``: whether an engine takes documents behind each other."""
    instead = "give each document a row of the batch, with `spans=` where they are padded"
    if packed:
        instead = "give the borders to the call, `documents=cu_seqlens`: each document is then a sequence of its own"
    return f"leave `document({ids})` out, and {instead}"


def terms_under_gates(expression: Expression, gates: Gates = ()) -> Iterator[tuple[Expression, Gates]]:
    """The terms of a union, whether an engine runs them or not."""
    for term in terms(expression):
        if isinstance(term, Gated):
            yield from terms_under_gates(term.operand, (*gates, term.gate))
        else:
            yield term, gates


def decided(term: Expression) -> bool:
    """Whether a selection or a seeded table has a part in a term."""
    return bool(opens(term)) or drawn(term)


def _complaint(term: Expression, direction: Direction, kinds: Mapping[str, str], tables: bool) -> Diagnostic | None:
    if not decided(term) or (tables and not opens(term)):
        return None
    documents = [one.source for one in opens(term) if one.examples == DOCUMENTS]
    if documents:
        return refusal(term, f"what `{documents[0]}` decides", without_documents(documents[0], packed=False))
    reading = _reading(term, kinds)
    if isinstance(reading, str):
        what = "selection" if opens(term) else "table"
        remedy = f"write the {what} as a term of its own; `&` and `-` with positional relations may narrow it"
        found = refusal(term, reading, remedy)
        if not opens(term):
            found = replace(found, help=(remedy, 'engine="reference" reads tables wherever they stand'))
        return found
    source, use = reading
    # The selectors themselves have no rows there: see runtime/selectors.
    if isinstance(source, str) and use is Use.ROWS and kinds[source] == "topk":
        why = "`topk` has one score per token, for columns"
        return refusal(term, f"the rows of `{source}`, a `topk` selection,", f"{why}: write `columns({source})`")
    if isinstance(source, str) and use is Use.ROWS and direction is Direction.CAUSAL:
        why = "there a row gathers few keys and is dear"
        return refusal(term, f"the rows of `{source}`, in a causal pattern,", f"{why}: write `columns({source})`")
    return None


def chosen(term: Expression, kinds: Mapping[str, str]) -> tuple[str | Drawn, Use]:
    """The selection that decides on a term of ``readable``, or the table, and what is read of it: of a table that is
    drawn over blocks of blocks, the one over blocks of tokens."""
    found = _reading(term, kinds)
    if isinstance(found, str):
        raise ValueError(f"no engine runs {found}")
    return found


def uses(expression: Expression, kinds: Mapping[str, str]) -> dict[str, frozenset[Use]]:
    """For each selection that a union reads, what is read of it, by the terms that an engine can run."""
    found: dict[str, frozenset[Use]] = {}
    for term, _ in terms_under_gates(expression):
        sources = [one.source for one in opens(term) if one.source in kinds]
        if len(sources) == len(opens(term)) == 1 and isinstance(reading := _reading(term, kinds), tuple):
            found[sources[0]] = found.get(sources[0], frozenset()) | {reading[1]}
    return found


def _reading(term: Expression, kinds: Mapping[str, str]) -> tuple[str | Drawn, Use] | str:
    """As ``chosen``, or why no engine can run the term."""
    deciders = [*(f"`{one.source}`" for one in opens(term)), *(["a seeded table"] if drawn(term) else [])]
    names = " and ".join(deciders)
    found = list(_positive(term))
    if None in found:
        return f"a negation, a product `@` or an `or` over what {names} decides"
    places = [place for place in found if place is not None]
    if len(places) > 1:
        return f"a term that {names} decide{'s twice' if len(deciders) == 1 else ' together'}"
    [(query, key, node)] = places
    elsewhere = f"what {names} decides at other places than the query and the key"
    if isinstance(node, Drawn):
        table = _of_tokens(query, key, node)
        return elsewhere if table is None else (table, Use.TABLE)
    match node.terms:
        case (Name(name),) if name in (query, key) and query != key:
            return node.source, Use.ROWS if name == query else Use.COLUMNS
        case (Name(first), Name(second)) if (first, second) == (query, key):
            return node.source, _RELATIONS[kinds[node.source]]
        case _:
            return elsewhere


def _of_tokens(query: str, key: str, table: Drawn) -> Drawn | None:
    """The same table over the tokens ``i`` and ``j``; None for one that stands at other places. One over blocks of c
    tokens, with a block of b of them, is one with a block of b * c."""
    sides = _blocks(table.query), _blocks(table.key), _blocks(table.length, up=True)
    match sides:
        case ((first, one), (second, other), (_, third)) if (first, second) == (query, key) and one == other == third:
            i, j = (Name(name, span=table.span) for name in ("i", "j"))
            length = Name(sides[2][0], span=table.span)
            return replace(table, query=i, key=j, length=length, block=table.block * one)
        case _:
            return None


def _blocks(term: Term, *, up: bool = False) -> tuple[str, int] | None:
    """(name, c) of a name in blocks of c, rounded down or ``up``; c = 1: the name itself."""
    match term:
        case Name(name):
            return name, 1
        case Arithmetic("div", Arithmetic("+", inner, Integer(less)), Integer(size)) if up and less == size - 1:
            found = _blocks(inner, up=True)
        case Arithmetic("div", inner, Integer(size)) if not up:
            found = _blocks(inner)
        case _:
            return None
    return None if found is None else (found[0], found[1] * size)


def _positive(node: Expression) -> Iterator[tuple[str, str, Chosen | Drawn] | None]:
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
            if decided(right):
                yield None
        case _:
            if decided(node):
                yield None


def _conjuncts(formula: Formula) -> Iterator[Chosen | Drawn | None]:
    match formula:
        case Chosen() | Drawn():
            yield formula
        case And(left, right):
            yield from _conjuncts(left)
            yield from _conjuncts(right)
        case _:
            if decided(Pairs("i", "j", formula, span=formula.span)):
                yield None
