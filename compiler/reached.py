"""Who hears of whom after some layers: boolean matrices, one step after the other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .bruteforce import Mask, compose


def hops(masks: Sequence[Mask], steps: int) -> Mask:
    """Who has heard of whom after some layers: R_0 = I, R_l = (A_l | I) @ R_(l-1), the masks taken in turn.

    The identity is the residual stream (Child et al. 2019, section 4.2 with 5.2).
    """
    reached, idle = np.eye(len(masks[0]), dtype=np.bool_), 0
    for layer in range(steps):
        further = compose(masks[layer % len(masks)], reached) | reached
        idle = idle + 1 if np.array_equal(further, reached) else 0
        reached = further
        if idle == len(masks):  # a round of the steps told nobody anything: nor will any later one
            break
    return reached


def reachable_ever(masks: Sequence[Mask]) -> Mask:
    """``hops`` for any number of layers: taken to its fixed point."""
    reached = hops(masks, 0)
    while True:
        further = reached
        for each in masks:
            further = compose(each, further) | further
        if np.array_equal(further, reached):
            return reached
        reached = further
