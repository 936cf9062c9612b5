"""A part of the pattern in the orders in which it is computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from ..relations.divided import Divided
from ..relations.integer import Predicate
from ..relations.isl.context import quote
from ..relations.isl.presburger import IntegerSet
from .order import STRAIGHT, Order, Turn
from .program import Tile

SPACE = ("c", "a", "b")
"""Query class, query rank, key rank: the coordinates of a placed term."""


@dataclass(frozen=True)
class KernelKind:
    """What the placements of one kernel have in common: the stationary side and its order, how many of its ranks are
    held, and whether matrix units are left alone."""

    side: Literal["query", "key"]
    order: Order
    held: int
    vector: bool


@dataclass(frozen=True)
class Placement:
    """``pairs`` is over SPACE, unbounded above. With rows, of as many ranks, its ranges are fans over the difference
    between the row of the swept rank and that of the stationary one. Where it is ``diagonal`` they are of diagonals.
    ``tile``: its own, where one of the sides is narrower than those of the program. ``tokens``: in boxes of a grid the
    same pairs in natural order, over SPACE too."""

    pairs: IntegerSet
    query: Order
    key: Order
    turn: Turn
    label: str
    line: int
    row: int = 0
    lengths: tuple[str, ...] = ("n",)
    diagonal: bool = False
    tile: Tile | None = None
    tokens: IntegerSet | None = None

    def by_query(self, tile: Tile) -> KernelKind:
        """The kernel that computes it forward, in a program of tiles ``tile``."""
        return KernelKind("query", self.query, self.within(tile).query, self.vector)

    def by_key(self, tile: Tile) -> KernelKind:
        """And that of the gradients of keys."""
        return KernelKind("key", self.key, self.within(tile).key, self.vector)

    @property
    def vector(self) -> bool:
        """Whether matrix units are left alone."""
        return self.diagonal or (self.tile is not None and self.tile.vector)

    def within(self, tile: Tile) -> Tile:
        """Its tile in a program of tiles ``tile``."""
        return self.tile or tile

    @property
    def domain(self) -> IntegerSet:
        """The ranks and classes that exist, whatever the length."""
        return _domain(self.query.classes)

    @property
    def existing(self) -> IntegerSet:
        """The ranks that exist at each length."""
        return _existing(self.query, self.key, self.key_class, self.lengths)

    @property
    def key_class(self) -> str:
        """The class of the keys, as a formula over that of the queries."""
        return self.turn.formula("v_c", self.key.classes)

    @property
    def present(self) -> IntegerSet:
        """The pairs whose ranks exist at each length."""
        return _present(self.pairs, self.existing)

    @property
    def members(self) -> tuple[Divided, ...]:
        """The pairs, to look some up."""
        return _divided(self.pairs)

    @property
    def there(self) -> tuple[Divided, ...]:
        """The pairs that exist, to look some up."""
        return _divided(self.existing)

    @property
    def keep(self) -> Predicate:
        """Membership in the term, exact for existing ranks."""
        return _kept(self.pairs, self.query.classes)


# By rows, by diagonals, and in tiles of each size, placements hold the same pairs in the same orders.


@lru_cache(maxsize=64)
def _domain(classes: int) -> IntegerSet:
    return IntegerSet.parse(SPACE, f"0 <= v_c < {classes} and v_a >= 0 and v_b >= 0")


@lru_cache(maxsize=1024)
def _existing(query: Order, key: Order, key_class: str, lengths: tuple[str, ...]) -> IntegerSet:
    first, second = query.formula("v_c", quote("a")), key.formula(key_class, quote("b"))
    there = f"{first} < {quote(lengths[0])} and {second} < {quote(lengths[-1])}"
    return _domain(query.classes) & IntegerSet.parse(SPACE, there, lengths)


@lru_cache(maxsize=1024)
def _present(pairs: IntegerSet, existing: IntegerSet) -> IntegerSet:
    return pairs & existing


@lru_cache(maxsize=1024)
def _kept(pairs: IntegerSet, classes: int) -> Predicate:
    return pairs.predicate(_domain(classes))


@lru_cache(maxsize=1024)
def _divided(pairs: IntegerSet) -> tuple[Divided, ...]:
    return pairs.divided()


def seen_from(still: str, pairs: IntegerSet, placement: Placement) -> IntegerSet:
    """The pairs with c naming the class of the stationary side."""
    if still == "I" or placement.turn == STRAIGHT or placement.query.classes == 1:
        return pairs
    return pairs.image(("d", "a", "b"), f"v_d = {placement.key_class}").rename({"d": "c"})


def tiles_of(pairs: IntegerSet, tile: Tile) -> IntegerSet:
    """The tiles (c, I, J) that hold one of the pairs."""
    return pairs.image(("c", "I", "J"), f"v_I = floor(v_a / {tile.query}) and v_J = floor(v_b / {tile.key})")


def known_of(placement: Placement, still: str) -> IntegerSet:
    """What a range may take for granted of its variables."""
    exist = " and ".join(f"{quote(length)} >= 1" for length in (*placement.lengths, "T"))
    return IntegerSet.parse(
        ("c", still), f"0 <= v_c < {placement.query.classes} and v_{still} >= 0 and {exist}", (*placement.lengths, "T")
    )
