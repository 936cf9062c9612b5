"""The syntax tree of a ``.pat`` file.

Nodes are immutable and compare by meaning: spans travel with them and stay out of equality. One vocabulary serves
twice. ``parse`` returns the tree as written. ``bind`` returns a tree in the *core* subset: parameters are numbers,
calls are expanded, and of the relation expressions only ``Pairs``, ``Union``, ``Intersection``, ``Difference``,
``Complement`` and ``Composition`` are left, of the formulas everything but ``Membership`` and bounded ``Exists``,
of the names only coordinates, bound variables and the lengths ``n``, ``nq``, ``nk``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

from .source import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    span: Span = field(compare=False, repr=False)


# --- integer terms -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Integer(Node):
    value: int


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A coordinate, a bound variable, a parameter, or a length (``n``, ``nq``, ``nk``)."""

    name: str


@dataclass(frozen=True, slots=True)
class Arithmetic(Node):
    """``operator`` is one of ``+ - * div mod ^``; ``div`` and ``mod`` round towards minus infinity."""

    operator: str
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class Negative(Node):
    term: Term


Term: TypeAlias = Integer | Name | Arithmetic | Negative


# --- formulas ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Comparison(Node):
    """A chain ``t0 op0 t1 op1 t2 ...``; operators are ``< <= > >= = !=``."""

    terms: tuple[Term, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class And(Node):
    left: Formula
    right: Formula


@dataclass(frozen=True, slots=True)
class Or(Node):
    left: Formula
    right: Formula


@dataclass(frozen=True, slots=True)
class Not(Node):
    formula: Formula


@dataclass(frozen=True, slots=True)
class Exists(Node):
    """``exists k : F`` ranges over the positions ``0 <= k < n`` (the longer side in a cross pattern);
    ``exists k in lo..hi : F`` over a constant interval, both ends included. The latter is expanded by ``bind``."""

    variable: str
    body: Formula
    bounds: tuple[Term, Term] | None = None


@dataclass(frozen=True, slots=True)
class Membership(Node):
    """``t in S`` for a set of positions S."""

    term: Term
    positions: Expression


Formula: TypeAlias = Comparison | And | Or | Not | Exists | Membership


# --- relations and sets of positions -------------------------------------------------------------------------------


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
    """``local(w)``, ``fixed(l = 128, c)``, or a bare name (no arguments): a rule, a step, or a set parameter."""

    name: str
    arguments: tuple[Argument, ...] = ()


@dataclass(frozen=True, slots=True)
class Argument(Node):
    """A positional (``name`` is None) or keyword argument; its value is a number or a set."""

    name: str | None
    value: Value


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


Expression: TypeAlias = (
    Pairs | Positions | Elements | Call | Union | Intersection | Difference | Complement | Composition
)


@dataclass(frozen=True, slots=True)
class Ratio(Node):
    """``10%``, stored in percent."""

    percent: float


Value: TypeAlias = Term | Expression | Ratio


# --- declarations --------------------------------------------------------------------------------------------------


class ParameterType(StrEnum):
    INT = "int"
    RATIO = "ratio"
    SET = "set"


@dataclass(frozen=True, slots=True)
class Parameter(Node):
    name: str
    type: ParameterType
    default: Value | None = None


@dataclass(frozen=True, slots=True)
class Rule(Node):
    """A named relation or set of positions, open in its parameters."""

    name: str
    parameters: tuple[Parameter, ...]
    body: Expression
    documentation: str | None = None


class Direction(StrEnum):
    CAUSAL = "causal"
    BIDIRECTIONAL = "bidirectional"
    CROSS = "cross"


@dataclass(frozen=True, slots=True)
class Step(Node):
    """One attention step of a (possibly factorised) pattern; ``name`` is None for a lone anonymous step."""

    name: str | None
    body: Expression


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimBase(Node):
    """``at`` is the stated length of ``prove ... at n = N``: the claim is then about that length alone."""

    at: Term | None = None


@dataclass(frozen=True, slots=True)
class Nonempty(ClaimBase):
    """Every query attends to at least one key in the union of the steps."""


@dataclass(frozen=True, slots=True)
class Causal(ClaimBase):
    """No query attends to a later key."""


@dataclass(frozen=True, slots=True)
class Reach(ClaimBase):
    """``reach in K steps``; ``not reach in K steps``; ``not reach`` (``steps`` None: in no number of steps).

    Layer r runs step r mod p, the first layer the first step; the residual stream carries every token along.
    """

    steps: Term | None
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Subset(ClaimBase):
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Equal(ClaimBase):
    left: Expression
    right: Expression


Claim: TypeAlias = Nonempty | Causal | Reach | Subset | Equal


@dataclass(frozen=True, slots=True)
class Pattern(Node):
    name: str
    parameters: tuple[Parameter, ...]
    direction: Direction
    requirements: tuple[Formula, ...]
    steps: tuple[Step, ...]
    claims: tuple[Claim, ...]
    documentation: str | None = None


class Integration(StrEnum):
    """How the steps of a factorised pattern meet a model (Child et al. 2019, section 4.3)."""

    MERGED = "merged"  # every head attends to the union of the steps
    INTERLEAVED = "interleaved"  # layer r runs step r mod p
    HEADS = "heads"  # head h runs step h mod p


@dataclass(frozen=True, slots=True)
class Assignment(Node):
    """``layers 2..27, 30 heads 0..3 : pattern(args) interleaved``. ``layers`` None: all; ``heads`` None: all.

    Intervals have both ends included, as written.
    """

    layers: tuple[tuple[int, int], ...] | None
    heads: tuple[tuple[int, int], ...] | None
    pattern: Call
    integration: Integration = Integration.MERGED


@dataclass(frozen=True, slots=True)
class Plan(Node):
    name: str
    assignments: tuple[Assignment, ...]
    documentation: str | None = None


@dataclass(frozen=True, slots=True)
class Module(Node):
    """A whole file, declarations in order."""

    documentation: str | None
    rules: tuple[Rule, ...]
    patterns: tuple[Pattern, ...]
    plans: tuple[Plan, ...]


# --- what binding returns ------------------------------------------------------------------------------------------

Bound: TypeAlias = int | float | Expression
"""The value of a parameter: an int, a ratio in [0, 1], or a core-form set of positions (``Positions``)."""


@dataclass(frozen=True, slots=True)
class BoundPattern(Node):
    """A pattern whose parameters have values: steps and claims are in core form, claim numbers are ``Integer``."""

    name: str
    direction: Direction
    arguments: tuple[tuple[str, Bound], ...]
    steps: tuple[Step, ...]
    claims: tuple[Claim, ...]
    documentation: str | None = None

    @property
    def union(self) -> Expression:
        """The union of the steps: what one merged head attends to."""
        body = self.steps[0].body
        for step in self.steps[1:]:
            body = Union(body, step.body, span=body.span.to(step.span))
        return body
