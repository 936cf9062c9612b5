"""The claims by brute force: what confirms a witness, decides a stated length, and shares no code with the proofs.

The only file of this room that computes with arrays, imported where a claim needs it: a file that is simply right is
proved without.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np

from ...patterns_dsl.syntax import BoundPattern, Causal, Claim, Direction, Equal, Expression, Nonempty, Reach, Subset
from .. import bruteforce
from ..bruteforce import Mask, Positions
from ..effort import TooLong
from .reach import count
from .result import Witness


def mask(
    pattern: BoundPattern,
    expression: Expression,
    n: int,
    nk: int | None = None,
    *,
    queries: Positions | None = None,
    keys: Positions | None = None,
) -> Mask:
    """Which keys (columns) each query (row) attends to at length n; of all or of some of them. Raises TooLong."""
    work = bruteforce.LARGEST_WORK
    return bruteforce.block(expression, pattern.direction, n, nk, queries=queries, keys=keys, work=work)


def step_masks(pattern: BoundPattern, n: int) -> list[Mask]:
    """The mask [n, n] of each step. Raises TooLong."""
    return [mask(pattern, step.body, n) for step in pattern.steps]


def first_violation(claim: Claim, pattern: BoundPattern, n: int) -> Witness | None:
    """The first query (and key) that violate the claim at length n. Raises TooLong."""
    hits = np.argwhere(_violated(claim, pattern, n))
    return Witness(n, *(int(index) for index in hits[0])) if len(hits) else None


def _violated(claim: Claim, pattern: BoundPattern, n: int) -> Mask:
    """Over queries [n], or over pairs [n, n]."""
    match claim:
        case Nonempty():
            empty = np.zeros(n, dtype=np.bool_)
            for step in step_masks(pattern, n):
                empty |= ~step.any(axis=1)
            return empty
        case Causal():
            ahead = np.triu(np.ones((n, n), dtype=np.bool_), k=1)
            return ahead & np.stack(step_masks(pattern, n)).any(axis=0)
        case Reach():
            return _unreached(claim, pattern, n)
        case Subset() | Equal():
            left, right = mask(pattern, claim.left, n), mask(pattern, claim.right, n)
            return left ^ right if isinstance(claim, Equal) else left & ~right
        case _:
            assert_never(claim)


def _unreached(claim: Reach, pattern: BoundPattern, n: int) -> Mask:
    steps, rounds = count(claim), n * len(pattern.steps)
    if n**3 * min(steps or rounds, rounds) > bruteforce.LARGEST_WORK * bruteforce.PRODUCT_WORK:
        raise TooLong(f"the paths between {n} tokens are too many to try one by one")
    masks = step_masks(pattern, n)
    connected = bruteforce.reachable_ever(masks) if steps is None else bruteforce.hops(masks, steps)
    square = np.ones((n, n), dtype=np.bool_)
    return (np.tril(square) if pattern.direction is Direction.CAUSAL else square) & ~connected


def confirms(claim: Claim, pattern: BoundPattern, found: Witness) -> bool:
    """Whether the claim is violated at the witness; looks at what the witness concerns, not at the whole mask."""
    row, column = [found.query], [] if found.key is None else [found.key]

    def holds(expression: Expression) -> bool:
        return bool(mask(pattern, expression, found.n, found.keys, queries=row, keys=column).any())

    match claim:
        case Nonempty():
            rows = (mask(pattern, step.body, found.n, found.keys, queries=row) for step in pattern.steps)
            return not all(step.any() for step in rows)
        case Causal():
            return column[0] > found.query and any(holds(step.body) for step in pattern.steps)
        case Reach():
            return _never_hears(claim, pattern, found)
        case Subset():
            return holds(claim.left) and not holds(claim.right)
        case Equal():
            return holds(claim.left) != holds(claim.right)
        case _:
            assert_never(claim)


def _never_hears(claim: Reach, pattern: BoundPattern, found: Witness) -> bool:
    """Whether the query of the witness never hears of its key: follows the key alone, layer by layer."""
    assert found.key is not None
    if pattern.direction is Direction.CAUSAL and found.key > found.query:
        return False
    steps, layers = pattern.steps, count(claim)
    heard, layer, idle = np.array([found.key]), 0, 0
    while (layers is None or layer < layers - 1) and idle < len(steps):
        step = mask(pattern, steps[layer % len(steps)].body, found.n, keys=heard)
        told = np.union1d(heard, np.flatnonzero(step.any(axis=1)))
        heard, layer, idle = told, layer + 1, idle + 1 if len(told) == len(heard) else 0
    if idle == len(steps) or layers is None:
        return found.query not in heard
    last = mask(pattern, steps[(layers - 1) % len(steps)].body, found.n, queries=[found.query], keys=heard)
    return found.query not in heard and not last.any()
