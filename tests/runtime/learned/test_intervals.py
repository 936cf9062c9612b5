"""Bounds over boxes of places: what is said of a whole box holds of every place in it."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from patternc.compiler.relations.integer import All, AnyOf, Binary, Compare, Const, Select, Var, evaluate
from patternc.runtime.learned.lists.intervals import always

numbers = st.integers(-6, 12).map(Const)
leaves = st.one_of(numbers, st.sampled_from(["i", "j", "n"]).map(Var))


def _larger(inner):
    arithmetic = st.builds(Binary, st.sampled_from(["+", "-", "min", "max"]), inner, inner)
    scaled = st.builds(Binary, st.just("*"), st.integers(-3, 3).map(Const), inner)
    divided = st.builds(Binary, st.sampled_from(["//", "%"]), inner, st.integers(1, 7).map(Const))
    chosen = st.builds(Select, st.builds(Compare, st.just("<"), inner, inner), inner, inner)
    return st.one_of(arithmetic, scaled, divided, chosen)


expressions = st.recursive(leaves, _larger, max_leaves=5)
comparisons = st.builds(Compare, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), expressions, expressions)
predicates = st.recursive(
    comparisons,
    lambda inner: st.builds(lambda kind, parts: kind(tuple(parts)), st.sampled_from([All, AnyOf]), st.lists(inner)),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(predicates, st.integers(0, 9), st.integers(0, 5), st.integers(0, 9), st.integers(0, 5), st.integers(1, 20))
def test_what_holds_throughout_holds_at_every_place(predicate, i, height, j, width, n) -> None:
    box = {"i": (i, i + height), "j": (j, j + width), "n": (n, n)}
    said = always(predicate, {name: (torch.tensor(low), torch.tensor(high)) for name, (low, high) in box.items()})
    rows, columns = np.arange(i, i + height + 1)[:, None], np.arange(j, j + width + 1)[None]
    found = np.broadcast_to(
        evaluate(predicate, {"i": rows, "j": columns, "n": np.asarray(n)}, np), (height + 1, width + 1)
    )
    assert not bool(said) or found.all()


def test_a_distance_is_bounded_exactly() -> None:
    far = Compare(">=", Var("i"), Binary("+", Var("j"), Const(4)))
    box = {"i": (torch.tensor([8, 7]), torch.tensor([9, 9])), "j": (torch.tensor(0), torch.tensor(4))}
    assert always(far, box).tolist() == [True, False]
