"""delta against its formula in float64, and rows that nobody wrote."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch

import patternc as pc
from patternc.runtime.engines.triton import delta
from patternc.runtime.engines.triton.delta import row_delta


@pytest.mark.parametrize("head_dim", [16, 20])
@pytest.mark.parametrize("with_lse", [False, True])
def test_delta(head_dim: int, with_lse: bool) -> None:
    torch.manual_seed(0)
    grad = torch.randn(2, 300, 3, head_dim).transpose(1, 2)
    out = torch.randn(2, 3, 300, 2 * head_dim)[..., ::2]
    lse, grad_lse = torch.randn(2, 3, 300), torch.randn(2, 3, 300).transpose(0, 1).contiguous().transpose(0, 1)
    lse[0, 1, 5:9] = -torch.inf
    want = (grad.double() * out.double()).sum(-1)
    if with_lse:
        want -= grad_lse.double().masked_fill(lse.isneginf(), 0.0)
    rows = row_delta(grad, out, lse, grad_lse if with_lse else None)
    known, found = rows.lse, rows.delta
    assert known.dtype == found.dtype == torch.float32
    torch.testing.assert_close(found.double(), want, rtol=0, atol=1e-5)
    in_log2 = lse.double().div(math.log(2)).masked_fill(lse.isneginf(), torch.inf)
    torch.testing.assert_close(known.double(), in_log2, rtol=1e-6, atol=0)


@pytest.fixture
def poison() -> Iterator[None]:
    """Memory that is not set holds NaN."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    assert torch.utils.deterministic.fill_uninitialized_memory and torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize(
    "text",
    [
        "pattern p() causal { step local(5) | strided(4) }",  # two kernels that write all rows
        "pattern p() causal { step { (i, j) : j < i } }",  # row 0 has no key
        "pattern p() bidirectional { step columns({ j : j mod 4 = 1 }) }",  # keys that nobody reads
        "pattern p() bidirectional { step rows({ i : i mod 4 = 1 }) }",  # queries that read nothing
        "pattern p() cross { step { (i, j) : j <= i } }",
    ],
)
@pytest.mark.parametrize("rows", [37, 3])
def test_every_row_is_written(text: str, rows: int) -> None:
    n = 37
    pattern = pc.loads(text)["p"].bind()
    cross = "cross" in text
    attend, exact = (
        pc.compile(pattern, head_dim=16, dtype=dtype, engine=engine)
        for engine, dtype in (("triton", torch.float32), ("reference", torch.float64))
    )
    torch.manual_seed(0)
    tensors = [torch.randn(1, 2, size, 16) for size in (rows, n, n)]
    results = []
    for run in (attend, exact):
        leaves = [x.to(run.dtype).requires_grad_() for x in tensors]
        out = run(*leaves, query_offset=0 if cross else n - rows, check_finite=False)
        results.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    for found, want in zip(*results, strict=True):
        torch.testing.assert_close(found.double(), want.double(), rtol=0, atol=2e-4)


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ("pattern p() causal { step local(5) | strided(4) }", False),
        ("pattern p() bidirectional { step blocks(local(2), 16) | random(1, 16) }", False),
        ("pattern p() bidirectional { step columns({ j : j mod 4 = 1 }) }", False),
        ("pattern p() bidirectional { step rows({ i : i mod 4 = 1 }) }", True),
        ("pattern p() bidirectional { step random(1, 16) }", True),
    ],
)
def test_who_finds_delta(text: str, own: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first kernel of the gradient of q, where it has every row; else a kernel of its own. Also where lse has a
    gradient, or the batch is padded."""
    found = []
    monkeypatch.setattr(delta, "row_delta", lambda *given: found.append(given) or row_delta(*given))
    attend = pc.compile(pc.loads(text)["p"].bind(), head_dim=16, engine="triton")
    q, k, v = (torch.randn(1, 2, 37, 16, requires_grad=True) for _ in range(3))
    torch.autograd.grad(attend(q, k, v, check_finite=False).sum(), [q, k, v])
    assert len(found) == own
    out, lse = attend(q, k, v, check_finite=False, return_lse=True)
    torch.autograd.grad(out.sum() + lse.sum(), [q, k, v])
    spans = torch.tensor([[3, 37]], dtype=torch.int32)
    torch.autograd.grad(attend(q, k, v, check_finite=False, spans=spans).sum(), [q, k, v])
    assert len(found) == 2 + own
