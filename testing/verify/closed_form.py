"""closed form: the relation that proofs and passes work on holds the pairs that the formula says, at every length.

What selections decide is bounded from both sides and, with one real choice for each, exact too; a seeded table lies
between its bounds.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ...compiler import bruteforce
from ...compiler.bruteforce import Choice, Mask
from ...compiler.pattern import Pattern, Plan
from ...compiler.relations.denote import denote
from ...compiler.relations.integer import evaluate
from ...compiler.relations.isl.context import budget
from ...compiler.relations.relation import Relation, universe
from ...compiler.relations.settle import Extent, choose, drawn, opens, settle
from ...patterns_dsl.syntax import Direction
from .property import Example, Violated, bounded, first_difference, places

MOST = 96
"""Tokens of an example."""


def rasterize(relation: Relation, n: int, nk: int | None = None) -> Mask:
    """The relation as a bool matrix [n, nk], through its closed form. Raises BudgetExceeded inside a budget."""
    keep = relation.pairs.predicate(universe(relation.direction).pairs)
    count = n if nk is None else nk
    row, column = np.arange(n)[:, None], np.arange(count)[None, :]
    values = {"i": row, "j": column, "n": n, "nq": n, "nk": count}
    inside = np.broadcast_to(np.asarray(evaluate(keep, values, np), dtype=np.bool_), (n, count))
    # The closed form is exact within the universe, of which only this bound can be broken here.
    return inside & (column <= row) if relation.direction is Direction.CAUSAL else inside


@dataclass(frozen=True)
class ChosenExample(Example):
    """``picks``: for each source of open choices the number of one of its examples."""

    picks: Mapping[str, int] = field(default_factory=dict)

    def described(self) -> dict[str, Any]:
        return {**super().described(), **({"choices": dict(self.picks)} if self.picks else {})}


@st.composite
def chosen(draw: DrawFn, example: Example) -> ChosenExample:
    """The example with one choice for each source that its relation leaves open."""
    picks = {one.source: draw(st.sampled_from(range(len(one.examples)))) for one in opens(example.body)}
    return ChosenExample(example.subject, example.n, example.nk, example.step, picks)


class ClosedForm:
    name = "closed form"
    share = 1.0

    def left_out(self, subject: Pattern | Plan) -> str:
        return ""

    def examples(self, subject: Pattern | Plan, fixed: Collection[str]) -> SearchStrategy[ChosenExample]:
        assert isinstance(subject, Pattern)
        return places(subject, fixed, MOST).flatmap(chosen)

    def judge(self, example: ChosenExample) -> None:
        with bounded(), budget():
            _compare(example)


def _compare(example: ChosenExample) -> None:
    body, direction, table = example.body, example.pattern.direction, drawn(example.body)

    def by_closed_form(extent: Extent) -> Mask:
        return rasterize(denote(settle(body, extent), direction), example.n, example.nk)

    def by_brute_force(choice: Choice) -> Mask:
        return bruteforce.mask(body, direction, example.n, example.nk, choice=choice)

    least, most = by_closed_form(Extent.MUST), by_closed_form(Extent.MAY)
    found: dict[str, Mask] = {"must": by_brute_force("must"), "may": by_brute_force("may")}
    exact = {"must": least, "may": most}
    if example.picks.keys() >= {one.source for one in opens(body)} != set():
        found["chosen"] = by_brute_force(example.picks)
        if not table:
            exact["chosen"] = rasterize(denote(choose(body, example.picks), direction), example.n, example.nk)
    for name, mask in found.items():
        wanted = exact[name] if not table else (mask | least) & most
        if not np.array_equal(mask, wanted):
            raise Violated(f"the closed form is not the formula ({name} attend): {first_difference(mask, wanted)}")
        if not np.array_equal(mask, (mask | least) & most):
            place = first_difference(mask, (mask | least) & most)
            raise Violated(f"a choice is not between what must and what may attend: {place}")
