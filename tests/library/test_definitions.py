"""Each stock pattern against its index set, written independently from the paper."""

from __future__ import annotations

import numpy as np
import pytest
from definitions import CROSS, DEFINITIONS, Definition, Mask

from patternc.compiler.bruteforce import mask
from patternc.compiler.pattern import load
from patternc.library import catalogue
from patternc.patterns_dsl.syntax import BoundPattern, Direction, Drawn, Expression, Pairs, Union

PATTERNS = [(file, name) for file in catalogue.names() for name in load(f"library:{file}").patterns]
ALONE = [(file, name) for file, name in PATTERNS if name not in CROSS]


def bound(file: str, name: str) -> BoundPattern:
    """The pattern with the parameters that its definition is written for."""
    return load(f"library:{file}")[name].bind(**DEFINITIONS[name].parameters).bound


def test_every_pattern_has_a_definition_and_every_definition_a_pattern() -> None:
    assert {name for _, name in PATTERNS} == set(DEFINITIONS)


@pytest.mark.parametrize(("file", "name"), [(f, n) for f, n in ALONE if DEFINITIONS[n].drawn is None])
def test_the_keys_of_each_query(file: str, name: str) -> None:
    pattern, definition = bound(file, name), DEFINITIONS[name]
    for n in definition.lengths:
        i, j = np.arange(n)[:, None], np.arange(n)[None, :]
        may = mask(pattern.union, pattern.direction, n, choice="may")
        assert np.array_equal(may, definition.may(i, j, n)), n
        must = mask(pattern.union, pattern.direction, n, choice="must")
        assert np.array_equal(must, (definition.must or definition.may)(i, j, n)), n


@pytest.mark.parametrize("name", CROSS)
def test_the_keys_of_each_query_of_two_sequences(name: str) -> None:
    pattern, definition = bound("granular", name), DEFINITIONS[name]
    for nq, nk in ((1, 1), (1, 7), (2, 1), (9, 4), (30, 31)):
        i, j = np.arange(nq)[:, None], np.arange(nk)[None, :]
        assert np.array_equal(mask(pattern.union, pattern.direction, nq, nk, choice="may"), definition.may(i, j, nq))
        assert definition.must is not None
        assert np.array_equal(mask(pattern.union, pattern.direction, nq, nk, choice="must"), definition.must(i, j, nq))


@pytest.mark.parametrize(("file", "name"), [(f, n) for f, n in ALONE if DEFINITIONS[n].drawn is not None])
def test_the_keys_of_each_query_where_blocks_are_drawn(file: str, name: str) -> None:
    pattern, definition = bound(file, name), DEFINITIONS[name]
    assert definition.drawn is not None
    count, size = definition.drawn
    for n in definition.lengths:
        i, j = np.arange(n)[:, None], np.arange(n)[None, :]
        drawn = _drawn(pattern, n)
        assert np.array_equal(mask(pattern.union, pattern.direction, n), definition.may(i, j, n) | drawn), n
        causal = pattern.direction is Direction.CAUSAL
        _is_a_table(drawn, count, size, causal=causal)


def _drawn(pattern: BoundPattern, n: int) -> Mask:
    """The random term of a pattern, alone."""

    def random_terms(expression: Expression) -> list[Expression]:
        match expression:
            case Union(left, right):
                return random_terms(left) + random_terms(right)
            case Pairs(_, _, Drawn()):
                return [expression]
            case _:
                return []

    (term,) = random_terms(pattern.union)
    return mask(term, pattern.direction, n)


def _is_a_table(drawn: Mask, count: int, size: int, *, causal: bool) -> None:
    """Whole blocks, the same for the queries of a block, as many as are drawn of those that there are."""
    n = len(drawn)
    blocks = -(-n // size)
    table = np.zeros((blocks, blocks), dtype=bool)
    for a in range(blocks):
        for b in range(blocks):
            part = drawn[a * size : (a + 1) * size, b * size : (b + 1) * size]
            expected = np.tril(np.ones_like(part)) if causal and a == b else np.ones_like(part)
            table[a, b] = part.any()
            assert np.array_equal(part, expected if part.any() else np.zeros_like(part))
    there = np.arange(1, blocks + 1) if causal else np.full(blocks, blocks)
    assert np.array_equal(table.sum(axis=1), np.minimum(there, count))


def test_a_definition_that_is_wrong_is_noticed() -> None:
    pattern, n = bound("sliding_window", "sliding_window"), 64
    i, j = np.arange(n)[:, None], np.arange(n)[None, :]
    off_by_one = Definition(lambda i, j, n: (i - j >= 0) & (i - j < 8))
    assert not np.array_equal(mask(pattern.union, pattern.direction, n), off_by_one.may(i, j, n))
