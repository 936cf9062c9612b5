"""What every contestant is checked against before it is timed: the formula, in float64, by no code of patternc.

At every length 64 rows of out and of the gradient of q are computed, all heads. Where all pairs of one head can be
afforded, that head is computed whole, and with it the gradients of k and v.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from cases import BOTH, DECODE, FORWARD, Case, Mask
from torch import Tensor

from patternc.runtime.bench.inputs import Inputs

_ROWS = 64
_PAIRS_AT_ONCE = 1 << 25
WHOLE = {"cpu": 4096, "cuda": 65_536}
"""Lengths up to which one head is computed whole."""


class Disagreement(AssertionError):
    """A contestant computes something else."""


# Allowed maximal error per dtype: of outputs, and of gradients relative to the largest. fp32 sums in another order;
# of the others, the rounding of probabilities and results to 8 or 11 bits.
_TOLERANCE = {torch.float32: (2e-5, 1e-4), torch.float16: (4e-3, 2e-2), torch.bfloat16: (3e-2, 5e-2)}


@dataclass(frozen=True)
class Part:
    """Expected out, dq [B, H, rows, D] of some heads and rows; dk, dv [B, H, n, D] of these heads or None."""

    heads: slice
    rows: Tensor
    out: Tensor
    dq: Tensor
    dk: Tensor | None = None
    dv: Tensor | None = None


@dataclass(frozen=True)
class Expected:
    """The answers for one case and one input."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, case: Case, inputs: Inputs) -> Expected:
        n, device = inputs.n, inputs.device
        mask = case.mask(n, device)
        some = torch.cat([torch.tensor([0, n - 1]), torch.linspace(0, n - 1, _ROWS).long()]).unique().to(device)
        parts = [_rows(mask, inputs, some)]
        if n <= WHOLE[device]:
            parts.append(_head(mask, inputs, inputs.q.shape[1] - 1))
        return cls(tuple(parts))

    def error(self, what: str, found: object) -> float:
        """The largest error of what a pass gave, as a share of what is allowed. NaN where it is not a number."""
        if what == FORWARD:
            assert isinstance(found, Tensor)
            return self._worst([("out", found)])
        if what == BOTH:
            assert isinstance(found, tuple)
            return self._worst(list(zip(("out", "dq", "dk", "dv"), found, strict=True)))
        assert what == DECODE and isinstance(found, Tensor)
        # The last row of the sampled ones is the last query.
        return _share("out", found, self.parts[0].out[:, :, -1:])

    def check(self, name: str, what: str, found: object) -> float:
        """The error. Raises Disagreement where it is more than is allowed."""
        error = self.error(what, found)
        if not error <= 1:  # also where it is NaN
            raise Disagreement(f"{name}, {what}: {error:.3g} times the error that is allowed; not timed")
        return error

    def _worst(self, found: Sequence[tuple[str, Tensor]]) -> float:
        errors = []
        for part in self.parts:
            for name, whole in found:
                expected = getattr(part, name)
                if expected is not None:
                    mine = whole[:, part.heads]
                    errors.append(_share(name, mine[:, :, part.rows] if name in ("out", "dq") else mine, expected))
        return max(errors, key=lambda error: (error != error, error))


def _share(name: str, found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return torch.inf
    out_allowed, gradient_allowed = _TOLERANCE[found.dtype]
    error = (found.double() - expected).abs().max().item()
    if name == "out":
        return error / out_allowed
    return error / (gradient_allowed * max(expected.abs().max().item(), 1e-30))


def _rows(mask: Mask, inputs: Inputs, rows: Tensor) -> Part:
    """One head at a time: a million keys in float64 are large."""
    keys = torch.arange(inputs.n, device=rows.device)
    keep = mask(rows[:, None], keys[None, :])
    outs, dqs = [], []
    for head in range(inputs.q.shape[1]):
        q, grad = (x[:, head, rows].double() for x in (inputs.q, inputs.grad))
        k, v = (x[:, head].double() for x in (inputs.k, inputs.v))
        out, dq, _, _ = _softmax(q, k, v, grad, keep)
        outs.append(out)
        dqs.append(dq)
    return Part(slice(None), rows, torch.stack(outs, 1), torch.stack(dqs, 1))


def _head(mask: Mask, inputs: Inputs, head: int) -> Part:
    """All of one head, some rows at a time."""
    n, device = inputs.n, inputs.device
    q, k, v, grad = (x[:, head].double() for x in (inputs.q, inputs.k, inputs.v, inputs.grad))
    keys = torch.arange(n, device=device)
    out, dq, dk, dv = (torch.zeros_like(q) for _ in range(4))
    step = max(1, _PAIRS_AT_ONCE // n)
    for first in range(0, n, step):
        part = slice(first, min(first + step, n))
        keep = mask(keys[part, None], keys[None, :])
        out[:, part], dq[:, part], weights, scores = _softmax(q[:, part], k, v, grad[:, part], keep)
        dk += scores.mT @ q[:, part]
        dv += weights.mT @ grad[:, part]
    return Part(slice(head, head + 1), keys, *(x[:, None] for x in (out, dq, dk, dv)))


def _softmax(q: Tensor, k: Tensor, v: Tensor, grad: Tensor, keep: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """out, dq, the weights, and the gradient of the scores times the scale."""
    scale = q.shape[-1] ** -0.5
    weights = (q @ k.mT * scale).masked_fill(~keep, -torch.inf).softmax(-1)
    out = weights @ v
    scores = weights * (grad @ v.mT - (grad * out).sum(-1, keepdim=True)) * scale
    return out, scores @ k, weights, scores
