"""Binding: values, expansion to core form, and names that are not captured."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from patternc.compiler.bruteforce import mask
from patternc.patterns_dsl import syntax as s
from patternc.patterns_dsl.binding.bind import bind
from patternc.patterns_dsl.binding.given import Given
from patternc.patterns_dsl.binding.plans import bind_plan
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.parsing.parse import parse

N = 13


def bound(text: str, pattern: str = "p", **arguments: Given) -> s.BoundPattern:
    return bind(parse(Source("test.pat", text)), pattern, arguments)


def pairs(text: str, direction: str = "bidirectional", rules: str = "", **arguments: Given) -> np.ndarray[Any, Any]:
    pattern = bound(f"{rules} pattern p {direction} {{ step {text} }}", **arguments)
    assert_core(pattern)
    return mask(pattern.union, pattern.direction, N)


def same(text: str, other: str, rules: str = "") -> bool:
    return np.array_equal(pairs(text, rules=rules), pairs(other, rules=rules))


def nodes(node: object) -> list[s.Node]:
    if isinstance(node, tuple):
        return [each for part in node for each in nodes(part)]
    if not isinstance(node, s.Node):
        return []
    return [node, *(each for part in fields(node) for each in nodes(getattr(node, part.name)))]


def assert_core(pattern: s.BoundPattern) -> None:
    """Only core nodes, and every name bound or a length."""

    def names(node: object, known: frozenset[str]) -> None:
        match node:
            case s.Pairs(query, key, formula):
                assert not {query, key} & known, "a binder hides another"
                names(formula, known | {query, key})
            case s.Exists(variable, body, bounds):
                assert bounds is None
                assert variable not in known, "a binder hides another"
                names(body, known | {variable})
            case s.Name(name):
                assert name in known
            case s.Node():
                assert not isinstance(node, s.Call | s.Elements | s.Membership | s.Positions)
                assert not (isinstance(node, s.Arithmetic) and node.operator == "^")
                for part in fields(node):
                    names(getattr(node, part.name), known)
            case tuple():
                for part in node:
                    names(part, known)

    lengths = frozenset({"nq", "nk"} if pattern.direction is s.Direction.CROSS else {"n"})
    names((pattern.steps, pattern.claims), lengths)


def test_parameters_get_defaults_and_values() -> None:
    text = (
        "pattern p(w: int = 3, twice: int = 2 * w, d: ratio = 10%, g: set = first(w)) bidirectional { step local(w) }"
    )
    assert bound(text).arguments[:3] == (("w", 3), ("twice", 6), ("d", 0.1))
    assert dict(bound(text, w=5).arguments)["twice"] == 10
    assert dict(bound(text, w="2^3", d=0.5).arguments)["w"] == 8
    assert dict(bound(text, d="25%").arguments)["d"] == 0.25
    assert isinstance(dict(bound(text, g="{0, 5..9}").arguments)["g"], s.Positions)


def test_a_set_argument_is_text_or_an_expression() -> None:
    text = "pattern p(g: set) bidirectional { step columns(g) }"
    expected = np.zeros((N, N), dtype=bool)
    expected[:, [0, 5, 6, 7]] = True
    for given in ("{0, 5..7}", s.Elements(((number(0), number(0)), (number(5), number(7))), span=number(0).span)):
        assert np.array_equal(mask(bound(text, g=given).union, s.Direction.BIDIRECTIONAL, N), expected)


def number(value: int) -> s.Integer:
    tree = parse(Source("number", f"rule r = {{{value}}}"))
    assert isinstance(tree.rules[0].body, s.Elements)
    term = tree.rules[0].body.intervals[0][0]
    assert isinstance(term, s.Integer)
    return term


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("local(3)", "{ (i, j) : i - j < 3 and j - i < 3 }"),
        ("band(2, 1)", "{ (i, j) : i - 2 <= j <= i + 1 }"),
        ("strided(4)", "{ (i, j) : i mod 4 = j mod 4 }"),
        ("block(4)", "{ (i, j) : exists b : 4 * b <= i < 4 * b + 4 and 4 * b <= j < 4 * b + 4 }"),
        ("fixed(4, 1)", "columns({3, 7, 11})"),
        ("fixed(l = 5, c = 2)", "columns({3..4, 8..9})"),
        ("self", "{ (i, j) : i = j }"),
        ("causal", "{ (q, k) : q >= k }"),
        ("everything", "self | not self"),
        ("columns(first(2))", "{ (i, j) : j = 0 or j = 1 }"),
        ("rows(last(2))", "{ (i, j) : i >= n - 2 }"),
        ("axis({3})", "rows({3}) | columns({3})"),
        ("global({3})", "axis({3})"),
        ("columns(first(5) - {2..3} | {9})", "columns({0..1, 4, 9})"),
        ("columns(not first(5) & { t : t mod 2 = 0 })", "columns({6, 8, 10, 12})"),
        ("columns({})", "everything - everything"),
        ("columns({n - 1})", "columns(last(1))"),
        ("{ (i, j) : exists k in 0..2 : i - j = 2^k }", "{ (i, j) : i - j = 1 or i - j = 2 or i - j = 4 }"),
        ("{ (i, j) : exists k in 3..2 : i = j }", "columns({})"),
        ("{ (i, j) : j in first(i) }", "causal - self"),
        ("{ (i, j) : 2 * 3 - 1 <= i div (1 + 1) * 2 }", "rows(not first(6))"),
    ],
)
def test_the_prelude_and_the_forms_of_sets(text: str, meaning: str) -> None:
    assert same(text, meaning)


def test_a_computed_term_is_in_a_set_only_if_it_is_a_position() -> None:
    assert same("{ (i, j) : j + 1 in not {4} }", "{ (i, j) : j + 1 < n and j != 3 }")
    assert same("{ (i, j) : j - 1 in first(2) }", "columns({1, 2})")


def test_variables_are_not_captured() -> None:
    rules = "rule later(s: set) = { j : exists k : k in s and k < j } rule shift(s: set) = { k : k + 1 in s }"
    assert same("{ (k, i) : i in later({ j : j = 3 }) }", "columns(not first(4))", rules)
    assert same("{ (i, k) : exists j : j = k + 1 and j in later({ i : i = 3 }) }", "columns({3..n - 2})", rules)
    assert same("columns(shift(shift({4})))", "columns({2})", rules)
    # The variable of the caller keeps its meaning inside the set that it wrote.
    assert same("{ (k, j) : j in later({ t : t = k }) }", "{ (i, j) : i < j }", rules)


def test_a_file_may_replace_a_rule_of_the_prelude() -> None:
    assert same("local(2)", "self", "rule local(w: int) = { (i, j) : i = j }")
    # axis of the prelude keeps calling the rows of the prelude.
    assert same("axis({3})", "rows({3}) | columns({3})", "rule cells = self")
    assert np.array_equal(pairs("axis({3})", rules="rule rows(s: set) = self"), pairs("axis({3})"))


def test_steps_are_known_to_later_steps_and_to_claims() -> None:
    pattern = bound(
        "pattern p causal { step a = self step local = local(2) step a @ local prove a <= local at n = 2^3 }"
    )
    assert_core(pattern)
    claim = pattern.claims[0]
    assert isinstance(claim, s.Subset)
    assert claim.at is not None and claim.at.values == (8,)
    assert claim.left == pattern.steps[0].body
    assert claim.right == pattern.steps[1].body
    assert pattern.steps[2].body == s.Composition(claim.left, claim.right, span=claim.span)


def test_a_step_hides_no_relation_of_the_language_that_takes_arguments() -> None:
    pattern = bound(
        "pattern p causal { step blocks = local(3) step local = self step local(3) | blocks(self, 4) | blocks }"
    )
    again = bound("pattern p causal { step local(3) step self step local(3) | blocks(self, 4) | local(3) }")
    first, second = (mask(each.steps[2].body, each.direction, 12) for each in (pattern, again))
    assert np.array_equal(first, second)


def test_the_union_of_the_steps() -> None:
    pattern = bound("pattern p causal { step self step rows({1}) step columns({2}) }")
    assert isinstance(pattern.union, s.Union)
    assert same("self | rows({1}) | columns({2})", "(self | rows({1})) | columns({2})")


def test_expanded_relations_point_at_the_call() -> None:
    step = bound("pattern p causal { step axis({3}) | self }").steps[0]
    assert isinstance(step.body, s.Union)
    assert isinstance(step.body.left, s.Union)
    assert step.body.left.left.span.text == "axis({3})"
    assert step.body.right.span.text == "self"


def test_claims_of_steps_are_folded() -> None:
    pattern = bound(
        "pattern p(k: int = 3) causal { step self prove not reach in 2 * k steps at n = k^2 prove not reach }"
    )
    assert pattern.claims[0] == s.Reach(
        number(6), True, at=s.Lengths((("n", number(9)),), span=pattern.span), span=pattern.span
    )
    assert pattern.claims[1] == s.Reach(None, True, span=pattern.span)


def test_cross_patterns_have_two_lengths() -> None:
    pattern = bound("pattern p cross { step { (i, j) : j - nk = i - nq and 2 * j in {0, 2..4} } }")
    assert_core(pattern)
    expected = np.zeros((4, 5), dtype=bool)
    expected[0, 1] = expected[1, 2] = True
    assert np.array_equal(mask(pattern.union, pattern.direction, 4, 5), expected)


def test_plans() -> None:
    stock = parse(Source("stock", "rule own = self pattern dense(w: int = 1) causal { require w < 9 step own }"))
    tree = parse(
        Source("test.pat", "pattern p(w: int) causal { step local(w) } plan x { layers 1 : p(2) layers 0 : dense }")
    )
    lines = bind_plan(tree, "x", stock={"dense": stock}.get).assignments
    assert [pattern.name for _, pattern in lines] == ["p", "dense"]
    assert lines[0][1].arguments == (("w", 2),)
    assert bind(tree, "dense", {}, stock={"dense": stock}.get).name == "dense"

    wrong = parse(Source("test.pat", "plan x { layers 0 : dense(w = 9) layers 1 : dence layers 2 : dense(v = 1) }"))
    with pytest.raises(PatternError) as raised:
        bind_plan(wrong, "x", stock={"dense": stock}.get)
    assert [diagnostic.code for diagnostic in raised.value.diagnostics] == ["P208", "P215", "P205"]
    with pytest.raises(PatternError, match="P215"):
        bind_plan(wrong, "y")


def test_rules_that_blow_up_are_refused() -> None:
    rules = "rule r0 = self " + " ".join(f"rule r{k} = r{k - 1} | r{k - 1}" for k in range(1, 30))
    with pytest.raises(PatternError, match="P214"):
        bound(f"{rules} pattern p causal {{ step r29 }}")
    chain = "rule r0 = self " + " ".join(f"rule r{k} = not r{k - 1}" for k in range(1, 900))
    with pytest.raises(PatternError, match="P104"):
        bound(f"{chain} pattern p causal {{ step r899 }}")


def test_numbers_of_any_type_and_nothing_else_from_python() -> None:
    text = "pattern p(w: int, d: ratio = 10%) causal { learn a = importance(budget = d) step local(w) | columns(a) }"
    pattern = bound(text, w=np.int64(3), d=np.float32(0.25))  # type: ignore[arg-type]
    assert (dict(pattern.arguments)["w"], dict(pattern.arguments)["d"]) == (3, 0.25)
    for value in ([3], None, np.arange(2), 1j):
        with pytest.raises(PatternError, match=r"P206.*is no value for a parameter: give a number, or text"):
            bound(text, w=value)  # type: ignore[arg-type]
