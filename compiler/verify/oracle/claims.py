"""The claims by brute force: what confirms a witness, decides a stated length, and shares no code with the proofs.

The only file of this room that computes with arrays, imported where a claim needs it: a file that is simply right is
proved without.

``choice`` settles what the pattern leaves open (see ``bruteforce``). Without one each side of a claim gets the bound
that speaks against the claim: what must attend for `reach`, what may attend for `not reach`.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from ....patterns_dsl import syntax
from ....patterns_dsl.syntax import BoundPattern, Claim, Direction, Expression
from ... import bruteforce, reached
from ...bruteforce import Choice, Mask, Positions
from ...effort import PRODUCT_WORK, spend
from ..properties.reach import count
from ..result import Witness
from .bounds import value
from .hearing import failing_order
from .orders import missing_in_some_order


def mask(
    pattern: BoundPattern,
    expression: Expression,
    n: int,
    nk: int | None = None,
    *,
    choice: Choice = "may",
    queries: Positions | None = None,
    keys: Positions | None = None,
) -> Mask:
    """Which keys (columns) each query (row) attends to at length n; of all or of some of them. Raises TooLong."""
    return bruteforce.block(expression, pattern.direction, n, nk, queries=queries, keys=keys, choice=choice)


def step_masks(pattern: BoundPattern, n: int, nk: int | None = None, *, choice: Choice = "may") -> list[Mask]:
    """The mask [n, nk] of each step. Raises TooLong."""
    return [mask(pattern, step.body, n, nk, choice=choice) for step in pattern.steps]


# --- all places of a length ---


def first_violation(
    claim: Claim, pattern: BoundPattern, n: int, nk: int | None = None, choice: Choice | None = None
) -> Witness | None:
    """The first query (and key) that violate the claim at length n. Raises TooLong."""
    if isinstance(claim, syntax.Density):
        violated = density(pattern, n, nk, choice or "may") > _share(claim.most)
        return Witness(n, keys=nk) if violated else None
    hits = np.argwhere(_violated(claim, pattern, n, nk, choice))
    if not len(hits):
        return None
    query, *key = (int(index) for index in hits[0])
    return Witness(n, query, key[0] if key else None, nk)


def _violated(claim: Claim, pattern: BoundPattern, n: int, nk: int | None, choice: Choice | None) -> NDArray[np.bool_]:
    """Over queries [n], or over pairs [n, nk]."""
    must, may = choice or "must", choice or "may"
    match claim:
        case syntax.Nonempty():
            filled = np.stack([step.any(axis=1) for step in step_masks(pattern, n, nk, choice=must)])
            return np.logical_not(filled.all(axis=0))
        case syntax.Causal():
            ahead = np.arange(nk or n)[None, :] > np.arange(n)[:, None]
            return ahead & np.stack(step_masks(pattern, n, nk, choice=may)).any(axis=0)
        case syntax.Symmetric():
            there = mask(pattern, pattern.union, n, choice=may)
            return there & ~mask(pattern, pattern.union, n, choice=must).T
        case syntax.Reach():
            return _unreached(claim, pattern, n, may if claim.negated else must)
        case syntax.Subset(left, right):
            return mask(pattern, left, n, nk, choice=may) & ~mask(pattern, right, n, nk, choice=must)
        case syntax.Equal(left, right):
            more = mask(pattern, left, n, nk, choice=may) & ~mask(pattern, right, n, nk, choice=must)
            return more | (mask(pattern, right, n, nk, choice=may) & ~mask(pattern, left, n, nk, choice=must))
        case syntax.Disjoint(left, right):
            return mask(pattern, left, n, nk, choice=may) & mask(pattern, right, n, nk, choice=may)
        case syntax.Keys(most):
            return key_counts(pattern, n, nk, choice=may) > value(most, n, nk)
        case syntax.Cache(most):
            return live_counts(pattern, n, choice=may) > value(most, n, nk)
        case syntax.Density():
            raise TypeError("a density is of a whole length")
        case _:
            assert_never(claim)


def _unreached(claim: syntax.Reach, pattern: BoundPattern, n: int, choice: Choice) -> Mask:
    steps, rounds = count(claim, len(pattern.steps)), n * len(pattern.steps)
    spend(n**3 * min(steps or rounds, rounds) / PRODUCT_WORK)
    masks = step_masks(pattern, n, choice=choice)
    allowed = allowed_pairs(pattern.direction, n)
    if steps is None:
        return allowed & ~reached.reachable_ever(masks)
    if not claim.any_order:
        return allowed & ~reached.hops(masks, steps)
    return missing_in_some_order(masks, steps, allowed)


def allowed_pairs(direction: Direction, n: int, nk: int | None = None) -> Mask:
    """The pairs that a pattern of this direction may hold."""
    square = np.ones((n, n if nk is None else nk), dtype=np.bool_)
    return np.tril(square) if direction is Direction.CAUSAL else square


# --- counts ---


def key_counts(
    pattern: BoundPattern, n: int, nk: int | None = None, *, choice: Choice = "may", queries: Positions | None = None
) -> NDArray[np.int64]:
    """How many keys each query reads; a summary counts as one."""
    return _count(pattern, [mask(pattern, each, n, nk, choice=choice, queries=queries) for each in _spaces(pattern)])


def live_counts(pattern: BoundPattern, n: int, *, choice: Choice = "may") -> NDArray[np.int64]:
    """How many keys are live at each query: those that exist and that some query from there on reads."""
    live = []
    for each in _spaces(pattern):
        read = mask(pattern, each, n, choice=choice)
        live.append(np.tril(np.logical_or.accumulate(read[::-1], axis=0)[::-1]))
    return _count(pattern, live)


def density(pattern: BoundPattern, n: int, nk: int | None = None, choice: Choice = "may") -> float:
    """Keys read, of the pairs that the direction allows."""
    allowed = n * (n + 1) // 2 if pattern.direction is Direction.CAUSAL else n * (n if nk is None else nk)
    return float(key_counts(pattern, n, nk, choice=choice).sum() / allowed)


def _spaces(pattern: BoundPattern) -> dict[Expression, int]:
    """The terms of the union that read summaries, with their size, and the rest as one (size 1)."""
    found: dict[Expression, int] = {}
    rest: list[Expression] = []

    def visit(node: Expression, gates: tuple[str, ...]) -> None:
        match node:
            case syntax.Union(left, right):
                visit(left, gates)
                visit(right, gates)
            case syntax.Gated(operand, gate):
                visit(operand, (*gates, gate))
            case _:
                term: Expression = node
                for gate in reversed(gates):
                    term = syntax.Gated(term, gate, span=node.span)
                if isinstance(node, syntax.Pooled):
                    found[term] = node.size
                else:
                    rest.append(term)

    visit(pattern.union, ())
    for term in rest[1:]:
        rest[0] = syntax.Union(rest[0], term, span=term.span)
    return ({rest[0]: 1} if rest else {}) | found


def _count(pattern: BoundPattern, masks: list[Mask]) -> NDArray[np.int64]:
    total = np.zeros(len(masks[0]), dtype=np.int64)
    for read, size in zip(masks, _spaces(pattern).values(), strict=True):
        starts = np.arange(0, read.shape[1], size)
        total += np.logical_or.reduceat(read, starts, axis=1).sum(axis=1)
    return total


def _share(most: object) -> float:
    if not isinstance(most, syntax.Ratio):
        raise TypeError("the density is folded by bind")
    return most.percent / 100


# --- one place ---


def confirms(claim: Claim, pattern: BoundPattern, found: Witness, choice: Choice | None = None) -> bool:
    """Whether the claim is violated at the witness; looks at what the witness concerns, not at the whole mask."""
    must, may = choice or "must", choice or "may"
    row, column = [found.query or 0], [] if found.key is None else [found.key]

    def holds(expression: Expression, settled: Choice, *, mirrored: bool = False) -> bool:
        queries, keys = (column, row) if mirrored else (row, column)
        cell = mask(pattern, expression, found.n, found.keys, queries=queries, keys=keys, choice=settled)
        return bool(cell.any())

    match claim:
        case syntax.Nonempty():
            steps = pattern.steps
            rows = (mask(pattern, each.body, found.n, found.keys, queries=row, choice=must) for each in steps)
            return not all(each.any() for each in rows)
        case syntax.Causal():
            return column[0] > row[0] and any(holds(step.body, may) for step in pattern.steps)
        case syntax.Symmetric():
            return holds(pattern.union, may) and not holds(pattern.union, must, mirrored=True)
        case syntax.Reach():
            return failing_order(claim, pattern, found, may if claim.negated else must) is not None
        case syntax.Subset(left, right):
            return holds(left, may) and not holds(right, must)
        case syntax.Equal(left, right):
            return (holds(left, may) and not holds(right, must)) or (holds(right, may) and not holds(left, must))
        case syntax.Disjoint(left, right):
            return holds(left, may) and holds(right, may)
        case syntax.Keys(most):
            counted = key_counts(pattern, found.n, found.keys, choice=may, queries=row)
            return bool(counted[0] > value(most, found.n, found.keys))
        case syntax.Cache(most):
            return bool(live_counts(pattern, found.n, choice=may)[row[0]] > value(most, found.n, found.keys))
        case syntax.Density():
            return first_violation(claim, pattern, found.n, found.keys, choice) is not None
        case _:
            assert_never(claim)
