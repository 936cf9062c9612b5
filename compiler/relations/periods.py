"""Which residues a set occupies, and which numbers."""

from __future__ import annotations

from .isl.presburger import IntegerSet


def occupied(numbers: IntegerSet, dim: str, modulus: int, most: int) -> tuple[tuple[int, int], ...] | None:
    """The runs (first residue, how many) of ``dim`` mod ``modulus`` that occur at some length, ascending; None where
    they are more than ``most`` runs."""
    rest = numbers.image(("r",), f"v_r = v_{dim} mod {modulus}").for_some("n", "nq", "nk")
    if IntegerSet.parse(("r",), f"0 <= v_r < {modulus}") <= rest:
        return ((0, modulus),)
    found = runs(rest, most)
    return None if found is None else tuple((start, stop - start) for start, stop in found)


def runs(numbers: IntegerSet, most: int) -> tuple[tuple[int, int], ...] | None:
    """The runs [start, stop) of a finite set of numbers, ascending; None where they are more than ``most``."""
    (dim,) = numbers.dims
    gaps, rest = numbers.complement(), numbers
    found: list[tuple[int, int]] = []
    while (first := rest.smallest(())) is not None:
        if len(found) == most:
            return None
        start = first[dim]
        beyond = (gaps & IntegerSet.parse((dim,), f"v_{dim} > {start}")).smallest(())
        assert beyond is not None
        found.append((start, beyond[dim]))
        rest = rest & IntegerSet.parse((dim,), f"v_{dim} >= {beyond[dim]}")
    return tuple(found)


def finite(numbers: IntegerSet) -> bool:
    """Whether a set of numbers is."""
    (dim,) = numbers.dims
    return numbers.bounded(dim) and numbers.image(("below",), f"v_below = -v_{dim}").bounded("below")


def members(numbers: IntegerSet, most: int) -> tuple[int, ...] | None:
    """The numbers of a finite set, ascending; None where they are more than ``most``."""
    found = runs(numbers, most)
    if found is None or sum(stop - start for start, stop in found) > most:
        return None
    return tuple(number for start, stop in found for number in range(start, stop))
