"""Claims of plans: layers in order, heads together, the residual stream, and their caches."""

from __future__ import annotations

import numpy as np
import pytest

import patternc as pc
from patternc.compiler.bruteforce import compose, mask
from patternc.compiler.verify.result import Result, Status

PATTERNS = """
pattern fixed(l: int = 4, c: int = 1) causal { step block(l) step fixed(l, c) | self }
pattern strided(l: int = 4) causal { step local(l) step strided(l) }
pattern window(w: int = 3) causal { step local(w) }
pattern sink(s: int = 1, w: int = 3) causal { step columns(first(s)) | local(w) }
pattern soft(w: int = 3) causal { step self | gated local(w) }
pattern full causal { step everything }
pattern late causal { step local(2) step everything }
pattern table causal { step random(64) | self }
pattern both bidirectional { step global(first(1)) | self }
"""


def verdicts(body: str) -> tuple[Result, ...]:
    return pc.check(pc.loads(f"{PATTERNS} plan x {{ {body} }}").plans["x"])


def verdict(body: str) -> Result:
    [result] = verdicts(body)
    return result


@pytest.mark.parametrize(
    "body",
    [
        "layers all : fixed interleaved prove reach in 2 layers",
        "layers all : fixed interleaved prove reach in any 3 layers",
        "layers all : fixed merged prove reach in any 2 layers",
        "layers all : fixed heads prove reach in any 2 layers",
        "layers all : strided interleaved prove reach in any 2 layers",
        "layers 0..1 heads 2, 5 : late heads prove reach in 1 layer",
        "layers all : fixed interleaved prove reach",
        "layers 0..1 : fixed interleaved prove reach",
        "layers 0, 2 : fixed interleaved layers 1 : window prove reach",  # the window in between does no harm
        "layers 0..5 : window layers 6 : full prove reach",
        "layers 0 heads 0..1 : window layers 0 heads 2..3 : full prove reach in 1 layer",
        "layers all : both prove reach in 2 layers",
        "layers 0..3 : window prove not reach",
        "layers 0..3 : soft prove not reach",
        "layers 0, 2 : window prove not reach in 1 layer",  # layer 1, the model's own, comes later
        "layers all heads 0 : window layers 0..4 heads 1 : full prove not reach in any 2 layers",  # 5 and 6
        "layers 0..3 : window prove cache <= 4 * 3",
        "layers 0..1 : window layers 2 : full prove cache <= 6 + n",
        "layers 0 heads 0 : window layers 0 heads 1 : sink prove cache <= 4",
    ],
)
def test_proved(body: str) -> None:
    assert verdict(body).status is Status.PROVED


@pytest.mark.parametrize(
    "body",
    [
        "layers all : fixed interleaved prove reach in any 2 layers",  # fixed, then block: 3 are needed
        "layers 0..1 : window prove reach",
        "layers 1 : full prove reach in 1 layer",
        "layers all : fixed merged prove reach in 1 layer",
        "layers 0..3 : window prove cache <= 11",
        "layers 0..1 heads 0 : late heads prove reach",  # one head runs one step
        "layers 0..1 : table prove reach in 1 layer",
        "layers 0..1 : table prove cache <= 1",
        "layers all heads 0 : window layers 0..4 heads 1 : full prove reach in any 2 layers",
        "layers 0, 2 : window prove cache <= 5",
        "layers 0, 2 : fixed interleaved prove not reach",
        "layers all heads 0 : window layers 3 heads 1 : full prove not reach",
        "layers 0..1 : fixed interleaved prove not reach",
        "layers all : fixed interleaved prove not reach",
    ],
)
def test_refuted(body: str) -> None:
    found = verdict(body)
    assert found.status is Status.REFUTED
    assert (found.witness is None) == ("not reach" in body)


@pytest.mark.parametrize(
    "body",
    [
        "layers 1 : full prove not reach in 1 layer",  # layer 0 is the model's own
        "layers 0, 2 : window prove not reach",
        "layers 0, 2 : window prove not reach at n = 20",
        "layers 0 heads 1 : window prove not reach",  # and so is head 0
        "layers all heads 1 : window prove not reach",
        "layers 0, 2 : window prove cache <= 6",
        "layers 0 heads 1 : window prove cache <= 3 at n = 9",
    ],
)
def test_the_models_own_attention_may_connect_and_keep_all(body: str) -> None:
    found = verdict(body)
    assert (found.status, "the model's own attention" in found.explanation) == (Status.UNKNOWN, True)


def test_a_line_of_all_layers_beside_lines_of_some() -> None:
    """Layer 3 comes after layers that tell nobody anything, and is not like them."""
    late = "layers all heads 0 : sink(s = 0, w = 1) layers 3 heads 1 : full"
    found = verdicts(f"{late} prove reach prove reach at n = 9 prove reach in 3 layers prove not reach in 3 layers")
    assert [result.status for result in found] == [Status.PROVED, Status.CHECKED, Status.REFUTED, Status.PROVED]


def test_at_a_length() -> None:
    found = verdicts("layers 0..3 : window prove reach at n = 9 prove reach at n = 10 prove not reach at n = 10")
    assert [result.status for result in found] == [Status.CHECKED, Status.REFUTED, Status.CHECKED]


def test_what_gates_could_close_is_not_counted() -> None:
    found = verdict("layers 0..3 : soft prove reach at n = 4")
    assert (found.status, "selected at run time" in found.explanation) == (Status.UNKNOWN, True)


def test_the_witness_of_a_plan_is_unreached() -> None:
    found = verdict(
        "layers 0..1 : fixed(l = 6, c = 2) interleaved layers 2 : window prove reach in any 2 layers"
    ).witness
    assert found is not None and found.query is not None and found.key is not None
    bound = pc.loads(PATTERNS)["fixed"].bind(l=6, c=2).bound
    window = pc.loads(PATTERNS)["window"].bound
    layers = [mask(step.body, bound.direction, found.n) for step in bound.steps]
    layers.append(mask(window.union, window.direction, found.n))
    runs = [
        compose(layers[s + 1] | np.eye(found.n, dtype=bool), layers[s] | np.eye(found.n, dtype=bool)) for s in (0, 1)
    ]
    assert any(not run[found.query, found.key] for run in runs)


def test_many_layers_are_worth_a_warning() -> None:
    few, many, stated = verdicts(
        "layers 0..5 : fixed interleaved prove reach prove reach in any 4 layers prove reach in 4 layers at n = 9"
    )
    assert (few.warning, many.warning, stated.warning) == ("", "", "")
    found = verdict("layers 0..4 : window(w = 2) prove reach at n = 5")
    assert (found.status, found.warning) == (Status.CHECKED, "`reach at n = 5` holds, but not in 3 layers")
    found = verdict("layers 0..3 : window layers 4 : full prove reach")
    assert (found.status, found.warning) == (Status.PROVED, "`reach` holds, but not in 3 layers")


def test_a_table_is_known_at_a_length_only() -> None:
    found = verdicts("layers 0..1 : table prove reach at n = 64 prove not reach at n = 64 prove not reach in 1 layer")
    assert [result.status for result in found] == [Status.CHECKED, Status.REFUTED, Status.UNKNOWN]
