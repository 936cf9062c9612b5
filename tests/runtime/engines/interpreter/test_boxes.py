"""Generated kernels in boxes of a grid, in Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
from boxed_grid import WIDTH, program
from programs import Case
from test_engine import agree, tensors


def near(i, j):
    return (abs(i % WIDTH - j % WIDTH) <= 2) & (abs(i // WIDTH - j // WIDTH) <= 2)


CASES = {
    "causal": Case(program("causal"), lambda i, j: near(i, j) & (j <= i)),
    "bidirectional": Case(program("bidirectional"), near),
}


def test_a_box_that_the_end_cuts() -> None:
    agree(CASES["bidirectional"], *tensors(40))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_boxes_of_several_rows(name: str) -> None:
    agree(CASES[name], *tensors(300))


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "offset"), [(1, 199), (70, 120)])
def test_some_queries_of_a_sequence(rows: int, offset: int) -> None:
    agree(CASES["causal"], *tensors(200, heads=2, rows=rows), offset=offset)


@pytest.mark.slow
def test_padding_counts_from_its_start() -> None:
    spans = torch.tensor([[5, 190], [0, 140]], dtype=torch.int32)
    agree(CASES["bidirectional"], *tensors(190, batch=2), spans=spans)
