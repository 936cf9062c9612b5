"""Formulas over positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from .node import Node
from .terms import Term

if TYPE_CHECKING:
    from .relations import Expression


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


@dataclass(frozen=True, slots=True)
class PairMembership(Node):
    """``(s, t) in R``: s attends to t under the relation R."""

    query: Term
    key: Term
    relation: Expression


@dataclass(frozen=True, slots=True)
class Example(Node):
    """One selection that can occur: in words, such as ``the first 64 keys``, and as a formula."""

    words: str
    formula: Formula


@dataclass(frozen=True, slots=True)
class Chosen(Node):
    """What the text leaves open: a learned selection or the data decide it. Core form only.

    ``must`` holds whatever is chosen, ``may`` could; ``examples`` are choices that can really occur. ``terms`` are
    the position, or the query and key, that the choice is about; ``most`` bounds how many keys one query gets
    through it, where a bound is known.
    """

    source: str
    terms: tuple[Term, ...]
    must: Formula
    may: Formula
    examples: tuple[Example, ...]
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Drawn(Node):
    """A seeded table: each query block attends to ``count`` key blocks drawn without replacement from those it may
    see, out of ``length`` keys. Known at any given length, and open (anything or nothing) to a proof for all lengths.
    Core form only."""

    query: Term
    key: Term
    length: Term
    count: int
    block: int
    seed: int


Formula: TypeAlias = Comparison | And | Or | Not | Exists | Membership | PairMembership | Chosen | Drawn
