"""Many query heads on one key head: packed in a block where it holds them, apart where the tile is smaller."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import patternc as pc
from patternc.runtime.engines.engine import Call
from patternc.runtime.engines.triton import tune
from patternc.runtime.engines.triton.engine import TritonEngine
from patternc.runtime.engines.triton.tune import Tuning


@pytest.mark.parametrize(
    ("text", "heads", "tuned"),
    [
        ("step local(16)", 24, False),  # in tiles of 16
        ("step local(16)", 24, True),
        ("step local(3)", 48, True),  # diagonals
        ("step everything", 48, True),  # half of a block of 64 would not hold 48 heads
    ],
)
def test_one_row(text: str, heads: int, tuned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = 1
    n = 40
    pattern = pc.loads(f"pattern p() causal {{ {text} }}")["p"].bind()
    program = pc.compile(pattern, head_dim=16, engine="triton").program
    monkeypatch.setattr(tune, "LEAST_KEYS", 1)
    engine = TritonEngine(Tuning(lambda run: [run()] and 1.0, tmp_path) if tuned else None)
    torch.manual_seed(0)
    q, k, v = torch.randn(1, heads, rows, 16), torch.randn(1, 1, n, 16), torch.randn(1, 1, n, 16)
    assert program is not None
    out, lse = engine.forward(program, q, k, v, Call(0.25, query_offset=n - rows))
    exact = pc.compile(pattern, head_dim=16, dtype=torch.float64, engine="reference")
    want, norm = exact(*(x.double() for x in (q, k, v)), scale=0.25, query_offset=n - rows, return_lse=True)
    torch.testing.assert_close(out.double(), want, rtol=0, atol=2e-6)
    torch.testing.assert_close(lse.double(), norm, rtol=0, atol=2e-6)
