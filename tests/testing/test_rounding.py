"""Triton's interpreter, asked to round as a GPU does."""

from __future__ import annotations

import numpy as np
import torch

from patternc.testing.rounding import bfloat16_bits


def test_bfloat16_is_that_of_torch() -> None:
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 3.4e38, 1e-40, 1.00390625, 1.01171875], np.float32)
    drawn = np.random.default_rng(0).integers(0, 2**32, 10_000, dtype=np.uint32).view(np.float32)
    x = np.concatenate([special, drawn])
    found = torch.from_numpy(bfloat16_bits(x).view(np.int16)).view(torch.bfloat16)
    torch.testing.assert_close(found, torch.from_numpy(x).to(torch.bfloat16), rtol=0, atol=0, equal_nan=True)
