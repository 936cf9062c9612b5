"""What a pattern or a plan claims of itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .node import Node
from .relations import Expression, Ratio
from .terms import Integer, Term


@dataclass(frozen=True, slots=True)
class Lengths(Node):
    """``at n = N``, or ``at nq = N, nk = M`` in a cross pattern: the lengths by name."""

    lengths: tuple[tuple[str, Term], ...]

    @property
    def values(self) -> tuple[int, ...]:
        """(n,) or (nq, nk), once they are bound. Raises TypeError before."""
        found = dict(self.lengths)
        numbers = [found[name] for name in ("n", "nq", "nk") if name in found]
        if not all(isinstance(number, Integer) for number in numbers):
            raise TypeError("the stated lengths are folded by bind")
        return tuple(number.value for number in numbers if isinstance(number, Integer))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimBase(Node):
    """``at`` states a length: the claim is then about that length alone."""

    at: Lengths | None = None


# --- of a pattern ---


@dataclass(frozen=True, slots=True)
class Nonempty(ClaimBase):
    """In every step, every query attends to at least one key."""


@dataclass(frozen=True, slots=True)
class Causal(ClaimBase):
    """No query attends to a later key."""


@dataclass(frozen=True, slots=True)
class Symmetric(ClaimBase):
    """Whenever i attends to j, j attends to i."""


@dataclass(frozen=True, slots=True)
class Reach(ClaimBase):
    """``reach in K steps``; ``not reach in K steps``; ``not reach`` (``steps`` None: in no number of steps).

    Layer r runs step r mod p, the first layer the first step; the residual stream carries every token along. With
    ``any_order`` it holds whatever the order in which the layers take the steps in turn (without K: one layer each).
    """

    steps: Term | None
    negated: bool = False
    any_order: bool = False


@dataclass(frozen=True, slots=True)
class Subset(ClaimBase):
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Equal(ClaimBase):
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Disjoint(ClaimBase):
    """No pair is in both."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Keys(ClaimBase):
    """No query attends to more keys than this, over all steps; a pooled summary counts as one key."""

    most: Term


@dataclass(frozen=True, slots=True)
class Cache(ClaimBase):
    """While a sequence is decoded, no more than this many keys can still be read, at any moment."""

    most: Term


@dataclass(frozen=True, slots=True)
class Density(ClaimBase):
    """The share of the pairs that attend, of those that the direction allows."""

    most: Ratio | Term


Claim: TypeAlias = Nonempty | Causal | Symmetric | Reach | Subset | Equal | Disjoint | Keys | Cache | Density


# --- of a plan ---


@dataclass(frozen=True, slots=True)
class PlanReach(ClaimBase):
    """``reach in K layers``: the first K layers of the plan connect every earlier token (every token, when
    bidirectional); ``reach in any K layers``: every K layers in a row do; ``reach``: all of its layers do."""

    layers: Term | None
    negated: bool = False
    any_run: bool = False


@dataclass(frozen=True, slots=True)
class PlanCache(ClaimBase):
    """The live keys of all layers of the plan together, per key head."""

    most: Term


PlanClaim: TypeAlias = PlanReach | PlanCache
