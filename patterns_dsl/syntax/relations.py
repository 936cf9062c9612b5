"""Relations between queries and keys, and sets of positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .formulas import Formula
from .node import Node
from .terms import Term


@dataclass(frozen=True, slots=True)
class Pairs(Node):
    """``{ (i, j) : formula }``: query i attends to key j."""

    query: str
    key: str
    formula: Formula


@dataclass(frozen=True, slots=True)
class Positions(Node):
    """``{ j : formula }``."""

    variable: str
    formula: Formula


@dataclass(frozen=True, slots=True)
class Elements(Node):
    """``{0, 5..9}``: intervals with both ends included."""

    intervals: tuple[tuple[Term, Term], ...]


@dataclass(frozen=True, slots=True)
class Call(Node):
    """``local(w)``, ``fixed(l = 128, c)``, or a bare name (no arguments): a rule, a step, or a parameter."""

    name: str
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Choices(Node):
    """``[skip, coarse, fine]``: the value of an option that takes several words."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """A positional (``name`` is None) or keyword argument."""

    name: str | None
    value: Value | Choices


@dataclass(frozen=True, slots=True)
class Union(Node):
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Intersection(Node):
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Difference(Node):
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Complement(Node):
    """``not R``: every pair of positions that is not in R (within ``j <= i`` in a causal pattern)."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class Composition(Node):
    """``A @ B``: i reaches j when some k has (i, k) in A and (k, j) in B. B happens first."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Gated(Node):
    """``gated R``: the term has a learned gate per head, which may close. ``gate`` names it, in core form."""

    operand: Expression
    gate: str = ""


@dataclass(frozen=True, slots=True)
class Pooled(Node):
    """Keys that a query sees only as summaries of ``size`` tokens each: ``operand`` holds the tokens that they
    summarise. Core form only."""

    operand: Expression
    size: int


Expression: TypeAlias = (
    Pairs | Positions | Elements | Call | Union | Intersection | Difference | Complement | Composition | Gated | Pooled
)


@dataclass(frozen=True, slots=True)
class Ratio(Node):
    """``10%``, stored in percent."""

    percent: float


Value: TypeAlias = Term | Expression | Ratio
