"""A tree is the tree of its text, and the text has no parentheses that could go."""

from __future__ import annotations

import pytest
import trees
from drawn_values import ANYWHERE
from hypothesis import given, settings

from patternc.library import catalogue
from patternc.patterns_dsl import syntax as s
from patternc.patterns_dsl.builtin.prelude import prelude
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.formatting.format import formatted
from patternc.patterns_dsl.formatting.spell import spell
from patternc.patterns_dsl.parsing.parse import lexemes, parse, parse_value


def module(text: str) -> s.Module:
    return parse(Source("spelled", text))


def rule(text: str) -> s.Expression:
    return module(f"rule r = {text}").rules[0].body


def pattern(text: str) -> s.Pattern:
    return module(f"pattern p causal {{ {text} step self }}").patterns[0]


def plan(text: str) -> s.Plan:
    return module(f"plan p {{ layers all : dense {text} }}").plans[0]


class TestTheTreeOfTheText:
    @given(trees.relations)
    @settings(deadline=None)
    def test_of_relations(self, tree: s.Expression) -> None:
        assert rule(spell(tree)) == tree

    @given(trees.values)
    @settings(deadline=None)
    def test_of_arguments(self, tree: s.Value) -> None:
        assert parse_value(Source("value", spell(tree, argument=True))) == tree

    @given(trees.terms, trees.formulas)
    @settings(deadline=None)
    def test_of_terms_and_formulas(self, term: s.Term, formula: s.Formula) -> None:
        positive = s.Comparison((term, s.Integer(0, span=ANYWHERE)), (">",), span=ANYWHERE)
        assert pattern(f"require {spell(formula)} require {spell(term)} > 0").requirements == (formula, positive)

    @given(trees.claims, trees.claims)
    @settings(deadline=None)
    def test_of_claims(self, first: s.Claim, second: s.Claim) -> None:
        assert pattern(f"{spell(first)} {spell(second)}").claims == (first, second)

    @given(trees.plan_claims, trees.plan_claims)
    @settings(deadline=None)
    def test_of_claims_of_plans(self, first: s.PlanClaim, second: s.PlanClaim) -> None:
        assert plan(f"{spell(first)} {spell(second)}").claims == (first, second)

    @given(trees.rules, trees.patterns, trees.plans)
    @settings(deadline=None)
    def test_of_declarations(self, rule: s.Rule, pattern: s.Pattern, plan: s.Plan) -> None:
        tree = module("\n".join(['"""File."""', spell(rule), spell(pattern), spell(plan)]))
        assert (tree.rules, tree.patterns, tree.plans) == ((rule,), (pattern,), (plan,))

    @given(trees.modules)
    @settings(deadline=None)
    def test_of_files(self, tree: s.Module) -> None:
        assert module(spell(tree)) == tree

    @pytest.mark.parametrize("name", catalogue.names())
    def test_of_stock_files(self, name: str) -> None:
        tree = parse(catalogue.source(name))
        assert module(spell(tree)) == tree

    def test_of_the_prelude(self) -> None:
        assert module(spell(prelude())) == prelude()


@given(trees.relations)
@settings(deadline=None)
def test_no_parentheses_can_go(tree: s.Expression) -> None:
    words = [lexeme.text for lexeme in lexemes(Source("spelled", spell(tree)))]
    opened = list[int]()
    for end, word in enumerate(words):
        if word == "(":
            opened.append(end)
        elif word == ")":
            start = opened.pop()
            without = " ".join([*words[:start], *words[start + 1 : end], *words[end + 1 :]])
            try:
                other = rule(without)
            except PatternError:
                continue
            assert other != tree


@given(trees.rules)
@settings(deadline=None)
def test_its_spaces_are_those_of_the_formatter(tree: s.Rule) -> None:
    text = f'"""File."""\n\n{spell(tree)}\n'
    if len(text.splitlines()[-1]) <= 120:
        assert formatted(Source("spelled", text)).splitlines()[-1] == text.splitlines()[-1]


class TestWhereReadingsDiffer:
    @pytest.mark.parametrize(
        "text",
        [
            "f(a - b)",
            "f(a() - b)",
            "f(a() - b - c)",
            "f(a() - (b - c))",
            "f(a - b - first(2))",
            "f(a)",
            "f(a())",
            "f(abs(a) - min(b, 2))",
            "min(a, b) - c()",
            "a() - min(b)",
            "a - b - min(c())",
            "(a - b) @ c - -2^-3 * f(-(a + 1) mod 3)".replace(" - -2^-3 * ", " | "),
        ],
    )
    def test_names_are_numbers_or_relations(self, text: str) -> None:
        assert spell(rule(text)) == text

    @pytest.mark.parametrize(
        "text",
        [
            "(a = 1 and exists k : k = b) or c = d",
            "a = 1 and (exists k : k = b) and c = d",
            "not (exists k : k = b) or exists m in 0..n - 1 : m = b or m = c",
            "not exists k : k = b and c = d",
            "(a = b or c = d) and not (a = b and c = d)",
            "a = b or (c = d or e = f)",
            "(i + 1).row = -(j^-2)^3 div 2 * (k div 4)",
            "a - (b - c) < -a - -b <= 2^(3^4)^5",
        ],
    )
    def test_formulas_keep_what_parentheses_they_need(self, text: str) -> None:
        tree = pattern(f"require {text}").requirements[0]
        assert pattern(f"require {spell(tree)}").requirements == (tree,)
        assert spell(tree).count("(") <= text.count("(")

    @pytest.mark.parametrize(
        "text",
        [
            "prove (keys) <= r",
            "prove (density) <= r at n = 4",
            "prove keys = r",
            "prove keys | a <= r",
            "prove (disjoint(a, b) | c) <= r",
            "prove (disjoint(a, b)) = r",
            "prove disjoint(a, b)",
            "prove (disjoint(a, b) | c) @ d = r",
            "prove causal <= symmetric",
            "prove cache <= 2 * keys at nq = 4, nk = 2^3",
            "prove reach in any steps",
            "prove reach in 1 step in any layer order",
            "prove not reach",
        ],
    )
    def test_claims_begin_with_words_that_are_names(self, text: str) -> None:
        assert spell(pattern(text).claims[0]) == text

    @pytest.mark.parametrize(
        "text",
        [
            "prove reach in (any) layers",
            "prove reach in (any - 1) layers",
            "prove reach in any any layers",
            "prove not reach in any 1 layer",
            "prove reach at n = 64",
        ],
    )
    def test_claims_of_plans(self, text: str) -> None:
        assert spell(plan(text).claims[0]) == text

    def test_documentation_goes_where_it_documents_the_same(self) -> None:
        documented = module('pattern p causal { """Inside.""" step self }')
        assert spell(documented) == 'pattern p causal {\n    """Inside."""\n    step self\n}\n'
        with_rule = module('pattern p causal { step self } """Of the rule.""" rule r = self')
        assert module(spell(with_rule)) == with_rule

    @pytest.mark.parametrize("text", ["", "a", 'say "a"', '"', 'two\n\n  lines"', "  indented\n  all", "a\n  b\n  c"])
    def test_documentation_is_what_the_docstring_says(self, text: str) -> None:
        tree = module(f'"""\n{text}\n"""\npattern p causal {{ """\n{text}\n""" step self }}')
        assert module(spell(tree)) == tree
