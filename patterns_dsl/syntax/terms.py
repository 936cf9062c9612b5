"""Integer terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .node import Node

LARGEST = 2**62
"""Bound of the numbers in a text, so that no sum of two of them overflows 64 bits."""


@dataclass(frozen=True, slots=True)
class Integer(Node):
    value: int


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A position, a bound variable, a parameter, or a length (``n``, ``nq``, ``nk``)."""

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


@dataclass(frozen=True, slots=True)
class Coordinate(Node):
    """``i.row``: the coordinate of a position on the pattern's grid. Not in core form: it is ``div`` and ``mod``."""

    position: Term
    axis: str


@dataclass(frozen=True, slots=True)
class Function(Node):
    """``abs(t)``, ``min(t, ...)``, ``max(t, ...)``. Not in core form: comparisons are split into cases."""

    name: str
    arguments: tuple[Term, ...]


Term: TypeAlias = Integer | Name | Arithmetic | Negative | Coordinate | Function
