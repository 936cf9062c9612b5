"""separate: a pattern with learned terms or seeded tables into what the passes lower and what is left for each choice.

    A | gated B | random(r, b) | select(hot) & C | pooled(s)
        ->  positional  A
            gated       B - A, under the gate
            selected    the table, without A; hot, within C - A
            summaries   of s tokens

The parts share no pair, so that one softmax over the pattern is the merge of theirs. A pair that several terms hold is
the positional part's, else that of the first gated term whose gate is open, else that of the first selection, in the
order of ``Selected``. Whether an earlier gate is open, or an earlier selection holds the pair, is known at run time
only: each selection lists what it must ask. Summaries stand beside the tokens that they are of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

from ...patterns_dsl.diagnostics.diagnostic import PatternError
from ...patterns_dsl.syntax import (
    Difference,
    Direction,
    Drawn,
    Expression,
    Intersection,
    Pooled,
    Selector,
    Union,
)
from ..relations.denote import denote
from ..relations.integer import Predicate
from ..relations.relation import Relation, universe
from ..relations.settle import Extent, settle
from .choices import Gates, Use, chosen, decided, readable, refusal
from .split import MOST_TERMS


@dataclass(frozen=True, slots=True)
class GatedTerm:
    """A relation under gates: for each head the first of ``choices`` that is open there. ``pairs``: its pairs, over i,
    j and the lengths, exact within the direction's universe; selections that come after it ask."""

    expression: Expression
    pairs: Predicate
    choices: tuple[Gates, ...]


@dataclass(frozen=True, slots=True)
class Selected:
    """The pairs of a selection, or of a seeded table, where ``within`` holds (over i, j and the lengths) and the gates
    are open, but for those that an earlier selection in ``after`` or an open term in ``gated`` holds. ``source``: the
    name of the selection, or the table, over tokens. ``term`` is where the text says so."""

    term: Expression
    source: str | Drawn
    use: Use
    gates: Gates
    within: Predicate
    after: tuple[int, ...]
    gated: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Summarised:
    """Summaries of ``size`` tokens, for each head under the first of ``choices`` that is open there."""

    size: int
    choices: tuple[Gates, ...]


@dataclass(frozen=True, slots=True)
class Separated:
    """The parts of a pattern. ``positional`` is None where nothing attends whatever is learned."""

    direction: Direction
    positional: Expression | None
    gated: tuple[GatedTerm, ...]
    selected: tuple[Selected, ...]
    summaries: tuple[Summarised, ...]

    @property
    def table(self) -> int:
        """The tokens of a block of the seeded table, where one is all that there is beside the positional part, and
        draws for all heads alike; else 0."""
        if len(self.selected) != 1 or self.summaries or self.gated or self.selected[0].gates:
            return 0
        source = self.selected[0].source
        return source.block if isinstance(source, Drawn) else 0


def separate(expression: Expression, direction: Direction, selectors: Iterable[Selector]) -> Separated:
    """The parts of a core-form expression. Raises PatternError (P403) for terms that no engine can run, all of them
    together, and BudgetExceeded."""
    kinds = {selector.name: selector.kind for selector in selectors}
    found = readable(expression, direction, kinds)
    summaries: dict[int, tuple[Gates, ...]] = {}
    positional: list[Expression] = []
    gated: list[tuple[Expression, Gates]] = []
    chosen_terms: list[tuple[Expression, Gates]] = []
    for term, gates in found:
        if isinstance(term, Pooled):
            summaries[term.size] = (*summaries.get(term.size, ()), gates)
        elif decided(term):
            chosen_terms.append((term, gates))
        elif gates:
            gated.append((term, gates))
        else:
            positional.append(term)
    always = _union(positional)
    certain = None if always is None else denote(always, direction)
    atoms = tuple(_joined(_atoms(gated, always, certain, direction)))
    terms = tuple(
        GatedTerm(expression, relation.pairs.predicate(universe(direction).pairs), choices)
        for expression, relation, choices in atoms
    )
    return Separated(
        direction,
        always,
        terms,
        _selected(chosen_terms, [relation for _, relation, _ in atoms], certain, direction, kinds),
        tuple(Summarised(size, _until_open(choices)) for size, choices in summaries.items()),
    )


def _union(parts: Sequence[Expression]) -> Expression | None:
    if not parts:
        return None
    whole = parts[0]
    for part in parts[1:]:
        whole = Union(whole, part, span=whole.span)
    return whole


def _until_open(choices: Sequence[Gates]) -> tuple[Gates, ...]:
    """What lies behind a choice that is always open is never asked for."""
    kept: list[Gates] = []
    for choice in choices:
        if choice not in kept:
            kept.append(choice)
        if not choice:
            break
    return tuple(kept)


@dataclass(frozen=True, slots=True)
class _Atom:
    expression: Expression
    relation: Relation
    choices: tuple[Gates, ...]

    def narrowed(self, build: type[Intersection | Difference], other: Expression, relation: Relation) -> _Atom:
        return _Atom(build(self.expression, other, span=self.expression.span), relation, self.choices)


def _atoms(
    gated: Sequence[tuple[Expression, Gates]],
    always: Expression | None,
    certain: Relation | None,
    direction: Direction,
) -> list[_Atom]:
    """The gated relations without the positional part, cut where they overlap: an atom lies in all of its terms."""
    atoms: list[_Atom] = []
    for term, gates in gated:
        rest, left = denote(term, direction), term
        if always is not None and certain is not None:
            rest, left = rest - certain, Difference(term, always, span=term.span)
        cut: list[_Atom] = []
        for atom in atoms:
            both, other = atom.relation & rest, atom.relation - rest
            if not both.empty:
                inside = atom if other.empty else atom.narrowed(Intersection, term, both)
                cut.append(_Atom(inside.expression, both, _until_open((*atom.choices, gates))))
            if not other.empty:
                cut.append(atom if both.empty else atom.narrowed(Difference, term, other))
            if not both.empty:
                rest, left = rest - both, Difference(left, atom.expression, span=term.span)
        atoms = cut if rest.empty else [*cut, _Atom(left, rest, (gates,))]
        if len(atoms) > MOST_TERMS:
            what = f"{len(gated)} gated terms that overlap in more than {MOST_TERMS} ways"
            raise PatternError([refusal(term, what, "gate relations that share no pair")])
    return atoms


def _joined(atoms: Sequence[_Atom]) -> Iterable[tuple[Expression, Relation, tuple[Gates, ...]]]:
    """Atoms under the same gates as one."""
    together: dict[tuple[Gates, ...], list[_Atom]] = {}
    for atom in atoms:
        together.setdefault(atom.choices, []).append(atom)
    for choices, alike in together.items():
        relation = reduce(or_, (atom.relation for atom in alike))
        expression = _union([atom.expression for atom in alike])
        assert expression is not None
        yield expression, relation, choices


def _selected(
    found: Sequence[tuple[Expression, Gates]],
    atoms: Sequence[Relation],
    certain: Relation | None,
    direction: Direction,
    kinds: dict[str, str],
) -> tuple[Selected, ...]:
    uses = [chosen(term, kinds) for term, _ in found]
    order = sorted(range(len(found)), key=lambda place: uses[place][1].rank)
    inside = universe(direction).pairs
    relations: list[Relation] = []
    result: list[Selected] = []
    for place in order:
        (term, gates), use = found[place], uses[place]
        rest = denote(settle(term, Extent.MAY), direction)
        if certain is not None:
            rest = rest - certain
        if rest.empty:
            continue
        after = tuple(k for k, other in enumerate(relations) if not rest.pairs.disjoint(other.pairs))
        meets = tuple(k for k, atom in enumerate(atoms) if not rest.pairs.disjoint(atom.pairs))
        result.append(Selected(term, use[0], use[1], gates, rest.pairs.predicate(inside), after, meets))
        relations.append(rest)
    return tuple(result)
