"""The last queries of a sequence alone give what they give among all of it: forward and backward."""

from __future__ import annotations

import pytest
import torch
from learned_layers import close, data, layer, pattern

from patternc.runtime.errors import ArgumentError
from patternc.runtime.learned.pricing.speeds import assume
from patternc.testing.machines import QUICK_DENSE

N = 21
CASES = {
    "columns": ("local(3) | columns(s)", "learn s = importance(budget = 30%, gate = sigmoid)"),
    "tokens": ("local(3) | columns(s)", "learn s = topk(k = 4)"),
    "blocks": ("local(2) | select(s)", "learn s = topk_blocks(k = 3, block = 4)"),
    "keys": ("gated local(2) | select(s)", "learn s = topk_keys(k = 4, tile = 5)"),
    "levels": ("refine(s)", "learn s = granularity(block = 4)"),
    "two": ("select(s) | select(t)", "learn s = topk_blocks(k = 3, block = 3) learn t = topk_keys(k = 3, tile = 2)"),
    "pools": ("gated local(3) | gated pooled(4) | { (i, j) : j < 2 }", ""),
    "rows": ("local(2) | rows(s)", "learn s = importance(budget = 30%, gate = sigmoid)"),
    "axis": ("axis(s) | gated pooled(2)", "learn s = importance(budget = 30%, gate = sigmoid)"),
}
BIDIRECTIONAL = ("rows", "axis")  # a row of a causal pattern gathers little, and is refused


@pytest.mark.parametrize("lengths", [None, [N, 13]])
@pytest.mark.parametrize("name", list(CASES))
@pytest.mark.parametrize("engine", ["compose", "reference"])
def test_the_last_queries(name, lengths, engine):
    check(name, lengths, engine)


@pytest.mark.parametrize("name", list(CASES))
def test_the_last_queries_densely(name):
    with assume(QUICK_DENSE):
        check(name, [N, 13], "compose")


def check(name, lengths, engine):
    step, learn = CASES[name]
    direction = "bidirectional" if name in BIDIRECTIONAL else "causal"
    subject = layer(pattern(step, direction, learn), engine)
    given = data(N)
    inputs = given.inputs(lengths)
    whole = subject(given.q, given.k, given.v, inputs=inputs, return_selections=True)
    leaves = [*given.leaves, *subject.parameters()]
    for first, count in (
        [(N - 1, 1), (N - 6, 6), (7, 5), (12, 2), (12, 3), (0, N)] if engine == "compose" else [(N - 6, 6)]
    ):
        rows = slice(first, first + count)
        some = subject(given.q[:, :, rows], given.k, given.v, inputs=inputs, query_offset=first, return_selections=True)
        close(some.out, whole.out[:, :, rows])
        close(some.lse, whole.lse[:, :, rows])
        weights = torch.randn_like(some.out)
        mine, theirs = (
            torch.autograd.grad((out * weights).sum(), leaves, allow_unused=True, retain_graph=True)
            for out in (some.out, whole.out[:, :, rows])
        )
        for one, other in zip(mine, theirs, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                close(one, other)


def test_what_does_not_fit():
    subject, given = layer(pattern("gated local(2)")), data(9)
    with pytest.raises(ArgumentError, match="give inputs= of all of it"):
        subject(given.q[:, :, 5:], given.k, given.v, query_offset=5)
    with pytest.raises(ArgumentError, match="query_offset"):
        subject(given.q[:, :, 5:], given.k, given.v, inputs=given.inputs(), query_offset=6)
    some = data(5).inputs()
    with pytest.raises(ArgumentError, match="give the same tokens"):
        subject(given.q[:, :, 5:], given.k, given.v, inputs=some, query_offset=5)
