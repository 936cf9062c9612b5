"""Whether numbers are finite is told for any data type and layout, on one thread or on all."""

from __future__ import annotations

import math

import pytest
import torch

from patternc.runtime.engines import guard

SHAPE = (2, 3, 50, 16)


@pytest.mark.parametrize("alone", [range(0), range(1 << 20)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", ["contiguous", "behind tokens", "some keys", "a leaf"])
@pytest.mark.parametrize("bad", [[], [math.nan], [math.inf], [-math.inf], [math.inf, -math.inf]])
def test_numbers_that_are_not_finite_are_seen(
    alone: range, dtype: torch.dtype, layout: str, bad: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "ALONE", alone)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    x = torch.ones(SHAPE, dtype=dtype)
    if layout == "behind tokens":
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
    if layout == "some keys":
        x = torch.full((2, 3, 60, 16), math.nan, dtype=dtype)[:, :, 5:55].fill_(1)
    for token, number in zip((49, 7), bad, strict=False):
        x[1, 2, token, 3] = number
    assert guard.finite(torch.ones(3), x.requires_grad_(layout == "a leaf")) == (not bad)


@pytest.mark.parametrize("alone", [range(0), range(1 << 20)])
@pytest.mark.parametrize(
    ("lse", "sound"),
    [([0.0, -math.inf], True), ([0.0, math.inf], False), ([-math.inf, math.inf], False), ([math.nan, 0.0], False)],
)
def test_only_the_lse_of_a_row_without_keys_may_be_infinite(
    alone: range, lse: list[float], sound: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "ALONE", alone)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    out = torch.zeros(1, 1, 2, 4)
    assert guard.sound(out, torch.tensor([[lse]])) == sound
    assert not guard.sound(out / 0, torch.tensor([[lse]]))
