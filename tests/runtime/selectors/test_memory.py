"""No selector makes a table of every query by every key, forwards or backwards."""

from __future__ import annotations

import pytest
import torch
from selector_layers import learned
from torch.utils._python_dispatch import TorchDispatchMode

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Inputs, Pooled
from patternc.runtime.selectors.topk_keys import Indexer

N = 512


class Largest(TorchDispatchMode):
    """The most numbers in any tensor that an operation returns; a view counts as what it is stored in."""

    def __init__(self) -> None:
        super().__init__()
        self.found = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.found = max(self.found, tensor.untyped_storage().nbytes() // tensor.element_size())
        return result


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
