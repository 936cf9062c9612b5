"""Relations between queries and keys: the value that every proof and every pass works on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ...patterns_dsl.syntax import Direction
from .isl.context import quote
from .isl.presburger import IntegerSet

QUERY, KEY = "i", "j"
_PAIR = (QUERY, KEY)


LENGTHS = ("n", "nq", "nk")
"""The symbolic lengths of all directions."""


def lengths(direction: Direction) -> tuple[str, ...]:
    """The symbolic lengths of a pattern of this direction."""
    return ("nq", "nk") if direction is Direction.CROSS else ("n",)


@dataclass(frozen=True, eq=False)
class Relation:
    """A set of pairs (query i, key j), for every length at once.

    ``A @ B`` is the relation product in attention's reading: (i, j) is in it when i attends to some k under A and k
    attends to j under B. All relations that meet in an operation have the same direction.
    """

    pairs: IntegerSet
    direction: Direction

    @classmethod
    def parse(cls, formula: str, direction: Direction, *, query: str = QUERY, key: str = KEY) -> Relation:
        """The pairs of the direction's universe that satisfy an isl formula over quoted names."""
        pairs = IntegerSet.parse((query, key), formula, lengths(direction)).rename({query: QUERY, key: KEY})
        return cls(pairs & universe(direction).pairs, direction)

    def __or__(self, other: Relation) -> Relation:
        return Relation(self.pairs | other.pairs, self.direction)

    def __and__(self, other: Relation) -> Relation:
        return Relation(self.pairs & other.pairs, self.direction)

    def __sub__(self, other: Relation) -> Relation:
        return Relation(self.pairs - other.pairs, self.direction)

    def __matmul__(self, other: Relation) -> Relation:
        first = self.pairs.rename({KEY: "k"}).onto((QUERY, "k", KEY))
        second = other.pairs.rename({QUERY: "k"}).onto((QUERY, "k", KEY))
        return Relation((first & second).onto(_PAIR), self.direction)

    def transposed(self) -> Relation:
        """(i, j) for each (j, i)."""
        return Relation(self.pairs.rename({QUERY: KEY, KEY: QUERY}).onto(_PAIR), self.direction)

    def __le__(self, other: Relation) -> bool:
        return self.pairs <= other.pairs

    def equals(self, other: Relation) -> bool:
        return self.pairs.equals(other.pairs)

    @property
    def empty(self) -> bool:
        return self.pairs.empty

    @property
    def queries(self) -> IntegerSet:
        """The queries that attend to at least one key, over the dimension i."""
        return self.pairs.onto((QUERY,))

    @property
    def keys(self) -> IntegerSet:
        """The keys that some query attends to, over the dimension j."""
        return self.pairs.onto((KEY,))

    def smallest(self) -> dict[str, int] | None:
        """The pair (lengths, i, j) with the shortest length, then the first query, then the first key."""
        return self.pairs.smallest(lengths(self.direction))

    def formula(self) -> IntegerSet:
        """The relation without the bounds of its square: equal to it within 0 <= i, j < n, and usually free of n."""
        return self._unbounded

    @cached_property
    def _unbounded(self) -> IntegerSet:
        square = universe(Direction.CROSS if self.direction is Direction.CROSS else Direction.BIDIRECTIONAL)
        return self.pairs.simplify(square.pairs)

    @cached_property
    def depends_on_length(self) -> bool:
        """Whether a row of the relation changes when the sequence grows: such a pattern cannot decode with a cache."""
        return any(self.formula().involves(length) for length in lengths(self.direction))

    @property
    def farthest(self) -> int | None:
        """The largest distance of a query from a key, ahead or behind, over every length; None where there is no
        largest, or no pair."""
        ends = []
        for far, near in ((QUERY, KEY), (KEY, QUERY)):
            distances = self.pairs.image(("x",), f"v_x = v_{far} - v_{near}").for_some(*lengths(self.direction))
            ends.append(distances.greatest())
        back, ahead = ends
        return None if back is None or ahead is None else max(back, ahead)


def universe(direction: Direction) -> Relation:
    """All pairs that a pattern of this direction may hold."""
    match direction:
        case Direction.CAUSAL:
            return _raw("0 <= {j} and {j} <= {i} and {i} < {n}", direction)
        case Direction.BIDIRECTIONAL:
            return _raw("0 <= {i} and {i} < {n} and 0 <= {j} and {j} < {n}", direction)
        case Direction.CROSS:
            return _raw("0 <= {i} and {i} < {nq} and 0 <= {j} and {j} < {nk}", direction)


def identity(direction: Direction) -> Relation:
    """Every token and itself: what the residual stream carries from layer to layer."""
    return _raw("0 <= {i} and {i} = {j} and {i} < {n}", direction)


def _raw(template: str, direction: Direction) -> Relation:
    names = (*_PAIR, *lengths(direction))
    formula = template.format(**{name: quote(name) for name in names})
    return Relation(IntegerSet.parse(_PAIR, formula, lengths(direction)), direction)
