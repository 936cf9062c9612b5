"""Gradients of keys that one query head reads, or several, where all blocks of queries are whole and where not."""

from __future__ import annotations

import pytest
import torch

import patternc as pc
from patternc.runtime.engines.triton.kernel_run import KernelRun


@pytest.mark.parametrize("n", [128, 120])
@pytest.mark.parametrize("kv_heads", [1, 2])
@pytest.mark.parametrize(
    "text",
    [
        "pattern p() causal { step local(50) | strided(2) }",
        "pattern p() bidirectional { step { (i, j) : i mod 4 >= 2 and j < 70 } }",
        "pattern p() cross { step { (i, j) : j <= i } }",
        "pattern p() causal { step local(3) }",
    ],
)
def test_gradients_of_keys(text: str, n: int, kv_heads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = KernelRun.alone
    monkeypatch.setattr(KernelRun, "alone", lambda run, q: asked.append((run.role, real(run, q))) or real(run, q))
    pattern = pc.loads(text)["p"].bind()
    torch.manual_seed(0)
    tensors = [torch.randn(1, heads, n, 16) for heads in (2, kv_heads, kv_heads)]
    results = []
    for engine, dtype in (("triton", torch.float32), ("reference", torch.float64)):
        attend = pc.compile(pattern, head_dim=16, dtype=dtype, engine=engine)
        leaves = [x.to(dtype).requires_grad_() for x in tensors]
        out = attend(*leaves, check_finite=False)
        results.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    for found, want in zip(*results, strict=True):
        torch.testing.assert_close(found.double(), want.double(), rtol=0, atol=5e-4)
    alone = [flag for role, flag in asked if role == "backward_key"]
    assert alone and set(alone) == {kv_heads == 2}  # of two query heads
    assert not any(flag for role, flag in asked if role != "backward_key")
