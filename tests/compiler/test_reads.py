"""What a cache may drop: no key that a later query reads, and every other one, beside the mask of brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings

import patternc as pc
from patternc.compiler.reads import keys_read, read_from_on, read_within
from patternc.compiler.relations.integer import TRUE
from patternc.compiler.relations.isl.context import budget
from patternc.compiler.relations.settle import opens
from patternc.testing import patterns

# Behind the first number of tokens a key that nobody reads until the second is read no more.
EXACT = {
    "library:sliding_window": ("sliding_window", {"w": 8}, 40, 60),
    "library:streaming": ("streaming", {"sink": 3, "w": 6}, 40, 60),
    "library:fixed_factorized": ("fixed_factorized", {"l": 8, "c": 2}, 40, 60),
    "library:strided_factorized": ("strided_factorized", {"l": 8}, 40, 60),
    "library:dilated_window": ("dilated_window", {"w": 4, "d": 3}, 40, 60),
    "library:logsparse": ("logsparse", {"levels": 8}, 70, 300),
    "library:vertical_slash": ("vertical_slash", {}, 70, 300),
    "library:powerattention": ("powerattention", {}, 70, 300),
}


def predicted(bound, query):
    predicate = read_from_on(bound.union, bound.direction)
    return keys_read(np.arange(query), predicate, i=query)


@pytest.mark.parametrize("file", EXACT)
def test_exactly_what_no_later_query_reads_is_dropped(file):
    name, values, most, horizon = EXACT[file]
    pattern = pc.load(file)[name].bind(**values)
    mask = pattern.mask(horizon).numpy()
    for query in range(1, most):
        assert np.array_equal(predicted(pattern.bound, query), mask[query:, :query].any(0)), query


@settings(max_examples=60)
@given(patterns(direction="causal"))
def test_nothing_is_dropped_that_a_later_query_reads(pattern):
    assume(not opens(pattern.bound.union))
    mask = pattern.mask(24).numpy()
    for query in range(1, 24):
        assert not (mask[query:, :query].any(0) & ~predicted(pattern.bound, query)).any()


def bound_of(body):
    return pc.loads(f"pattern p causal {{ {body} }}")["p"].bind().bound


@pytest.mark.parametrize(
    "body",
    [
        "step { (i, j) : j >= n - 3 or i = j }",  # rows change with the length
        "learn s = importance(budget = 10%)\n step self | { (i, j) : j in s }",
        "step local(2) | { (i, j) : j mod 4 = 3 } @ { (i, j) : j mod 5 = 1 }",
    ],
)
def test_what_may_be_read_at_any_time_is_kept(body):
    bound = bound_of(body)
    if "@" in body:  # of a product, the columns of its second factor
        assert {j for j, kept in enumerate(predicted(bound, 40)) if kept} == {*range(1, 40, 5), 39}
    else:
        assert read_from_on(bound.union, bound.direction) == TRUE


@pytest.mark.parametrize("file", ["neighborhood_2d", "radial", "sliding_tile", "fixed_factorized", "logsparse"])
def test_a_run_of_queries_reads_no_more_keys_than_predicted(file):
    for name, template in pc.load(f"library:{file}").patterns.items():
        bound, n = template.bind().bound, 420
        mask, predicate = template.bind().mask(n).numpy(), read_within(bound.union, bound.direction)
        for begin, end in ((0, 1), (0, 130), (130, 131), (99, 301), (300, n)):
            found = keys_read(np.arange(n), predicate, begin=begin, end=end, n=n)
            assert not (mask[begin:end].any(0) & ~found).any(), (name, begin, end)


def test_where_no_exact_set_is_found_bounds_are(monkeypatch):
    """Of a window on a grid, with next to no budget."""
    template = pc.load("library:neighborhood_2d")["neighborhood_2d"].bind()
    n, bound = 64 * 64, template.bound
    read_within.cache_clear()
    monkeypatch.setattr("patternc.compiler.reads.budget", lambda: budget(100_000))
    found = keys_read(np.arange(n), read_within(bound.union, bound.direction), begin=2048, end=2176, n=n)
    read_within.cache_clear()
    mask = template.mask(n).numpy()[2048:2176].any(0)
    assert not (mask & ~found).any()
    assert mask.sum() < found.sum() < 2 * mask.sum()


def test_numbers_that_would_overflow_are_kept():
    bound = bound_of("step { (i, j) : (2^60 + 1) * i <= 2^60 * j + 2^61 } | self")
    assert read_from_on(bound.union, bound.direction) != TRUE
    assert predicted(bound, 3).tolist() == [True] * 3
