"""The engines that benchmarks/attention.py compares, as functions that compute once, and what they must agree on.

``forward``: out of q, k, v without gradients. ``forward+backward``: out, and the gradients of q, k and v.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from cases import Case, Mask
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

import patternc as pc

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]
_ROWS = 64  # of the output, compared with the formula at the full length


@dataclass(frozen=True)
class Inputs:
    """Random q, k, v and the gradient of out, [B, H, n, D]."""

    q: Tensor
    k: Tensor
    v: Tensor
    grad: Tensor

    @classmethod
    def draw(cls, shape: tuple[int, int, int, int], device: str, dtype: torch.dtype) -> Inputs:
        generator = torch.Generator().manual_seed(0)
        return cls(*(torch.randn(shape, generator=generator).to(device, dtype) for _ in range(4)))


def forward(attend: Attend, inputs: Inputs) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.no_grad():
            return attend(inputs.q, inputs.k, inputs.v)

    return run


def forward_backward(attend: Attend, inputs: Inputs) -> Callable[[], tuple[Tensor, ...]]:
    leaves = [x.clone().requires_grad_() for x in (inputs.q, inputs.k, inputs.v)]

    def run() -> tuple[Tensor, ...]:
        out = attend(*leaves)
        return (out.detach(), *torch.autograd.grad(out, leaves, inputs.grad))

    return run


def dense(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


@dataclass(frozen=True)
class Flex:
    """Compiled FlexAttention for one pattern, and its block mask. ``make_mask`` builds the mask again, compiled too."""

    attend: Attend
    make_mask: Callable[[], BlockMask]
    blocks: int
    compile_seconds: float  # of the mask's and the kernel's first call together, in this process


def flex(case: Case, inputs: Inputs) -> Flex:
    """Raises what torch raises where FlexAttention cannot be compiled."""
    n, device = inputs.q.shape[2], inputs.q.device.type
    mask_mod = case.mask_mod()
    begin = time.perf_counter()
    # Patterns share the code that is compiled: with torch's default limit the last ones would run uncompiled.
    torch._dynamo.config.recompile_limit = 64
    build = torch.compile(create_block_mask, dynamic=False)

    def make_mask() -> BlockMask:
        return build(mask_mod, None, None, n, n, device=device)

    mask = make_mask()
    kernel: Any = torch.compile(flex_attention, dynamic=False)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return kernel(q, k, v, block_mask=mask)

    forward(attend, inputs)()
    synchronise(device)
    partial, full = mask.kv_num_blocks, mask.full_kv_num_blocks
    blocks = int(partial.sum()) + (int(full.sum()) if full is not None else 0)
    return Flex(attend, make_mask, blocks, time.perf_counter() - begin)


@dataclass(frozen=True)
class Ours:
    """A compiled pattern; the seconds from its text to a confirmed program, and of the first call, which plans."""

    attend: Attend
    engine: str
    lower_seconds: float
    first_call_seconds: float


def ours(case: Case, inputs: Inputs, engine: str) -> Ours:
    begin = time.perf_counter()
    q, device = inputs.q, inputs.q.device.type
    program = pc.compile(case.pattern(), head_dim=q.shape[3], dtype=q.dtype, engine=engine, device=device)
    lowered = time.perf_counter()
    forward(program, inputs)()
    synchronise(device)
    return Ours(program, program.engine, lowered - begin, time.perf_counter() - lowered)


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


class Disagreement(AssertionError):
    """An engine that is about to be timed computes something else."""


# Allowed maximal error per dtype: of outputs, and of gradients relative to the largest. fp32 sums in another order;
# of the others, the rounding of probabilities and results to 8 or 11 bits.
_TOLERANCE = {torch.float32: (2e-5, 1e-4), torch.float16: (4e-3, 2e-2), torch.bfloat16: (3e-2, 5e-2)}


def check_output(name: str, out: Tensor, mask: Mask, inputs: Inputs) -> float:
    """The largest error of 64 rows, the first and last among them, computed in float64 from the formula."""
    n = out.shape[2]
    rows = torch.unique(torch.cat([torch.tensor([0, n - 1]), torch.linspace(0, n - 1, _ROWS).long()])).to(out.device)
    q, k, v = (x.double() for x in (inputs.q[:, :, rows], inputs.k, inputs.v))
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    keep = mask(rows[:, None], torch.arange(n, device=out.device)[None, :])
    expected = scores.masked_fill(~keep, -torch.inf).softmax(-1) @ v
    return _within(name, (out[:, :, rows].double() - expected).abs().max().item(), _TOLERANCE[out.dtype][0])


def check_gradients(name: str, attend: Attend, mask: Mask, inputs: Inputs) -> float:
    """The largest relative error of the gradients, by autograd in float64 over the formula; for short lengths."""
    n = inputs.q.shape[2]
    index = torch.arange(n, device=inputs.q.device)
    bias = torch.zeros(n, n, dtype=torch.float64, device=index.device)
    bias.masked_fill_(~mask(index[:, None], index[None, :]), -torch.inf)
    wide = Inputs(*(x.double() for x in (inputs.q, inputs.k, inputs.v, inputs.grad)))

    def formula(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias).softmax(-1) @ v

    expected = forward_backward(formula, wide)()[1:]
    found = forward_backward(attend, inputs)()[1:]
    error = max(((x - y).abs().max() / y.abs().max()).item() for x, y in zip(found, expected, strict=True))
    return _within(name, error, _TOLERANCE[inputs.q.dtype][1])


def _within(name: str, error: float, allowed: float) -> float:
    if not error <= allowed:  # also where the error is NaN
        raise Disagreement(f"{name}: error {error:.2e}, allowed {allowed:.0e}; nothing was timed")
    return error


@contextmanager
def threads(count: int | None) -> Iterator[int]:
    """torch's threads for operators, restored afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
