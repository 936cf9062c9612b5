"""Every stock pattern, its union and its steps, under the compose engine against the reference."""

from __future__ import annotations

import math

import pytest
import torch
from stock import agree, compiled, error, head_dim_of, name_of, pattern_of, results, subjects, tensors

from patternc.compiler.magnitude import fits
from patternc.compiler.passes.program import Program
from patternc.runtime.engines.integers import KERNEL
from patternc.testing.agreement import Eager

N = 133  # two tiles, the last ragged
SPANS = torch.tensor([[0, N], [7, N], [0, N - 9], [5, N - 3]], dtype=torch.int32)

PLACES = {
    "one token": (1, None, {}),
    "one tile": (128, None, {}),
    "ragged": (N, None, {}),
    "padded": (N, None, {"spans": SPANS}),
    "one row": (N, 1, {"query_offset": N - 1}),
    "some rows": (N, 9, {"query_offset": 60}),
    "rows of a padded batch": (N, 12, {"query_offset": N - 14, "spans": SPANS}),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("subject", subjects(), ids=name_of)
def test_compose_equals_the_reference(subject, place):
    n, rows, arguments = PLACES[place]
    head_dim = head_dim_of(subject)
    batch = len(SPANS) if "spans" in arguments else 1
    inputs = tensors(n, head_dim=head_dim, batch=batch, rows=rows)
    mine, theirs = (compiled(subject, engine, head_dim=head_dim) for engine in ("compose", "reference"))
    agree(results(mine, inputs, **arguments), results(theirs, inputs, **arguments), budget=2e-5)


@pytest.mark.parametrize("subject", subjects(), ids=name_of)
def test_a_million_tokens_fit_the_integers_of_kernels(subject):
    program = compiled(subject, "compose", head_dim=head_dim_of(subject)).program
    positional = program if isinstance(program, Program) else program.positional
    assert positional is None or fits(positional, 1 << 20, KERNEL)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("file", ["strided_factorized", "summary_columns"])
def test_low_precision_is_as_good_as_eager(file, dtype):
    """Against the exact result for the rounded inputs, each error is at most twice that of eager attention."""
    subject = (file, file, None)
    inputs = tensors(N, head_dim=64, dtype=dtype)
    exact = results(compiled(subject, "reference", head_dim=64, dtype=torch.float64), inputs)
    low = results(Eager(pattern_of(subject).mask(N), dtype), inputs)
    budget = [2 * error(a, b) for a, b in zip(low, exact, strict=True)]
    agree(results(compiled(subject, "compose", head_dim=64, dtype=dtype), inputs), exact, budget=budget)


@pytest.mark.parametrize("engine", ["reference", "compose"])
@pytest.mark.parametrize("file", ["fixed_factorized", "strided_factorized", "streaming"])
@pytest.mark.parametrize("place", ["padded", "rows of a padded batch"])
def test_what_lies_outside_the_spans_has_no_influence(file, engine, place):
    n, rows, arguments = PLACES[place]
    program = compiled((file, file, None), engine, head_dim=16)
    q, k, v = (x.detach() for x in tensors(n, head_dim=16, batch=4, rows=rows))
    clean = results(program, (q, k, v), **arguments)
    first = arguments.get("query_offset", 0)
    for element, (start, end) in enumerate(SPANS.tolist()):
        keys = [p for p in range(n) if not start <= p < end]
        k[element, :, keys], v[element, :, keys] = math.nan, math.inf
        queries = [p - first for p in keys if first <= p < first + q.shape[2]]
        q[element, :, queries] = math.nan
    agree(results(program, (q, k, v), **arguments), clean, budget=0.0)
