"""The strategies: every text binds, the whole language occurs, and failures shrink to small files."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import hypothesis
import pytest
from hypothesis import Phase, given, seed, settings
from hypothesis import strategies as st
from sampling import sample

import patternc as pc
from patternc import testing
from patternc.patterns_dsl import syntax
from patternc.patterns_dsl.binding.idle import idle_rules
from patternc.patterns_dsl.builtin.natives import NATIVES
from patternc.patterns_dsl.builtin.prelude import prelude
from patternc.patterns_dsl.builtin.selectors import KINDS
from patternc.patterns_dsl.syntax import Direction, Node

DIRECTIONS = list(Direction)


def nodes(tree: Any) -> Iterator[Node]:
    if isinstance(tree, tuple):
        for each in tree:
            yield from nodes(each)
    elif isinstance(tree, Node):
        yield tree
        for field in fields(tree):
            yield from nodes(getattr(tree, field.name))


# --- every text binds ---


@settings(max_examples=120, deadline=None)
@given(st.data(), st.sampled_from(DIRECTIONS))
def test_texts_bind_where_they_are_meant_to_stand(data: st.DataObject, direction: Direction) -> None:
    outside = testing.vocabulary(direction)
    inside = outside.within("i", "j")
    relation = data.draw(testing.relations(outside))
    term, formula = data.draw(testing.terms(inside)), data.draw(testing.formulas(inside))
    positions = data.draw(testing.sets(outside))
    rule = data.draw(testing.rules(outside))
    body = f"step {relation} step {{ (i, j) : {term} < {term} and ({formula}) }} step columns({positions})"
    module = pc.loads(f"{rule}\npattern p {direction} {{ {body} }}")
    assert len(module["p"].bound.steps) == 3
    assert list(idle_rules(module.tree)) == []


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(DIRECTIONS), st.booleans())
def test_files_bind(data: st.DataObject, direction: Direction, learned: bool) -> None:
    module = data.draw(testing.modules(direction=direction, learned=learned, patterns=2, plans=1))
    assert {pattern.bound.direction for pattern in module.patterns.values()} == {direction}
    assert module.plans["model"].bound.assignments
    assert list(idle_rules(module.tree)) == []


@settings(max_examples=40, deadline=None)
@given(testing.patterns(learned=False, tables=False, summaries=False, claims=False))
def test_what_is_asked_to_be_left_out_is(pattern: pc.Pattern) -> None:
    assert not pattern.union.opens and not pattern.union.drawn
    assert pattern.bound.claims == () == pattern.bound.selectors
    assert not re.search(r"\bpooled\b", pattern.module.source.text)


# --- the whole language occurs ---


@pytest.fixture(scope="module")
def drawn() -> list[syntax.Module]:
    strategies = [testing.modules(direction=each, learned=True, plans=1, patterns=1, depth=2) for each in DIRECTIONS]
    return [module.tree for strategy in strategies for module in sample(strategy, 200)]


def test_every_kind_of_node_occurs(drawn: list[syntax.Module]) -> None:
    found = {type(node) for module in drawn for node in nodes(module)}
    made_by_binding = {"Chosen", "Drawn", "Example", "Pooled", "Bound", "BoundPattern", "BoundPlan", "Selector"}
    of_imports = {"Import", "Imported", "Link"}
    public = {name: getattr(syntax, name) for name in dir(syntax)}
    kinds = {name for name, kind in public.items() if isinstance(kind, type) and issubclass(kind, Node)}
    missing = kinds - {kind.__name__ for kind in found} - made_by_binding - of_imports - {"Node", "ClaimBase"}
    assert missing == set()


def test_every_operator_and_function_occurs(drawn: list[syntax.Module]) -> None:
    everything = [node for module in drawn for node in nodes(module)]
    assert {n.operator for n in everything if isinstance(n, syntax.Arithmetic)} == {"+", "-", "*", "div", "mod", "^"}
    compared = {each for n in everything if isinstance(n, syntax.Comparison) for each in n.operators}
    assert compared == {"<", "<=", ">", ">=", "=", "!="}
    assert {n.name for n in everything if isinstance(n, syntax.Function)} == {"abs", "min", "max"}
    assert {n.bounds is None for n in everything if isinstance(n, syntax.Exists)} == {True, False}


def test_every_rule_selector_and_word_occurs(drawn: list[syntax.Module]) -> None:
    everything = [node for module in drawn for node in nodes(module)]
    called = {node.name for node in everything if isinstance(node, syntax.Call)}
    assert {rule.name for rule in prelude().rules} | set(NATIVES) | set(KINDS) <= called
    assert {n.integration for n in everything if isinstance(n, syntax.Assignment)} == set(syntax.Integration)
    assert {n.type for n in everything if isinstance(n, syntax.Parameter)} == set(syntax.ParameterType)
    reaches = {(n.steps is None, n.negated, n.any_order) for n in everything if isinstance(n, syntax.Reach)}
    assert reaches >= {(False, False, False), (True, False, True), (False, True, False), (True, True, False)}
    assert any(pattern.requirements for module in drawn for pattern in module.patterns)
    assert any(rule.documentation for module in drawn for rule in module.rules)


# --- shrinking ---


def smallest(strategy: st.SearchStrategy[Any], condition: Any) -> Any:
    return hypothesis.find(strategy, condition, settings=settings(max_examples=500, database=None))


def test_relations_shrink_to_small_ones() -> None:
    assert smallest(testing.relations(), lambda text: "@" in text) == "self @ self"
    assert smallest(testing.formulas(), lambda text: "exists" in text and "in 0" in text).startswith("exists k in 0..")


def test_a_failing_test_shows_a_small_file() -> None:
    @seed(0)
    @settings(max_examples=3000, database=None, deadline=None, phases=[Phase.generate, Phase.shrink])
    @given(testing.patterns(direction="causal", claims=False, depth=1))
    def fails(pattern: pc.Pattern) -> None:
        assert "dilate" not in pattern.bound.steps[0].body.span.text

    with pytest.raises(AssertionError) as caught:
        fails()
    shown = "\n".join(caught.value.__notes__)
    assert "\n    step dilate(self, 1)\n}" in shown


# --- what it costs to import ---


def test_importing_it_imports_neither_hypothesis_nor_torch() -> None:
    code = (
        "import sys, patternc.testing, patternc.testing.plugin; print('hypothesis' in sys.modules);"
        "from patternc.testing import attention_inputs, patterns; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_public_names() -> None:
    for name in testing.__all__:
        assert getattr(testing, name) is not None
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        testing.nonsense  # noqa: B018
