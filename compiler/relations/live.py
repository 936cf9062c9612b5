"""Which keys are live while a sequence is decoded: those that some query from i on reads."""

from __future__ import annotations

from .isl.presburger import IntegerSet
from .relation import Relation


def live_keys(attended: Relation, *, ends: bool = True) -> IntegerSet:
    """The pairs (i, j) with j <= i where some query from i on reads key j; ``ends``: none after n."""
    dims = ("i", "j", "l")
    reads = attended.pairs if ends else attended.formula() & IntegerSet.parse(("i", "j"), "0 <= v_j <= v_i")
    later = reads.rename({"i": "l"}).onto(dims)
    now = IntegerSet.parse(dims, "0 <= v_j <= v_i and v_i <= v_l and v_i < v_n", ("n",))
    return (later & now).onto(("i", "j"))
