"""How far information travels in a layer: how many layers connect every pair, and how many pairs each adds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...patterns_dsl.syntax import BoundPattern, Direction
from ..bruteforce import Mask, compose
from ..effort import TooLong, allowance
from ..relations.settle import Extent
from ..verify.oracle import claims as oracle
from ..verify.properties import reach
from ..verify.subject import Subject

LONGEST = 512
"""Paths are followed at this length, or the one that is asked for if that is less."""

_PLACES = 2**26


@dataclass(frozen=True, slots=True)
class Hops:
    """``proved``: layers that connect every pair at every length, if a few do. The rest is at ``length``: the pairs
    that are first connected after 1, 2, ... layers (``histogram``), those that never are, and a pair that is connected
    last or never (``worst``: query, key, layers; 0 for never)."""

    proved: int | None
    length: int
    histogram: tuple[int, ...]
    never: int
    worst: tuple[int, int, int]


def hops(pattern: BoundPattern, n: int) -> Hops | None:
    """Of the pattern's steps in turn; what selections could connect does not count. None for a cross pattern, whose
    keys are not its queries, and where the paths are too many to follow."""
    if pattern.direction is Direction.CROSS:
        return None
    length = min(n, LONGEST)
    try:
        with allowance(_PLACES):
            masks = oracle.step_masks(pattern, length, choice="must")
            when = first_heard(masks, length * len(masks))
    except TooLong:
        return None
    return summarise(reach.enough(Subject(pattern), Extent.MUST), when, pattern.direction)


def first_heard(masks: list[Mask], layers: int) -> NDArray[np.int64]:
    """[n, n]: after how many layers, which run the masks in turn, a query has heard of a key; -1 for never."""
    reached = np.eye(len(masks[0]), dtype=np.bool_)
    when, idle = np.where(reached, 0, -1), 0
    for layer in range(layers):
        further = compose(masks[layer % len(masks)], reached) | reached
        fresh = further & ~reached
        when[fresh] = layer + 1
        reached, idle = further, 0 if fresh.any() else idle + 1
        if idle == len(masks):
            break
    return when


def summarise(proved: int | None, when: NDArray[np.int64], direction: Direction) -> Hops:
    """``when`` as ``first_heard`` gives it. The first layer counts the pairs of a token with itself, too."""
    allowed = oracle.allowed_pairs(direction, len(when))
    heard = np.maximum(when[allowed], 1) * (when[allowed] >= 0)
    counts = np.bincount(heard, minlength=1)
    late = np.where(allowed, np.where(when < 0, np.iinfo(np.int64).max, when), -1)
    query, key = np.unravel_index(int(late.argmax()), late.shape)
    worst = (int(query), int(key), max(0, int(when[query, key])))
    return Hops(proved, len(when), tuple(int(count) for count in counts[1:]), int(counts[0]), worst)
