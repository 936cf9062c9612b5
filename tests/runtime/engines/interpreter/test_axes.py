"""Generated kernels over the rows of a grid, some of which are left out, in Triton's interpreter."""

from __future__ import annotations

import pytest
import torch
from programs import Case
from test_engine import agree, tensors
from tiled_rows import ACROSS, BLOCK, DOWN, program


def near(i, j):
    plane = BLOCK * ACROSS * DOWN
    planes = abs(i // plane - j // plane) <= 1
    rows, columns = (
        abs(i // size % extent - j // size % extent) <= 1 for size, extent in ((BLOCK * ACROSS, DOWN), (BLOCK, ACROSS))
    )
    return planes & rows & columns


CASES = {
    "causal": Case(program("causal"), lambda i, j: near(i, j) & (j <= i)),
    "bidirectional": Case(program("bidirectional"), near),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_rows_that_are_left_out(name: str) -> None:
    agree(CASES[name], *tensors(330))


@pytest.mark.slow
def test_padding_counts_from_its_start() -> None:
    agree(CASES["bidirectional"], *tensors(270), spans=torch.tensor([[7, 270]], dtype=torch.int32))
