"""One query is one kernel call: results are those of the reference, and bad numbers are where they belong."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import patternc as pc
from patternc.runtime.engines.compose.running import single

N, D = 600, 16
TEXTS = {
    "a run of keys": "local(100)",
    "evenly spaced keys": "strided(4)",
    "a run and evenly spaced ones": "local(40) | strided(16)",
    "runs": "block(64) | fixed(64, 8)",
    "many runs": "columns(first(3)) | local(30) | { (i, j) : j mod 13 < 4 and j mod 7 < 5 }",
}
FEW = "local(20)"


def compiled(step: str, engine: str, dtype: torch.dtype) -> pc.Compiled:
    text = f"pattern p causal {{ step {step} }}"
    return pc.compile(pc.loads(text)["p"].bind(), head_dim=D, engine=engine, dtype=dtype)


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each call was one kernel call."""
    found: list[bool] = []
    row = single.row

    def noted(*arguments):
        result = row(*arguments)
        found.append(result is not None)
        return result

    monkeypatch.setattr(single, "row", noted)
    return found


def drawn(layout: str, group: int) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = torch.randn(2, 4, 1, D), torch.randn(2, 4 // group, N, D), torch.randn(2, 4 // group, N, D)
    if layout == "behind tokens":
        return q, *(x.transpose(1, 2).contiguous().transpose(1, 2) for x in (k, v))
    if layout == "in a cache":  # of room for more tokens
        return q, *(torch.cat([x, torch.full_like(x, math.nan)], 2)[:, :, :N] for x in (k, v))
    return q, k, v


@pytest.mark.parametrize("step", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("layout", ["apart", "behind tokens", "in a cache"])
@pytest.mark.parametrize("offset", [N - 1, N - 77])
def test_results_are_those_of_the_reference(step: str, group: int, layout: str, offset: int, alone: list[bool]) -> None:
    inputs = drawn(layout, group)
    found = compiled(step, "compose", torch.float32)(*inputs, query_offset=offset, return_lse=True)
    exact = compiled(step, "reference", torch.float64)
    wanted = exact(*(x.double() for x in inputs), query_offset=offset, return_lse=True)
    for one, other in zip(found, wanted, strict=True):
        assert one.is_contiguous() and one.shape == other.shape
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=1e-5)
    assert alone == [True]


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("step", ["local(100)", FEW])
def test_a_bad_number_spoils_the_head_that_reads_it(step: str, place: int, alone: list[bool]) -> None:
    inputs = drawn("apart", 1)
    clean = compiled(step, "compose", torch.float32)(*inputs, query_offset=N - 1)
    unread, read = [[x.clone() for x in inputs] for _ in range(2)]
    for x in unread[1:]:
        x[1, 2, N - 300, 3] = math.nan
    read[place][1, 2, -1, 3] = math.nan
    assert torch.equal(compiled(step, "compose", torch.float32)(*unread, query_offset=N - 1), clean)
    out = compiled(step, "compose", torch.float32)(*read, query_offset=N - 1)
    assert out[1, 2].isnan().all()
    out[1, 2] = clean[1, 2]
    assert torch.equal(out, clean)
    assert alone == [step != FEW, step != FEW, False]
