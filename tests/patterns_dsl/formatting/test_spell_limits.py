"""Trees that have no text, trees in core form, and deep ones."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import Any

import pytest
from drawn_values import ANYWHERE

import patternc as pc
from patternc.library import catalogue
from patternc.patterns_dsl import syntax as s
from patternc.patterns_dsl.diagnostics import codes
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.formatting.format import formatted
from patternc.patterns_dsl.formatting.pieces import Unspellable
from patternc.patterns_dsl.formatting.spell import spell
from patternc.patterns_dsl.parsing.parse import parse


def module(text: str) -> s.Module:
    return parse(Source("spelled", text))


def rule(text: str) -> s.Expression:
    return module(f"rule r = {text}").rules[0].body


def pattern(text: str) -> s.Pattern:
    return module(f"pattern p causal {{ {text} step self }}").patterns[0]


def plan(text: str) -> s.Plan:
    return module(f"plan p {{ layers all : dense {text} }}").plans[0]


class TestWhatHasNoText:
    @pytest.mark.parametrize("documentation", ['a """ b', " a", "a\n"])
    def test_documentation(self, documentation: str) -> None:
        with pytest.raises(Unspellable, match="no docstring says"):
            spell(s.Module(documentation, (), (), (), span=ANYWHERE))

    def test_a_documented_rule_at_the_top_of_a_file(self) -> None:
        documented = s.Rule("r", (), s.Call("self", span=ANYWHERE), "Text.", span=ANYWHERE)
        assert spell(documented) == '"""Text."""\nrule r = self'
        with pytest.raises(Unspellable, match="documents the file"):
            spell(s.Module(None, (documented,), (), (), span=ANYWHERE))

    def test_a_selection_without_its_pattern(self) -> None:
        learned = pc.loads("pattern p causal { learn hot = topk_blocks(k = 2, block = 4) step self | select(hot) }")
        with pytest.raises(Unspellable, match="`hot` decides pairs"):
            spell(learned["p"].bind().bound.steps[0])

    def test_a_node_that_is_a_part_of_others(self) -> None:
        with pytest.raises(TypeError, match="Lengths"):
            spell(s.Lengths((), span=ANYWHERE))


CORE = """
pattern important bidirectional { learn hot = importance(budget = 7%) step local(3) | axis(hot) | pooled(4) }
pattern rolled bidirectional { step local(3) | random(2, 4, 1) prove density <= 10% at n = 64 }
pattern pixels causal grid(y, x = 8) { step { (i, j) : i.x = j.x or abs(i.y - j.y) < 2 } - not dilate(local(2), 3) }
pattern packed causal { step local(3) & document(ids) - block(2) }
pattern hot causal { learn hot = topk_keys(k = 3, tile = 2) learn fine = granularity(block = 4, levels = [skip, fine])
    step self | select(hot) step refine(fine) }
pattern hops causal { step local(2) @ strided(3) | transpose(block(4)) prove symmetric prove keys <= 9 }
pattern two cross { step { (i, j) : 2 * i - -3 > j } prove disjoint(self, self) at nq = 4, nk = 8 }
"""


class TestCoreForm:
    @pytest.mark.parametrize("reference", [f"library:{name}" for name in catalogue.names()])
    def test_of_stock_patterns(self, reference: str) -> None:
        for pattern in pc.load(reference).values():
            self.check(pattern)

    def test_of_what_else_there_is(self) -> None:
        for pattern in pc.loads(CORE).values():
            self.check(pattern)

    def test_of_a_table_in_a_formula(self) -> None:
        """Membership in it is bound to the pairs of the direction each time anew: the mask is what stays."""
        text = "pattern p causal { step not { (i, j) : i < j + 4 and (i, j) in random(3) } | self }"
        pattern = pc.loads(text)["p"]
        assert (pc.loads(spell(pattern.bind().bound))["p"].mask(24) == pattern.mask(24)).all()

    def test_of_negative_numbers(self) -> None:
        """Binding makes one number of a sign and its digits; the text has both again."""
        three, two = (s.Integer(value, span=ANYWHERE) for value in (-3, 2))
        assert spell(s.Arithmetic("*", three, three, span=ANYWHERE)) == "-3 * -3"
        assert spell(s.Arithmetic("^", three, two, span=ANYWHERE)) == "(-3)^2"
        assert spell(s.Coordinate(three, "row", span=ANYWHERE)) == "(-3).row"

    def test_a_gate_is_named_when_it_is_bound(self) -> None:
        bound = pc.loads("pattern p causal { step self | gated local(2) }")["p"].bind().bound
        again = pc.loads(spell(bound))["p"].bind().bound
        gated, other = (each.steps[0].body.right for each in (bound, again))
        assert (gated.gate, other.gate) == ("gated local(2)", "gated { (i, j) : -2 < i - j < 2 }")
        assert gated.operand == other.operand

    def check(self, pattern: pc.Pattern) -> None:
        bound = pattern.bind().bound
        again = pc.loads(spell(bound))[bound.name].bind().bound
        assert [ungated(step) for step in again.steps] == [ungated(step) for step in bound.steps]
        assert again.claims == bound.claims
        assert (again.name, again.direction, again.selectors) == (bound.name, bound.direction, bound.selectors)
        assert again.documentation == bound.documentation


def ungated(node: Any) -> Any:
    """A step or its relation without the names of its gates, which are the texts that they were bound from."""
    match node:
        case s.Step(_, body):
            return replace(node, body=ungated(body))
        case s.Union(left, right):
            return replace(node, left=ungated(left), right=ungated(right))
        case s.Gated(operand):
            return replace(node, operand=ungated(operand), gate="")
        case _:
            return node


class TestDepth:
    def test_far_beyond_what_python_recurses(self) -> None:
        leaf: s.Expression = s.Call("a", span=ANYWHERE)
        many = [leaf] * 2000
        left = reduce(lambda first, second: s.Union(first, second, span=ANYWHERE), many)
        right = reduce(lambda first, second: s.Difference(second, first, span=ANYWHERE), many)
        assert spell(left) == " | ".join(["a"] * 2000)
        assert spell(right) == "a - (" * 1998 + "a - a" + ")" * 1998
        assert spell(reduce(lambda inner, _: s.Complement(inner, span=ANYWHERE), many, leaf)) == "not " * 2000 + "a"

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("a - (", ")"),
            ("f(", ")"),
            ("not ", ""),
            ("{ j : j in ", " }"),
            ("{ j : j = 0 and (j = 1 or j in ", ") }"),
            ("{ j : exists k in 1..2 : j in ", " }"),
        ],
    )
    def test_to_the_limit_of_the_parser(self, before: str, after: str) -> None:
        accepted = [tree for level in range(1, 110) if (tree := attempt(before * level + "a | b" + after * level))]
        assert 10 < len(accepted) < 109
        deepest = accepted[-1]
        assert rule(spell(deepest)) == deepest
        text = formatted(Source("deep", f"rule r = {spell(deepest)}"))
        assert module(text).rules[0].body == deepest


def attempt(text: str) -> s.Expression | None:
    try:
        return rule(text)
    except PatternError as error:
        assert {diagnostic.code for diagnostic in error.diagnostics} == {codes.NESTING}  # noqa: PT017
        return None
