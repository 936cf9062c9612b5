"""`reach ... in any layer order` by brute force: one order of the steps after the other."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from ... import reached
from ...bruteforce import Mask
from ...effort import PRODUCT_WORK, TooLong, spend

MOST_STEPS = 8
"""Steps whose orders are tried one by one; more have too many."""

LAYER_WORK = 2**10
"""Places that may be looked at in the time that one layer takes at least."""


def missing_in_some_order(masks: list[Mask], layers: int, allowed: Mask) -> Mask:
    """The pairs that are not connected in each of the orders; of many orders, those of the first that leaves some out.

    Steps that are the same at this length are not told apart. Raises TooLong.
    """
    if len(masks) > MOST_STEPS:
        raise TooLong(f"{len(masks)} steps have too many orders to try them one by one")
    first = [next(k for k, other in enumerate(masks) if np.array_equal(mask, other)) for mask in masks]
    missing: Mask = np.zeros_like(allowed)
    for order in dict.fromkeys(permutations(first)):
        n, taken = len(allowed), min(layers, len(allowed) * len(masks))
        spend(taken * (LAYER_WORK + n**3 / PRODUCT_WORK))
        missing |= allowed & ~reached.hops([masks[step] for step in order], layers)
        if missing.any():
            break
    return missing
