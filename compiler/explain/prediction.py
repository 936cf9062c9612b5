"""How long attention is predicted to take, each way that it can run, beside dense attention."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Way:
    """One way to compute the pattern, and its seconds for one call."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The ways to run one direction, the chosen one first, and the seconds of dense attention without the pattern."""

    ways: tuple[Way, ...]
    dense: float

    @property
    def chosen(self) -> Way:
        return self.ways[0]

    @property
    def speedup(self) -> float:
        """How many times faster than dense; below 1: slower. Of a pattern without pairs nothing is computed."""
        return self.dense / max(self.chosen.seconds, 1e-9)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """Of a selector: up to this ``density`` of what it selects lists are predicted to be the faster way, and beyond
    it dense attention under a mask."""

    selector: str
    density: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """One call at one length. ``basis`` says where the rates of ``machine`` are from."""

    machine: str
    basis: str
    dtype: str
    length: int
    batch: int
    heads: int
    head_dim: int
    forward: Choice
    backward: Choice

    @property
    def where(self) -> str:
        """``batch 1, 4 heads of 64``."""
        return f"batch {self.batch}, {self.heads} head{'s' * (self.heads > 1)} of {self.head_dim}"
