"""Whether a claim holds at a length, by plain NumPy over the masks of ``bruteforce``.

What a pattern leaves open is settled against the claim: what must attend for what is to be reached, what may for what
is to be excluded. Keys are counted under selections that really occur: all that may attend is more than any selects.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from typing import assert_never

import numpy as np
from definitions import Mask

from patternc.compiler.bruteforce import Choice, mask
from patternc.compiler.reached import hops, reachable_ever
from patternc.compiler.relations.settle import GATE, opens
from patternc.patterns_dsl import syntax as s
from patternc.patterns_dsl.syntax import BoundPattern, Claim, Expression


def holds(claim: Claim, pattern: BoundPattern, n: int, nk: int | None = None) -> bool:
    """The claim at n tokens; in a cross pattern at n queries and nk keys."""

    def of(expression: Expression, choice: Choice) -> Mask:
        return mask(expression, pattern.direction, n, nk, choice=choice)

    def within(left: Expression, right: Expression) -> bool:
        return not (of(left, "may") & ~of(right, "must")).any()

    match claim:
        case s.Nonempty():
            return all(of(step.body, "must").any(axis=1).all() for step in pattern.steps)
        case s.Causal():
            return not np.triu(of(pattern.union, "may"), 1).any()
        case s.Symmetric():
            return not (of(pattern.union, "may") & ~of(pattern.union, "must").T).any()
        case s.Reach():
            return _reaches(claim, pattern, n)
        case s.Subset(left, right):
            return within(left, right)
        case s.Equal(left, right):
            return within(left, right) and within(right, left)
        case s.Disjoint(left, right):
            return not (of(left, "may") & of(right, "may")).any()
        case s.Keys(most):
            return all(counts.max() <= number(most, n, nk) for counts in key_counts(pattern, n, nk))
        case s.Cache(most):
            return bool(live_counts(pattern, n).max() <= number(most, n, nk))
        case s.Density(most):
            assert isinstance(most, s.Ratio)
            return density(pattern, n, nk) <= most.percent / 100
        case _:
            assert_never(claim)


def _reaches(claim: s.Reach, pattern: BoundPattern, n: int) -> bool:
    choice: Choice = "may" if claim.negated else "must"
    masks = [mask(step.body, pattern.direction, n, choice=choice) for step in pattern.steps]
    allowed = np.tri(n, dtype=bool) if pattern.direction is s.Direction.CAUSAL else np.ones((n, n), dtype=bool)
    if claim.any_order:
        count = len(masks) if claim.steps is None else number(claim.steps, n)
        return all(hops(order, count)[allowed].all() for order in permutations(masks))
    reached = reachable_ever(masks) if claim.steps is None else hops(masks, number(claim.steps, n))
    return bool(reached[allowed].all()) != claim.negated


# --- counts ---


def key_counts(pattern: BoundPattern, n: int, nk: int | None = None) -> Iterator[np.ndarray]:
    """The keys of each query, under each selection that the selectors name as an example; a summary is one key."""
    for choice in _choices(pattern):
        yield sum(read.sum(axis=1) for read in _read(pattern, n, nk, choice))


def live_counts(pattern: BoundPattern, n: int) -> np.ndarray:
    """At query i: how many keys, of those up to i, some query from i on may read."""
    total = np.zeros(n, dtype=np.int64)
    for read in _read(pattern, n, None, "may"):
        for i in range(n):
            known = -(-(i + 1) * read.shape[1] // n) if read.shape[1] != n else i + 1
            total[i] += read[i:, :known].any(axis=0).sum()
    return total


def density(pattern: BoundPattern, n: int, nk: int | None = None) -> float:
    """The pairs that may attend, of those that the direction allows."""
    pairs = sum(int(read.sum()) for read in _read(pattern, n, nk, "may"))
    return pairs / (n * (n + 1) / 2 if pattern.direction is s.Direction.CAUSAL else n * (nk or n))


def _read(pattern: BoundPattern, n: int, nk: int | None, choice: Choice) -> list[Mask]:
    """What is read, side by side: tokens [n, keys], and summaries [n, pools] for each size of them."""
    tokens = np.zeros((n, nk or n), dtype=bool)
    found = [tokens]
    for term in _terms(pattern.union):
        read = mask(term, pattern.direction, n, nk, choice=choice)
        if isinstance(term, s.Pooled):
            pools = np.split(read, range(term.size, read.shape[1], term.size), axis=1)
            found.append(np.stack([pool.any(axis=1) for pool in pools], axis=1))
        else:
            tokens |= read
    return found


def _terms(expression: Expression) -> Iterator[Expression]:
    if isinstance(expression, s.Union):
        yield from _terms(expression.left)
        yield from _terms(expression.right)
    else:
        yield expression


def _choices(pattern: BoundPattern) -> Iterator[Choice]:
    """Every combination of the examples; gates are open, which lets in most."""
    sources = opens(pattern.union)
    examples = [(1,) if one.examples == GATE else range(len(one.examples)) for one in sources]
    for picked in product(*examples):
        yield {one.source: number for one, number in zip(sources, picked, strict=True)}


# --- numbers ---


def number(term: s.Term, n: int, nk: int | None = None) -> int:
    """The value of a bound in the lengths."""
    match term:
        case s.Integer(value):
            return value
        case s.Name(name):
            return {"n": n, "nq": n, "nk": n if nk is None else nk}[name]
        case s.Negative(inner):
            return -number(inner, n, nk)
        case s.Arithmetic(operator, left, right):
            a, b = number(left, n, nk), number(right, n, nk)
            return {"+": a + b, "-": a - b, "*": a * b, "div": a // b if b else 0, "mod": a % b if b else 0}[operator]
        case s.Function(name, arguments):
            return {"abs": abs, "min": min, "max": max}[name](*(number(each, n, nk) for each in arguments))
        case _:
            raise ValueError(f"a bound speaks of lengths: {term}")
