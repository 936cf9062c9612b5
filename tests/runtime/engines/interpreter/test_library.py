"""Every stock pattern under the generated kernels, in Triton's interpreter, against the reference engine."""

from __future__ import annotations

import math

import pytest
import torch
from stock import agree, compiled, head_dim_of, name_of, results, subjects, tensors

from patternc.compiler.passes.program import Tile

INT = torch.int32
PLACES = {
    "ragged": (Tile(16, 16), 37, None, {}),
    "one token": (Tile(32, 32), 1, None, {}),
    "larger tiles": (Tile(32, 32), 70, None, {}),
    "uneven tiles": (Tile(16, 32), 50, None, {}),
    "left padding": (Tile(16, 16), 41, None, {"spans": torch.tensor([[7, 41]], dtype=INT)}),
    "right padding": (Tile(16, 16), 41, None, {"spans": torch.tensor([[0, 30]], dtype=INT)}),
    "one row": (Tile(16, 16), 53, 1, {"query_offset": 52}),
    "rows of a padded batch": (
        Tile(16, 16), 53, 9, {"query_offset": 35, "spans": torch.tensor([[3, 40]], dtype=INT)},
    ),
}  # fmt: skip
# One pattern of each file, each at another place; test_gradients.py draws places for all of them.
FIRST = [subject for subject in subjects() if subject[0] == subject[1] and subject[2] is None]
TURNS = ("ragged", "left padding", "one row", "rows of a padded batch")


def check(subject, place):
    tile, n, rows, arguments = PLACES[place]
    head_dim = head_dim_of(subject)
    inputs = tensors(n, head_dim=head_dim, rows=rows)
    mine, theirs = (compiled(subject, engine, head_dim=head_dim, tile=tile) for engine in ("triton", "reference"))
    agree(results(mine, inputs, **arguments), results(theirs, inputs, **arguments), budget=2e-5)


@pytest.mark.parametrize("subject", FIRST, ids=name_of)
def test_triton_equals_the_reference(subject):
    check(subject, TURNS[FIRST.index(subject) % len(TURNS)])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision(dtype):
    """The reference rounds once, at the end; twice the spacing of the dtype is left for rounded probabilities."""
    subject = ("summary_columns", "summary_columns", None)
    inputs = tensors(37, head_dim=16, dtype=dtype)
    mine, theirs = (compiled(subject, engine, head_dim=16, dtype=dtype) for engine in ("triton", "reference"))
    agree(results(mine, inputs), results(theirs, inputs), budget=2 * torch.finfo(dtype).eps)


def test_the_tile_of_the_compiler_runs():
    subject = ("fixed_factorized", "fixed_factorized", None)
    inputs = tensors(150, head_dim=16, heads=1)
    mine, theirs = (compiled(subject, engine, head_dim=16) for engine in ("triton", "reference"))
    agree(results(mine, inputs), results(theirs, inputs), budget=2e-5)


@pytest.mark.parametrize("place", ["left padding", "right padding", "rows of a padded batch"])
def test_what_lies_outside_the_spans_has_no_influence(place):
    tile, n, rows, arguments = PLACES[place]
    program = compiled(("fixed_factorized", "fixed_factorized", None), "triton", head_dim=16, tile=tile)
    q, k, v = (x.detach() for x in tensors(n, head_dim=16, rows=rows))
    clean = results(program, (q, k, v), **arguments)
    [[start, end]], first = arguments["spans"].tolist(), arguments.get("query_offset", 0)
    keys = [p for p in range(n) if not start <= p < end]
    k[:, :, keys], v[:, :, keys] = math.nan, math.inf
    q[:, :, [p - first for p in keys if first <= p < first + q.shape[2]]] = math.nan
    agree(results(program, (q, k, v), **arguments), clean, budget=0.0)
