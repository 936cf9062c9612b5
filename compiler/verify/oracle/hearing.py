"""Who hears of one token, layer by layer, by brute force: what confirms a refuted `reach`, and tells its story."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from ....patterns_dsl import syntax
from ....patterns_dsl.syntax import BoundPattern, Direction, Expression
from ... import bruteforce
from ...bruteforce import Choice
from ..properties.reach import count
from ..result import Witness


def failing_order(claim: syntax.Reach, pattern: BoundPattern, found: Witness, choice: Choice) -> tuple[int, ...] | None:
    """The first order of the steps, of those that the claim is about, in which the query never hears of the key."""
    assert found.key is not None and found.query is not None
    if pattern.direction is Direction.CAUSAL and found.key > found.query:
        return None
    bodies = [step.body for step in pattern.steps]
    layers, stated = count(claim, len(bodies)), tuple(range(len(bodies)))
    for order in permutations(stated) if claim.any_order else [stated]:
        if found.query not in hearing(pattern, tuple(bodies[step] for step in order), found, layers, choice):
            return order
    return None


def hearing(
    pattern: BoundPattern, steps: tuple[Expression, ...], found: Witness, layers: int | None, choice: Choice
) -> set[int]:
    """The tokens that have heard of the witness's key after some layers; of the last layer, only whether the query of
    the witness has. Follows the key alone."""
    assert found.query is not None
    heard, layer, idle = np.array([found.key]), 0, 0
    # Of what a step has passed on before, its queries have heard: it is asked of the other keys alone.
    passed = [np.array([], dtype=np.int64)] * len(steps)
    while (layers is None or layer < layers) and idle < len(steps):
        asked = [found.query] if layers is not None and layer == layers - 1 else None
        turn = layer % len(steps)
        new, passed[turn] = np.setdiff1d(heard, passed[turn]), heard
        step = bruteforce.block(steps[turn], pattern.direction, found.n, None, queries=asked, keys=new, choice=choice)
        hearing_now = np.flatnonzero(step.any(axis=1))
        told = np.union1d(heard, hearing_now if asked is None else np.array(asked)[hearing_now])
        heard, layer, idle = told, layer + 1, idle + 1 if len(told) == len(heard) else 0
    return set(heard.tolist())
