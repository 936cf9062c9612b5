"""The relation of an expression against the brute-force evaluator, which shares no code with it."""

from __future__ import annotations

import numpy as np
import pytest
from expressions import directions, expressions, pattern
from hypothesis import given, settings
from hypothesis import strategies as st

from patternc.compiler import bruteforce
from patternc.compiler.relations.integer import evaluate
from patternc.compiler.relations.isl.presburger import IntegerSet
from patternc.compiler.relations.relation import Relation
from patternc.patterns_dsl.syntax import Direction


def rasterize(relation: Relation, n: int) -> np.ndarray:
    """The relation as a bool matrix, through its closed form."""
    keep = relation.pairs.predicate(IntegerSet.parse(("i", "j"), "v_i >= 0 and v_j >= 0"))
    index = np.arange(n)
    mask = evaluate(keep, {"i": index[:, None], "j": index[None, :], "n": n}, np)
    return np.broadcast_to(np.asarray(mask, dtype=bool), (n, n))


@settings(max_examples=150, deadline=None)
@given(expressions, directions, st.integers(1, 24))
def test_relation_equals_brute_force(expression: str, direction: Direction, n: int) -> None:
    bound = pattern(expression, direction)
    expected = bruteforce.mask(bound.bound.union, direction, n)
    assert np.array_equal(rasterize(bound.relation, n), expected)


def test_every_operand_of_a_causal_product_is_causal() -> None:
    # i -> k -> j with k <= i and j <= k: without the rule, k could lie ahead of i.
    product = pattern("(strided(4) @ local(3))").relation
    assert product <= pattern("{ (i, j) : i - j <= i }").relation
    assert pattern("(local(3) @ strided(4))").relation.formula().involves("n") is False


@pytest.mark.parametrize(
    ("expression", "depends"),
    [("columns(last(3))", True), ("local(4)", False), ("columns(first(3)) | strided(5)", False)],
)
def test_only_rows_that_change_with_the_length_depend_on_it(expression: str, depends: bool) -> None:
    assert pattern(expression).depends_on_length is depends
