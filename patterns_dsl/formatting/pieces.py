"""What the text of a node is made of: words, and the places of other nodes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from ..syntax import Node


class Unspellable(ValueError):
    """A tree that is the tree of no text."""


@dataclass(frozen=True, slots=True)
class Place:
    """A node, and what the text around it asks of it.

    ``floor``     how tightly it must bind, by the table in ``binding``, so as to need no parentheses
    ``argument``  it is an argument or a default, where a lone name is no relation but a number
    ``followed``  what comes after it would be taken for a part of an ``exists`` at its end
    """

    node: Node
    floor: int = 0
    argument: bool = False
    followed: bool = False


Piece: TypeAlias = str | Place
Pieces: TypeAlias = tuple[Piece, ...]


def listed(items: Iterable[Pieces], separator: str = ", ") -> Pieces:
    """The items with the separator between them."""
    return tuple(chain.from_iterable((separator, *item) if place else item for place, item in enumerate(items)))
