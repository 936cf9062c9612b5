"""Gates: choices of one or of several, hard forwards and soft backwards.

Forwards a gate is 0 or 1. Backwards it is the sigmoid, or softmax, that it was drawn from (Bengio et al. 2013; Jang et
al. 2017). A log-gate is log g: where g = 1 its gradient is that of g, where g = 0 the pairs are absent and there is
none. What is closed learns from the density, or from distillation.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ArgumentError
from .relaxations.soft_topk import readable, straight_through
from .selection import TermGate


def one_gate(
    logits: Tensor, *, temperature: float = 1.0, noise: float = 0.0, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """(open, gate), bool and 0/1 with the gradient of sigmoid((logits + noise G) / temperature), as logits.

    Open where logits + noise G > 0. G is the difference of two Gumbel variables, drawn anew at every call. Raises
    ArgumentError for a NaN; on an accelerator, which would have to stop to be asked, such a gate is open and NaN. And
    for a temperature that is not above 0, or a noise below it.
    """
    check_logits(logits)
    _check_schedules(temperature, noise)
    if noise:
        logits = logits + noise * (_gumbel(logits, generator) - _gumbel(logits, generator))
    is_open = ~(logits <= 0)
    return is_open, straight_through(is_open, torch.sigmoid(logits / temperature))


def one_of(
    logits: Tensor, *, temperature: float = 1.0, noise: float = 0.0, generator: torch.Generator | None = None
) -> Tensor:
    """One-hot [..., n] with the gradient of softmax((logits + noise G) / temperature), G Gumbel variables; of equal
    logits the first wins. NaN as in ``one_gate``, and infinity, of which there may be several."""
    check_logits(logits, finite=True)
    _check_schedules(temperature, noise)
    if noise:
        logits = logits + noise * _gumbel(logits, generator)
    chosen = torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    return straight_through(chosen, torch.softmax(logits / temperature, -1))


def check_logits(logits: Tensor, *, finite: bool = False) -> None:
    if readable(logits) and bool((logits.isnan() | (logits.isposinf() & finite)).any()):
        found = "NaN or infinity" if finite else "NaN"
        raise ArgumentError("logits", found, "find where it comes from: a gate drawn from it would be arbitrary")


def _check_schedules(temperature: float, noise: float) -> None:
    if not 0 < temperature < math.inf:
        raise ArgumentError("temperature", f"{temperature}", "give a number above 0: a ramp ends above it")
    if not 0 <= noise < math.inf:
        raise ArgumentError("noise", f"{noise}", "give 0 for none, or a number above it")


def check_budget(budget: float) -> None:
    """Raises ArgumentError unless it is more than nothing and at most everything."""
    if not 0 < budget <= 1:
        raise ArgumentError("budget", f"{budget}", "a budget is a share of dense attention: more than 0, at most 1")


def log_gate(chosen: Tensor, gate: Tensor) -> Tensor:
    """0 where chosen, with the gradient of ``gate``; elsewhere -inf, without one."""
    return (gate - gate.detach()).masked_fill(~chosen, -torch.inf)


def soft_log_gate(p: Tensor) -> Tensor:
    """log p, and -inf without a gradient where p = 0."""
    return p.masked_fill(p == 0, 1.0).log().masked_fill(p == 0, -torch.inf)


def _gumbel(like: Tensor, generator: torch.Generator | None) -> Tensor:
    drawn = torch.empty_like(like).exponential_(generator=generator)
    return -drawn.clamp_min(torch.finfo(like.dtype).tiny).log()


class Gated(nn.Module):
    """A factor for one term in every head: ``gated R``.

    A head's factor is sigmoid(logit), and weighs the term against the rest of the softmax. ``hard``: it is 0 or 1
    instead, open where logit + ``noise`` G > 0, without noise outside training; a closed term then costs nothing,
    and is reopened by the noise.
    """

    is_hard: Tensor

    def __init__(self, heads: int, *, hard: bool = False, start: float = 2.0) -> None:
        super().__init__()
        if heads < 1:
            raise ArgumentError("heads", f"{heads}", "a gate belongs to at least one head")
        self.noise, self._hard = 1.0, hard
        self.logits = nn.Parameter(torch.full((heads,), start))
        self.register_buffer("is_hard", torch.tensor([hard]))  # what is saved says how it is to be read

    @property
    def hard(self) -> bool:
        return self._hard  # a look at the buffer would stop a device's stream

    @hard.setter
    def hard(self, value: bool) -> None:
        self._hard = value
        self.is_hard.fill_(value)

    def _load_from_state_dict(self, *arguments: Any, **named: Any) -> None:
        super()._load_from_state_dict(*arguments, **named)
        self._hard = bool(self.is_hard)

    def forward(self, generator: torch.Generator | None = None) -> TermGate:
        if not self.hard:
            return TermGate(nn.functional.logsigmoid(self.logits))
        is_open, gate = one_gate(self.logits, noise=self.noise if self.training else 0.0, generator=generator)
        return TermGate(log_gate(is_open, gate))
