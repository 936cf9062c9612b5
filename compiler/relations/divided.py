"""Convex pieces of a set as numbers, which tell of tuples whether they are in it. To write down an expression that does
takes isl longer than it takes to look at some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Linear:
    """The sum of ``factors`` times names, and a constant: of a division what is divided ``by`` a number and rounded
    down, of a constraint what is at least 0; is 0, where ``by`` is 1."""

    factors: tuple[tuple[str | int, int], ...]
    constant: int
    by: int

    def value(self, values: Mapping[str | int, Any]) -> Any:
        return sum((factor * values[name] for name, factor in self.factors), start=self.constant)


@dataclass(frozen=True, slots=True)
class Divided:
    """One piece, over dims and parameters. The quotient of a division is known by its number to what follows it."""

    divisions: tuple[Linear, ...]
    constraints: tuple[Linear, ...]

    def holds(self, values: Mapping[str, Any]) -> Any:
        """Of each place whether it is in the piece. ``values``: integers, or arrays of them that broadcast."""
        known: dict[str | int, Any] = {}
        known.update(values.items())
        for number, division in enumerate(self.divisions):
            known[number] = division.value(known) // division.by
        inside: Any = True
        for each in self.constraints:
            value = each.value(known)
            inside = inside & (value == 0 if each.by else value >= 0)
        return inside

    def reach(self, name: str, values: Mapping[str, Any], lo: Any, hi: Any) -> tuple[Any, Any]:
        """Of each place an interval [lo, hi) within the given one that has all numbers ``name`` with which it is in the
        piece; lo >= hi where it has seen that there is none. ``values``: of all other names. What is said of a division
        of the number itself is left out, so that there may be fewer."""
        # Imported on use: what is proved of sets alone needs no arrays.
        import numpy as np

        known: dict[str | int, Any] = {}
        known.update(values.items())
        for number, division in enumerate(self.divisions):
            if all(used in known for used, _ in division.factors):
                known[number] = division.value(known) // division.by
        for each in self.constraints:
            factors = dict(each.factors)
            own = factors.pop(name, 0)
            if not factors.keys() <= known.keys():
                continue
            rest = Linear(tuple(factors.items()), each.constant, each.by).value(known)
            if not own:
                hi = np.where(rest == 0 if each.by else rest >= 0, hi, lo)
            if own > 0 or (own and each.by):  # own * number >= -rest
                lo = np.maximum(lo, -(rest // own))
            if own < 0 or (own and each.by):  # -own * number <= rest
                hi = np.minimum(hi, rest // -own + 1)
        return lo, hi


def holds(pieces: Sequence[Divided], values: Mapping[str, Any], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """[*shape]: of each place whether it is in one of the pieces."""
    import numpy as np  # on use, as above

    inside = np.zeros(shape, dtype=bool)
    for piece in pieces:
        inside |= piece.holds(values)
    return inside
