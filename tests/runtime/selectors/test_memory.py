"""No selector makes a table of every query by every key, forwards or backwards."""

from __future__ import annotations

import pytest
import torch
from largest import Largest
from selector_layers import learned

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Inputs, Pooled
from patternc.runtime.selectors.scoring.indexer import Indexer

N = 512


def inputs() -> Inputs:
    heads = torch.randn(1, 4, N, 6, dtype=torch.float64)
    return Inputs.self_attention(torch.randn(1, N, 12, dtype=torch.float64), heads, heads[:, :2].clone())


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize(
    ("declaration", "gate"),
    [
        ("importance()", "column_gate"),
        ("topk(k = 64)", "column_gate"),
        ("topk_blocks(k = 4, block = 64)", "log_gate"),
        ("topk_keys(k = 16, tile = 64)", "log_gate"),
        ("topk_keys(k = 16, tile = 1)", "log_gate"),
        ("granularity(block = 64)", "log_gate"),
    ],
)
def test_tables_are_small(monkeypatch: pytest.MonkeyPatch, declaration: str, gate: str, direction: str) -> None:
    monkeypatch.setattr("patternc.runtime.selectors.topk_keys.LARGEST_TABLE", N * 64)
    layer, given = learned(declaration, direction), inputs()
    if "keys" in declaration:
        layer.selectors["s"].scorer = Indexer(12, heads=2, head_dim=4).double()
    with Largest() as largest:
        log_gate = getattr(layer(given)["s"], gate)
        log_gate.masked_fill(log_gate.isneginf(), 0.0).square().sum().backward()
    assert N < largest.found < N * N / 4


def test_the_measure_sees_a_square() -> None:
    with Largest() as largest:
        torch.zeros(N, 1) + torch.zeros(N)
    assert largest.found == N * N


def test_summaries() -> None:
    given = inputs()
    with Largest() as largest:
        Pooled(Direction.CAUSAL, 16)(given, given.key.heads)
    assert largest.found < N * N / 4
