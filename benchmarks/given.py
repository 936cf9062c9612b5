"""What a learned layer is timed on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Inputs


@dataclass(frozen=True, slots=True)
class Given:
    """Random tensors of one length: q, k, v and the gradient of out [1, H, n, D], hidden states [1, n, W]."""

    q: Tensor
    k: Tensor
    v: Tensor
    grad: Tensor
    hidden: Tensor

    @classmethod
    def draw(cls, n: int, heads: int, head_dim: int, device: str, dtype: torch.dtype) -> Given:
        generator = torch.Generator(device).manual_seed(0)
        shapes = [(1, heads, n, head_dim)] * 4 + [(1, n, heads * head_dim)]
        return cls(*(torch.randn(shape, generator=generator, device=device).to(dtype) for shape in shapes))

    def inputs(self, direction: Direction, leaves: tuple[Tensor, ...] | None = None) -> Inputs:
        q, k, _, hidden = leaves or (self.q, self.k, self.v, self.hidden)
        if direction is Direction.CROSS:
            return Inputs.cross(hidden, hidden, q, k)
        return Inputs.self_attention(hidden, q, k)
