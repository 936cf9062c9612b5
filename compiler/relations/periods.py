"""Which residues a set occupies."""

from __future__ import annotations

from .presburger import IntegerSet


def occupied(numbers: IntegerSet, dim: str, modulus: int, most: int) -> tuple[tuple[int, int], ...] | None:
    """The runs (first residue, how many) of ``dim`` mod ``modulus`` that occur at some length, ascending; None where
    they are more than ``most`` runs."""
    rest = numbers.image(("r",), f"v_r = v_{dim} mod {modulus}").for_some("n", "nq", "nk")
    unit = IntegerSet.parse(("r",), f"0 <= v_r < {modulus}")
    if unit <= rest:
        return ((0, modulus),)
    runs: list[tuple[int, int]] = []
    while not rest.empty:
        if len(runs) == most:
            return None
        point = rest.smallest(())
        assert point is not None
        start = point["r"]
        gap = (unit - rest) & IntegerSet.parse(("r",), f"v_r > {start}")
        beyond = gap.smallest(())
        stop = beyond["r"] if beyond is not None else modulus
        runs.append((start, stop - start))
        rest = rest & IntegerSet.parse(("r",), f"v_r >= {stop}")
    return tuple(runs)
