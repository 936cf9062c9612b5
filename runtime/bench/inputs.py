"""What all contestants compute from, and the three passes over it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Inputs:
    """Random q, k, v and the gradient of out, [B, H, n, D]."""

    q: Tensor
    k: Tensor
    v: Tensor
    grad: Tensor

    @classmethod
    def draw(cls, shape: tuple[int, int, int, int], device: str, dtype: torch.dtype) -> Inputs:
        """The same numbers on every device of a kind: drawn on it, one tensor at a time."""
        generator = torch.Generator(device).manual_seed(0)
        return cls(*(torch.randn(shape, generator=generator, device=device).to(dtype) for _ in range(4)))

    @property
    def n(self) -> int:
        return self.q.shape[2]

    @property
    def device(self) -> str:
        return self.q.device.type

    @property
    def last(self) -> tuple[Tensor, Tensor, Tensor]:
        """The last query [B, H, 1, D], and all keys and values: a step of decoding."""
        return self.q[:, :, -1:], self.k, self.v


def forward(attend: Attend, inputs: Inputs) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.no_grad():
            return attend(inputs.q, inputs.k, inputs.v)

    return run


def forward_backward(attend: Attend, inputs: Inputs) -> Callable[[], tuple[Tensor, ...]]:
    leaves = [x.detach().requires_grad_() for x in (inputs.q, inputs.k, inputs.v)]

    def run() -> tuple[Tensor, ...]:
        out = attend(*leaves)
        return (out.detach(), *torch.autograd.grad(out, leaves, inputs.grad))

    return run


def decode(attend: Attend, inputs: Inputs) -> Callable[[], Tensor]:
    q, k, v = inputs.last

    def run() -> Tensor:
        with torch.no_grad():
            return attend(q, k, v)

    return run
