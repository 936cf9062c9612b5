"""What takes part in a comparison: one class per library, each with the same five answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from cases import BOTH, DECODE, FORWARD, Case

from patternc.runtime.bench.inputs import Attend, Inputs, decode, forward, forward_backward


class CannotRun(Exception):
    """A contestant that has no way to compute a case; the message says why. It is printed and kept, not timed."""


@dataclass(frozen=True)
class Prepared:
    """A contestant made ready for one case and one length.

    ``attend``: q, k, v [B, H, n, D] -> out. ``step``: the same for one query [B, H, 1, D], the last. ``missing`` tells
    of each pass that it does not have why not. ``extra`` are further runs to be timed, as a mask that has to be made,
    and ``before`` says which of them comes before which pass. ``facts`` are told beside the times.
    """

    attend: Attend
    inputs: Inputs
    step: Attend | None = None
    missing: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    before: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def runs(self) -> dict[str, Callable[[], Any]]:
        """By pass."""
        found: dict[str, Callable[[], Any]] = {FORWARD: forward(self.attend, self.inputs)}
        if BOTH not in self.missing:
            found[BOTH] = forward_backward(self.attend, self.inputs)
        if self.step is not None:
            found[DECODE] = decode(self.step, self.inputs)
        return found


class Contestant(Protocol):
    name: str

    def available(self, device: str, dtype: torch.dtype) -> str | None:
        """None, or why it cannot take part on this machine and in this data type at all."""
        ...

    def computes(self, case: Case) -> Case:
        """The case that it computes beside this one: itself, or the dense attention that knows no pattern."""
        ...

    def prepare(self, case: Case, inputs: Inputs) -> Prepared:
        """Raises CannotRun, or whatever its library raises."""
        ...
