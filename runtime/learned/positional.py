"""Positional relations, some under gates, by the engines that run programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..engines.compose.running.stages import merge
from ..engines.engine import Call, Engine
from .running.gathered import Rows

CLOSED = 1e30
"""In the place of an infinite log-normaliser: e^(score - this) is 0 in every data type, and no difference is NaN."""


@dataclass(frozen=True, slots=True, eq=False)
class Positional:
    """A program under an engine. ``head_gate`` [Hq]: a log-gate that all of its pairs have in a head; None: no gate.

    A common gate moves the log-normaliser of a term and nothing else: L + log g in the place of L."""

    engine: Engine[Any]
    program: Any
    call: Call
    head_gate: Tensor | None = None

    def learned(self) -> dict[str, Tensor]:
        return {} if self.head_gate is None else {"head_gate": self.head_gate}

    def having(self, learned: Mapping[str, Any]) -> Positional:
        return replace(self, **learned)

    def add(self, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor) -> tuple[Tensor, Tensor]:
        """Merge into out and lse, in place; returns this term's own, as they are without the gate."""
        own_out, own_lse = self.engine.forward(self.program, q, k, v, self.call)
        shifted = own_lse if self.head_gate is None else own_lse + self.head_gate.to(own_lse.dtype)[:, None]
        merge(out, lse, own_out.to(out.dtype), shifted.to(lse.dtype))
        return own_out, own_lse

    def gradients(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        final: tuple[Tensor, Tensor, Tensor, Tensor | None],
        whole: Rows,
        own: tuple[Tensor, Tensor] | None,
        sums: tuple[Tensor, Tensor, Tensor],
    ) -> dict[str, Tensor]:
        """Add to ``sums``, the gradients of q, k and v, and return that of the gate.

        ``final``: out and lse of the whole softmax, and their gradients. ``own``: this term's (out, lse), where it has
        a gate."""
        out, lse, grad_out, grad_lse = final
        if self.head_gate is not None:
            gate = self.head_gate.to(lse.dtype)[:, None]
            # A row that reads nothing may have pairs here whose gate is closed, which an engine takes lse to deny.
            dead = lse.isneginf()
            lse = (lse - gate).masked_fill(dead, CLOSED).clamp(max=CLOSED)
            grad_lse = None if grad_lse is None else grad_lse.masked_fill(dead, 0.0)
        parts = self.engine.backward(self.program, grad_out, grad_lse, q, k, v, out, lse, self.call)
        for target, part in zip(sums, parts, strict=True):
            target.add_(part)
        if self.head_gate is None:
            return {}
        assert own is not None
        own_out, own_lse = own
        share = torch.exp(own_lse.to(whole.lse.dtype)[..., None] + gate[..., None] - whole.lse)
        slope = (whole.grad * own_out.to(whole.grad.dtype)).sum(-1, keepdim=True) - whole.delta
        return {"head_gate": (share * slope).sum((0, 2, 3))}
