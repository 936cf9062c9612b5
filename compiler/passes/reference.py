"""reference: the length at which the orders of a part are compared."""

from __future__ import annotations

from functools import lru_cache

from ..relations.isl.context import BudgetExceeded, budget
from ..relations.isl.presburger import IntegerSet
from ..relations.relation import KEY, QUERY, lengths
from ..relations.shadow import least
from .candidates import LONGEST_PERIOD, pairs_of
from .split import Part

REFERENCE_LENGTH = 16_384
"""Orders are compared at this length, or at some periods of the relation where those are longer."""

LONGEST_LENGTH = 1 << 19
"""They are compared at no longer ones for the sake of tokens that are far apart."""

_OPERATIONS = 100_000
"""For finding a length at which a part has a pair."""


@lru_cache(maxsize=256)  # asked for in tiles of each size
def reference_length(part: Part) -> int:
    """A length at which the part shows: of the pairs of tokens that are far apart, a short sequence has few, and what
    is at the end of a sequence may be there at some lengths only."""
    moduli = [modulus for modulus in pairs_of(part).moduli if modulus <= LONGEST_PERIOD]
    nearest = least(part.relation.pairs.image(("r",), f"v_r = v_{QUERY} - v_{KEY}"))
    periods = max(moduli, default=1)
    rows = min(64 * periods, 4 * REFERENCE_LENGTH)
    return _inhabited(part, max(REFERENCE_LENGTH, 8 * periods, rows, min(4 * nearest, LONGEST_LENGTH)))


def _inhabited(part: Part, length: int) -> int:
    """The least length from this one on at which the part has a pair; this one where that is too far, or hard to tell.
    At a length at which it has none, whatever it is joined with seems to cost nothing."""
    if not part.relation.depends_on_length:
        return length
    names = lengths(part.relation.direction)
    alike = " and ".join((f"v_{names[0]} >= {length}", *(f"v_{name} = v_{names[0]}" for name in names[1:])))
    try:
        with budget(_OPERATIONS):
            first = (part.relation.pairs & IntegerSet.parse((QUERY, KEY), alike, names)).smallest(names)
    except BudgetExceeded:
        return length
    return length if first is None or first[names[0]] > LONGEST_LENGTH else first[names[0]]
