"""turns: how the residues of the keys of a query hang on that of the query, as few affine maps.

    (i - j) mod m = d               key class c - d: one turn for each d
    (i + 2 * j) mod 7 = 3           key class 3 * c + 5: seven differences i - j, but one of 3 * i - j

A factor is looked for where differences alone are several: of the keys of class 0 and of class 1 it is a difference.
"""

from __future__ import annotations

from math import gcd

from ..relations.isl.presburger import IntegerSet
from ..relations.periods import members
from ..relations.relation import LENGTHS
from .order import Turn

MOST_TURNS = 8
"""A residue order is tried when the residues of queries and keys are tied by at most this many."""

_LARGEST_FACTORED = 1 << 15
"""A class times a factor is computed in 32 bits."""


def shifts(formula: IntegerSet, modulus: int) -> tuple[Turn, ...]:
    """The turns without a factor from query classes to key classes of residues mod ``modulus`` by which all pairs are,
    when they are few."""
    return _with_factor(formula, modulus, 1)


def fewer(formula: IntegerSet, modulus: int, found: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """The same with one factor for all, where these are fewer than the shifts that were ``found``; else those."""
    if len(found) == 1 or modulus > _LARGEST_FACTORED:
        return found
    first = _keys_of(formula, modulus, 0)
    if not first or len(first) == len(found):  # each turn has one of them
        return found
    for factor in _factors(first, _keys_of(formula, modulus, 1), modulus):
        other = _with_factor(formula, modulus, factor)
        if other and (not found or len(other) < len(found)):
            found = other
    return found


def _with_factor(formula: IntegerSet, modulus: int, factor: int) -> tuple[Turn, ...]:
    queries = "v_i" if factor == 1 else f"{factor} * v_i"
    differences = formula.image(("r",), f"v_r = ({queries} - v_j) mod {modulus}")
    few = members(differences.for_some(*LENGTHS), MOST_TURNS) or ()
    return tuple(Turn(-difference % modulus, factor) for difference in few)


def _factors(first: tuple[int, ...], second: tuple[int, ...], modulus: int) -> tuple[int, ...]:
    """The factors that may tie the residues, from the key classes of query classes 0 and 1: each turn has one of
    both."""
    steps = {(key - first[0]) % modulus for key in second}
    return tuple(sorted(step for step in steps - {1} if gcd(step, modulus) == 1))


def _keys_of(formula: IntegerSet, modulus: int, cls: int) -> tuple[int, ...]:
    """The residues of the keys of a class of queries, when they are few."""
    keys = formula.image(("r",), f"v_r = v_j mod {modulus} and v_i mod {modulus} = {cls}")
    return members(keys.for_some(*LENGTHS), MOST_TURNS) or ()
