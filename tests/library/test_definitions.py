"""Each stock pattern against its index set written independently, and each of its claims by brute force."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

import numpy as np
import pytest

from patternc.compiler.bruteforce import Mask, hops, mask, reachable_ever
from patternc.library import catalogue
from patternc.patterns_dsl import syntax as s
from patternc.patterns_dsl.binding.bind import bind
from patternc.patterns_dsl.parsing.parse import parse

Index = np.ndarray[Any, np.dtype[np.int64]]

# name of the pattern: small parameters, and the keys of query i as the paper has them, within j <= i when causal
DEFINITIONS: dict[str, tuple[dict[str, int | str], Callable[[Index, Index, int], Mask]]] = {
    "dense": ({}, lambda i, j, n: j <= i),
    "sliding_window": ({"w": 7}, lambda i, j, n: (i - j >= 0) & (i - j < 7)),
    "streaming": ({"sink": 3, "w": 5}, lambda i, j, n: (j <= i) & ((j < 3) | (i - j < 5))),
    "strided_factorized": ({"l": 6}, lambda i, j, n: (j <= i) & ((i - j < 6) | ((i - j) % 6 == 0))),
    "fixed_factorized": (
        {"l": 8, "c": 3},
        lambda i, j, n: (j <= i) & ((j // 8 == i // 8) | np.isin(j % 8, [5, 6, 7])),
    ),
    "longformer": (
        {"w": 4, "g": "{0, 9}"},
        lambda i, j, n: (abs(i - j) <= 3) | np.isin(i, [0, 9]) | np.isin(j, [0, 9]),
    ),
    "dilated_window": ({"w": 4, "d": 3}, lambda i, j, n: np.isin(i - j, [0, 3, 6, 9])),
    "dilated_window_bridged": ({"w": 4, "d": 3}, lambda i, j, n: np.isin(i - j, [0, 1, 2, 3, 6, 9])),
    "logsparse": ({"levels": 8}, lambda i, j, n: np.isin(i - j, [0, 1, 2, 4, 8, 16, 32, 64, 128])),
    "axial": ({"width": 5}, lambda i, j, n: (j <= i) & ((i // 5 == j // 5) | (i % 5 == j % 5))),
    "axial_wrapped": ({"width": 5}, lambda i, j, n: (j <= i) & ((i - j < 5) | (i % 5 == j % 5))),
    "block_local": ({"l": 6}, lambda i, j, n: (j <= i) & (i - i % 6 == j - j % 6)),
    "block_local_shifted": (
        {"l": 6},
        lambda i, j, n: (j <= i) & ((i // 6 == j // 6) | ((i + 3) // 6 == (j + 3) // 6)),
    ),
    "prefix_lm": ({"p": 9}, lambda i, j, n: (j <= i) | (j < 9)),
    "summary_columns": ({"w": 6, "l": 6, "c": 2}, lambda i, j, n: (j <= i) & ((i - j < 6) | np.isin(j % 6, [4, 5]))),
}

FILES = {
    "dense", "sliding_window", "streaming", "strided_factorized", "fixed_factorized", "longformer", "dilated_window",
    "logsparse", "axial", "block_local", "prefix_lm", "summary_columns",
}  # fmt: skip

PATTERNS = [(file, pattern.name) for file in catalogue.names() for pattern in parse(catalogue.source(file)).patterns]

# A claim for every n is tried at these; a claim `not reach` must show at the last.
LENGTHS = (1, 2, 3, 7, 8, 31, 64, 97)


def bound(file: str, name: str) -> s.BoundPattern:
    return bind(parse(catalogue.source(file)), name, DEFINITIONS[name][0])


def test_the_catalogue() -> None:
    assert set(catalogue.names()) >= FILES
    for name in catalogue.names():
        tree = parse(catalogue.source(name))
        assert catalogue.source(name).name == f"library:{name}"
        assert tree.patterns[0].name == name
        assert tree.documentation
        assert catalogue.summary(name).endswith(".")
        assert all(pattern.claims for pattern in tree.patterns)
        assert not any(pattern.documentation is None for pattern in tree.patterns[1:]), "a repair says what it repairs"


def test_unknown_stock_patterns() -> None:
    with pytest.raises(catalogue.UnknownPattern, match="did you mean 'longformer'"):
        catalogue.text("longfromer")
    with pytest.raises(catalogue.UnknownPattern, match="there are axial"):
        catalogue.source("../pyproject")


@pytest.mark.parametrize(("file", "name"), PATTERNS)
def test_the_keys_of_each_query(file: str, name: str) -> None:
    pattern, definition = bound(file, name), DEFINITIONS[name][1]
    for n in (*LENGTHS, 200):
        query, key = np.arange(n)[:, None], np.arange(n)[None, :]
        assert np.array_equal(mask(pattern.union, pattern.direction, n), definition(query, key, n)), n


@pytest.mark.parametrize(("file", "name"), PATTERNS)
def test_every_claim_holds(file: str, name: str) -> None:
    small = bound(file, name)
    for claim in small.claims:
        if claim.at is not None:
            assert holds(claim, small, *claim.at.values), claim.span.text
        elif isinstance(claim, s.Reach) and claim.negated:
            assert holds(claim, small, LENGTHS[-1]), claim.span.text
        else:
            assert all(holds(claim, small, n) for n in LENGTHS), claim.span.text


@pytest.mark.parametrize(("file", "name"), PATTERNS)
def test_the_defaults_of_the_paper_bind(file: str, name: str) -> None:
    pattern = bind(parse(catalogue.source(file)), name, {})
    for claim in pattern.claims:
        if not (isinstance(claim, s.Reach) and claim.negated):
            assert holds(claim, pattern, *(claim.at.values if claim.at else (300,))), claim.span.text


def holds(claim: s.Claim, pattern: s.BoundPattern, n: int) -> bool:
    def of(expression: s.Expression) -> Mask:
        return mask(expression, pattern.direction, n)

    universe = np.tri(n, dtype=bool) if pattern.direction is s.Direction.CAUSAL else np.ones((n, n), dtype=bool)
    match claim:
        case s.Nonempty():
            return bool(of(pattern.union).any(axis=1).all())
        case s.Causal():
            return not np.triu(of(pattern.union), 1).any()
        case s.Reach(steps, negated):
            masks = [of(step.body) for step in pattern.steps]
            reached = reachable_ever(masks) if steps is None else hops(masks, steps.value)  # type: ignore[union-attr]
            return bool(reached[universe].all()) != negated
        case s.Subset(left, right):
            return not (of(left) & ~of(right)).any()
        case s.Equal(left, right):
            return np.array_equal(of(left), of(right))
        case _:
            assert_never(claim)
