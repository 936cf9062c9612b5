"""Verdicts on patterns that nobody wrote, against brute force at every small length."""

from __future__ import annotations

import random

import numpy as np
import pytest

import patternc as pc
from patternc.compiler.bruteforce import mask
from patternc.compiler.reached import hops, reachable_ever
from patternc.compiler.verify.result import Status
from patternc.patterns_dsl import syntax as s

LENGTHS = (*range(1, 15), 21)


class Author:
    """Writes random patterns: deeper nesting, stranger numbers and more claims than people do."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def term(self, depth: int = 0) -> str:
        inner = "i" if depth == 2 else f"({self.term(depth + 1)})"
        low, high = self.draw.randint(-3, 3), self.draw.randint(1, 7)
        options = ["i", "j", "n", "i - j", "n - i", f"{inner} mod {high}", f"{inner} div {high}", f"{inner} - j"]
        return self.draw.choice([*options, f"{low} * {inner} + {high}", f"{inner} * {low}"])

    def formula(self, depth: int = 0) -> str:
        if depth == 2 or self.draw.random() < 0.5:
            operator = self.draw.choice(["<", "<=", "=", "!=", ">", ">="])
            return f"{self.term()} {operator} {self.draw.choice([self.term(), str(self.draw.randint(-1, 8))])}"
        left, right = self.formula(depth + 1), self.formula(depth + 1)
        exists = f"(exists k : k <= i and 2 * k = i - j and {left})"
        bounded = f"(exists k in 0..{self.draw.randint(0, 4)} : i - j = 2^k)"
        return self.draw.choice([f"({left}) and ({right})", f"({left}) or ({right})", f"not ({left})", exists, bounded])

    def relation(self, depth: int = 0) -> str:
        if depth == 2 or self.draw.random() < 0.4:
            k = self.draw.randint(1, 5)
            stock = [f"local({k})", f"strided({k})", f"block({k})", f"fixed({k + 1}, {k})", "self", "causal"]
            sets = [f"columns(first({k}))", f"rows(last({k}))", f"axis({{0, {k}..{k + 2}}})", f"band({k}, 1)"]
            return self.draw.choice([*stock, *sets, f"{{ (i, j) : {self.formula()} }}"])
        left, right = self.relation(depth + 1), self.relation(depth + 1)
        return self.draw.choice([*(f"({left} {op} {right})" for op in "||&-@"), f"not {left}"])

    def claim(self) -> str:
        k = self.draw.randint(1, 3)
        left, right = self.relation(1), self.relation(1)
        same = f"{left} = {left} | ({left} & {right})"
        claims = ["nonempty", "causal", f"reach in {k} steps", f"not reach in {k} steps", "not reach", same]
        return self.draw.choice([*claims, f"{left} <= {right}", f"{left} = {right}", f"{left} & {right} <= {left}"])

    def pattern(self) -> str:
        steps = " ".join(f"step {self.relation()}" for _ in range(self.draw.randint(1, 2)))
        claims = " ".join(f"prove {self.claim()}" for _ in range(2))
        return f"pattern p {self.draw.choice(['causal', 'bidirectional'])} {{ {steps} {claims} }}"


def violated(claim: s.Claim, pattern: s.BoundPattern, n: int) -> bool:
    def of(expression: s.Expression) -> np.ndarray:
        return mask(expression, pattern.direction, n)

    everything = np.tri(n, dtype=bool) if pattern.direction is s.Direction.CAUSAL else np.ones((n, n), dtype=bool)
    steps = [of(step.body) for step in pattern.steps]
    match claim:
        case s.Nonempty():
            return any((~step.any(axis=1)).any() for step in steps)
        case s.Causal():
            return any(np.triu(step, 1).any() for step in steps)
        case s.Reach(None):
            return bool((everything & ~reachable_ever(steps)).any())
        case s.Reach(s.Integer(count)):
            return bool((everything & ~hops(steps, count)).any())
        case s.Subset(left, right):
            return bool((of(left) & ~of(right)).any())
        case s.Equal(left, right):
            return bool((of(left) ^ of(right)).any())
    raise AssertionError(claim)


@pytest.mark.parametrize("seed", range(4))
def test_verdicts_against_brute_force(seed: int) -> None:
    author, decided = Author(seed), 0
    for _ in range(12):
        text = author.pattern()
        pattern = pc.loads(text)["p"]
        try:
            results = pc.check(pattern)
        except pc.PatternError as error:
            if {found.code for found in error.diagnostics} != {"P225"}:  # two claims that contradict each other
                raise
            continue
        for result in results:
            negated = isinstance(result.claim, s.Reach) and result.claim.negated
            witness = result.witness
            if result.status is Status.UNKNOWN:
                continue
            decided += 1
            if (result.status is Status.PROVED) != negated:  # said: no violation at any length
                assert witness is None, text
                for n in LENGTHS:
                    assert not violated(result.claim, pattern.bound, n), (text, result.text, n)
            else:
                assert witness is not None and violated(result.claim, pattern.bound, witness.n), (text, result)
    assert decided >= 18


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_verdicts(seed: int) -> None:
    test_verdicts_against_brute_force(seed)
