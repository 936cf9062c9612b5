"""Dense attention of a small layer, and the whole of it by loops, for the tests of training."""

from __future__ import annotations

import torch
from selector_layers import layer_inputs
from torch import Tensor

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.training import DenseAttention

DIRECTIONS = [Direction.CAUSAL, Direction.BIDIRECTIONAL, Direction.CROSS]


def case(
    direction: Direction, lengths: list[int] | None = None, n: int = 14, softcap: float | None = None
) -> DenseAttention:
    """In float64, of two elements."""
    inputs = layer_inputs(n, 11 if direction is Direction.CROSS else None, lengths=lengths)
    q, k = torch.randn_like(inputs.query.heads), torch.randn_like(inputs.key.heads)
    return DenseAttention(q, k, inputs, direction, softcap=softcap)


def whole_of(dense: DenseAttention) -> Tensor:
    """[B, Hq, Nq, Nk] by loops over rows, of every pair."""
    q, k, inputs = dense.q, dense.k, dense.inputs
    found = torch.zeros(*q.shape[:3], k.shape[2], dtype=torch.float64)
    shared = q.shape[1] // k.shape[1]
    for element, head, i in torch.cartesian_prod(*map(torch.arange, q.shape[:3])).tolist():
        end = int(inputs.key.counts()[element])
        end = min(end, i + 1) if dense.direction is Direction.CAUSAL else end
        if i < int(inputs.query.counts()[element]):
            row = k[element, head // shared, :end] @ q[element, head, i] * q.shape[-1] ** -0.5
            row = row if dense.softcap is None else dense.softcap * torch.tanh(row / dense.softcap)
            found[element, head, i, :end] = torch.softmax(row, 0)
    return found
