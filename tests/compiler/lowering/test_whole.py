"""The lengths at which a pattern is everything, against brute force."""

from __future__ import annotations

import numpy as np
import pytest

import patternc as pc
from patternc.compiler.lowering import whole
from patternc.compiler.lowering.whole import is_whole, whole_lengths
from patternc.compiler.relations.integer import FALSE
from patternc.compiler.relations.isl import context
from patternc.patterns_dsl.syntax import Direction

MODULE = pc.loads("""
pattern dense causal { step { (i, j) : j <= i } }
pattern square bidirectional { step { (i, j) : j < n } }
pattern window(w: int = 9) causal { step local(w) }
pattern near bidirectional { step local(9) }
pattern sinks causal { step local(6) | columns(first(3)) }
pattern union causal { step block(8) | fixed(8, 3) | local(11) }
pattern gap causal { step local(9) - columns({4}) }
pattern even causal { step { (i, j) : n mod 3 = 1 or j = i } }
pattern never causal { step { (i, j) : j < i } }
pattern two causal { step a = local(4)
                     step b = { (i, j) : i - j >= 4 } }
pattern over cross { step { (i, j) : j < 5 } | { (i, j) : i < 2 } }
""")
NAMES = [name for name in MODULE if name != "over"]


@pytest.mark.parametrize("name", NAMES)
def test_as_brute_force_says(name: str) -> None:
    subject = MODULE[name]
    for n in range(1, 25):
        every = np.tri(n, dtype=np.bool_) if subject.direction is Direction.CAUSAL else np.ones((n, n), dtype=np.bool_)
        expected = bool((subject.mask(n).numpy() == every).all())
        assert is_whole(subject.bound.union, subject.direction, n) == expected, n
        assert is_whole(subject.bound.union, subject.direction, n, n) == expected


def test_two_sequences_have_two_lengths() -> None:
    subject = MODULE["over"]
    for nq in range(1, 5):
        for nk in range(1, 9):
            expected = bool(subject.mask(nq, nk).all())
            assert is_whole(subject.bound.union, subject.direction, nq, nk) == expected


@pytest.mark.parametrize("step", ["local(5) | random(2, 4)", "random(9, 3)"])
def test_what_a_table_draws_is_not_counted_on(step: str) -> None:
    subject = pc.loads(f"pattern p causal {{ step {step} }}")["p"]
    found = [n for n in range(1, 20) if is_whole(subject.bound.union, subject.direction, n)]
    assert found == ([] if step.startswith("random") else [1, 2, 3, 4, 5])
    assert all(int(subject.mask(n).sum()) == n * (n + 1) // 2 for n in found)


def test_what_learns_or_is_too_complex_is_never_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    learned = pc.loads("pattern p causal { learn few = importance(budget = 30%) step local(n) | columns(few) }")
    assert whole_lengths(learned["p"].bound.union, Direction.CAUSAL) == FALSE
    subject = MODULE["window"].bind(w=31)
    monkeypatch.setattr(whole, "budget", lambda: context.budget(10))
    assert whole_lengths(subject.bound.union, subject.direction) == FALSE
