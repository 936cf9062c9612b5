"""Random syntax trees: all that `parse` can return, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from drawn_values import ANYWHERE, Values
from hypothesis import strategies as st

from patternc.patterns_dsl import syntax as s
from patternc.patterns_dsl.parsing.declare import LAST_LAYER, plain

T = TypeVar("T")

DEPTH = st.sampled_from([0, 1, 1, 2, 2, 2, 3, 3])
DOCUMENTATION = (
    st.text(st.sampled_from('ab"# \n\t{\N{GREEK SMALL LETTER MU}'))
    .filter(lambda text: '"""' not in text)
    .map(lambda text: plain(f'"""{text}"""'))
)


class Drawn(Values):
    """One tree in the making, claims and declarations included."""

    # --- claims ---

    def lengths(self) -> s.Lengths | None:
        def length() -> tuple[str, s.Term]:
            return self.draw(st.sampled_from(["n", "nq", "nk"])), self.term(1)

        return self.maybe(lambda: s.Lengths(self.several(length, 1), span=ANYWHERE))

    def claim(self, deep: int) -> s.Claim:
        at, yes = self.lengths(), st.booleans()

        def reach() -> s.Claim:
            steps, negated = self.maybe(lambda: self.term(deep)), self.draw(yes)
            any_order = self.draw(yes) or (steps is None and not negated)
            return s.Reach(steps, negated, any_order, at=at, span=ANYWHERE)

        kind: Any = self.draw(st.sampled_from([s.Nonempty, s.Causal, s.Symmetric]))
        two: Any = self.draw(st.sampled_from([s.Subset, s.Equal, s.Disjoint]))
        bound: Any = self.draw(st.sampled_from([s.Keys, s.Cache]))
        return self.one(
            lambda: kind(at=at, span=ANYWHERE),
            reach,
            lambda: two(self.relation(deep), self.relation(deep), at=at, span=ANYWHERE),
            lambda: bound(self.term(deep, False), at=at, span=ANYWHERE),
            lambda: s.Density(self.one(self.ratio, lambda: s.Name(self.name(), span=ANYWHERE)), at=at, span=ANYWHERE),
        )

    def plan_claim(self, deep: int) -> s.PlanClaim:
        at, negated = self.lengths(), self.draw(st.booleans())
        return self.one(
            lambda: s.PlanReach(None, negated, at=at, span=ANYWHERE),
            lambda: s.PlanReach(self.term(deep), negated, self.draw(st.booleans()), at=at, span=ANYWHERE),
            lambda: s.PlanCache(self.term(deep, False), at=at, span=ANYWHERE),
        )

    # --- declarations ---

    def documentation(self) -> str | None:
        return self.maybe(lambda: self.draw(DOCUMENTATION))

    def parameters(self) -> tuple[s.Parameter, ...]:
        def parameter() -> s.Parameter:
            kind = self.draw(st.sampled_from(s.ParameterType))
            return s.Parameter(self.name(), kind, self.maybe(lambda: self.value(1)), span=ANYWHERE)

        return self.several(parameter)

    def imported(self) -> s.Import:
        def name() -> s.Imported:
            return s.Imported(self.name(), self.name(), span=ANYWHERE)

        path = self.draw(st.text(st.sampled_from("ab./ #:"), min_size=1))
        return s.Import(path, self.several(name, 1), span=ANYWHERE)

    def rule(self, deep: int) -> s.Rule:
        return s.Rule(self.name(), self.parameters(), self.relation(deep), self.documentation(), span=ANYWHERE)

    def pattern(self, deep: int) -> s.Pattern:
        def axis() -> s.Axis:
            return s.Axis(self.name(), self.maybe(lambda: self.term(1)), span=ANYWHERE)

        return s.Pattern(
            self.name(),
            self.parameters(),
            self.draw(st.sampled_from(s.Direction)),
            self.several(lambda: self.formula(deep)),
            self.several(lambda: s.Step(self.maybe(self.name), self.relation(deep), span=ANYWHERE), 1),
            self.several(lambda: self.claim(deep)),
            self.documentation(),
            self.maybe(lambda: s.Grid(self.several(axis, 1), span=ANYWHERE)),
            self.several(lambda: s.Learn(self.name(), self.call(deep), span=ANYWHERE)),
            span=ANYWHERE,
        )

    def plan(self, deep: int) -> s.Plan:
        def span() -> tuple[int, int]:
            low, high = sorted(self.draw(st.tuples(*[st.integers(0, LAST_LAYER)] * 2)))
            return low, self.draw(st.sampled_from([low, high]))

        def assignment() -> s.Assignment:
            layers, heads = (self.maybe(lambda: self.several(span, 1)) for _ in range(2))
            how = self.draw(st.sampled_from(s.Integration))
            return s.Assignment(layers, heads, self.call(deep), how, span=ANYWHERE)

        claims = self.several(lambda: self.plan_claim(deep))
        return s.Plan(self.name(), self.several(assignment, 1), self.documentation(), claims, span=ANYWHERE)

    def module(self, deep: int) -> s.Module:
        rules, patterns = self.several(lambda: self.rule(deep)), self.several(lambda: self.pattern(deep))
        plans, imports = self.several(lambda: self.plan(deep), 0, 1), self.several(self.imported)
        documentation = self.documentation()
        if (
            documentation is None
            and not imports
            and not patterns
            and not plans
            and rules
            and rules[0].documentation is not None
        ):
            documentation = "A text before the first rule documents the file."
        return s.Module(documentation, rules, patterns, plans, imports, span=ANYWHERE)


def _strategy(make: Callable[[Drawn, int], T]) -> st.SearchStrategy[T]:
    return st.composite(lambda draw: make(Drawn(draw), draw(DEPTH)))()


terms = _strategy(Drawn.term)
formulas = _strategy(Drawn.formula)
relations = _strategy(Drawn.relation)
values = _strategy(Drawn.value)
claims = _strategy(Drawn.claim)
plan_claims = _strategy(Drawn.plan_claim)
rules = _strategy(Drawn.rule)
patterns = _strategy(Drawn.pattern)
plans = _strategy(Drawn.plan)
modules = _strategy(Drawn.module)
