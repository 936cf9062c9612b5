"""digits: pairs of tokens of a grid, each written by its coordinates.

    moduli 384, 3840, 23040:  a = 23040 z + 3840 y + 384 x + e,  0 <= e < 384, 0 <= x < 10, 0 <= y < 6

Whether one set of pairs holds another is hard to tell where both speak of floor(a / 3840) and floor(a / 23040): isl
knows of no division what the others make of it. Of coordinates there are none left, most constraints are of one or two
of them, and the answer comes at once. Each natural number is written in one way, so that it is the same answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from .isl.presburger import IntegerSet

PAIR = ("a", "b")
"""What is written by digits: two natural numbers."""


@dataclass(frozen=True, slots=True)
class Digits:
    """``chain``: moduli, ascending, each a multiple of the one before; at least one."""

    chain: tuple[int, ...]

    @classmethod
    def of(cls, moduli: Iterable[int]) -> Digits | None:
        """Those of all moduli; None where these are no chain."""
        chain = tuple(sorted({modulus for modulus in moduli if modulus > 1}))
        return cls(chain) if chain and all(high % low == 0 for low, high in pairwise(chain)) else None

    def names(self, number: str) -> tuple[str, ...]:
        """The dims of the digits of a number, that of units first."""
        return tuple(f"{number}{place}" for place in range(len(self.chain) + 1))

    def write(self, pairs: IntegerSet) -> IntegerSet:
        """The tuples of a set whose a and b are natural numbers, with the digits of these, after its other dims."""
        others = tuple(dim for dim in pairs.dims if dim not in PAIR)
        return pairs.image((*others, *self.names("a"), *self.names("b")), self._formula())

    def read(self, written: IntegerSet) -> IntegerSet:
        """The inverse of ``write``: over the other dims, then a and b."""
        digits = (*self.names("a"), *self.names("b"))
        others = tuple(dim for dim in written.dims if dim not in digits)
        return written.image((*others, *PAIR), self._formula())

    def _formula(self) -> str:
        return " and ".join(part for number in PAIR for part in self._digits(number))

    def _digits(self, number: str) -> Iterable[str]:
        """That a number has its digits. Each quotient is said to be what it is, or its division would stay."""
        weights, names = (1, *self.chain), self.names(number)
        for place, weight in enumerate(weights):
            terms = (
                f"{other // weight} * v_{name}" for other, name in zip(weights[place:], names[place:], strict=True)
            )
            yield f"floor(v_{number} / {weight}) = {' + '.join(terms)}"
        for (low, high), name in zip(pairwise(weights), names, strict=False):
            yield f"0 <= v_{name} < {high // low}"
        yield f"v_{names[-1]} >= 0"
