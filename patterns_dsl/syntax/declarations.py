"""Rules, patterns, plans, imports, and the module that a file is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .claims import Claim, PlanClaim
from .formulas import Formula
from .node import Node
from .relations import Call, Expression, Value
from .terms import Term


class ParameterType(StrEnum):
    INT = "int"
    RATIO = "ratio"
    SET = "set"
    RELATION = "relation"


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
class Axis(Node):
    """One axis of a grid. The first has no extent: it runs on with the sequence."""

    name: str
    extent: Term | None = None


@dataclass(frozen=True, slots=True)
class Grid(Node):
    """``grid(t, y = 16, x = 32)``: tokens in raster order, the last axis fastest."""

    axes: tuple[Axis, ...]


@dataclass(frozen=True, slots=True)
class Learn(Node):
    """``learn hot = topk_blocks(k = 64)``: a selection that is made at run time. The call names its selector."""

    name: str
    selector: Call


@dataclass(frozen=True, slots=True)
class Step(Node):
    """One attention step of a (possibly factorised) pattern; ``name`` is None for a lone anonymous step."""

    name: str | None
    body: Expression


@dataclass(frozen=True, slots=True)
class Pattern(Node):
    name: str
    parameters: tuple[Parameter, ...]
    direction: Direction
    requirements: tuple[Formula, ...]
    steps: tuple[Step, ...]
    claims: tuple[Claim, ...]
    documentation: str | None = None
    grid: Grid | None = None
    learned: tuple[Learn, ...] = ()


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
    claims: tuple[PlanClaim, ...] = ()


@dataclass(frozen=True, slots=True)
class Imported(Node):
    """``near as close``: a name of another file, and what it is called here."""

    original: str
    name: str


@dataclass(frozen=True, slots=True)
class Import(Node):
    """``from "windows.pat" import near, far as distant``."""

    path: str
    names: tuple[Imported, ...]


@dataclass(frozen=True, slots=True)
class Link(Node):
    """An imported name and the module that declares it: what ``link`` makes of an import."""

    name: str
    original: str
    module: Module


@dataclass(frozen=True, slots=True)
class Module(Node):
    """A whole file, declarations in order."""

    documentation: str | None
    rules: tuple[Rule, ...]
    patterns: tuple[Pattern, ...]
    plans: tuple[Plan, ...]
    imports: tuple[Import, ...] = ()
    links: tuple[Link, ...] = field(default=(), compare=False, repr=False)
