"""Random patterns with learned terms and tables, on random lengths and padding: compose against float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from learned_layers import close, data, layer, pattern, same_layer, slopes

from patternc.runtime.learned.pricing.speeds import assume
from patternc.testing.machines import QUICK_DENSE

RELATIONS = ["self", "local(5)", "strided(7)", "block(8)", "columns(first(2))", "fixed(6, 2)"]
TABLES = ["random(2, 5)", "random(3)", "gated random(2, 8)", "(random(2, 4, seed = 7) - block(8))"]
SELECTORS = {
    "topk_blocks": "learn {0} = topk_blocks(k = {k}, block = {b}, relax = lapsum)",
    "topk": "learn {0} = topk(k = {k}, per = {per})",
    "topk_keys": "learn {0} = topk_keys(k = {k}, tile = {b})",
    "importance": "learn {0} = importance(budget = 20%)",
    "granularity": "learn {0} = granularity(block = {b})",
}


@st.composite
def steps(draw):
    """(learn lines, step, direction)."""
    direction = draw(st.sampled_from(["causal", "bidirectional"]))
    kinds = draw(st.lists(st.sampled_from(sorted(SELECTORS)), max_size=3, unique=True))
    learn, terms = [], draw(st.lists(st.sampled_from(RELATIONS), max_size=1))
    terms += [f"gated {each}" for each in draw(st.lists(st.sampled_from(RELATIONS), max_size=2, unique=True))]
    for number, kind in enumerate(kinds):
        name = f"s{number}"
        options = {"k": draw(st.integers(3, 5)), "b": draw(st.sampled_from([4, 8, 12])), "per": "head"}
        options["per"] = draw(st.sampled_from(["head", "group", "layer"]))
        learn.append(SELECTORS[kind].format(name, **options))
        use = {"granularity": "refine", "topk_blocks": "select", "topk_keys": "select"}.get(kind, "columns")
        if kind == "importance" and direction == "bidirectional":
            use = draw(st.sampled_from(["axis", "rows", "columns"]))
        term = f"{use}({name})"
        if use != "refine" and draw(st.booleans()):
            term = f"({term} {draw(st.sampled_from('&-'))} {draw(st.sampled_from(RELATIONS[1:]))})"
        terms.append(("gated " if draw(st.booleans()) else "") + term)
    terms += draw(st.lists(st.sampled_from(TABLES), max_size=1))
    if draw(st.booleans()) or not kinds:
        terms.append(draw(st.sampled_from(["pooled(4)", "gated pooled(3)"])))
    return "\n".join(learn), " | ".join(draw(st.permutations(terms))), direction


@st.composite
def shapes(draw, most):
    n = draw(st.integers(1, most))
    batch = draw(st.integers(1, 2))
    spans = None
    if draw(st.booleans()):
        ends = [sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for _ in range(batch)]
        spans = torch.tensor(ends, dtype=torch.int32)
    return n, batch, spans


def check(drawn, shape, seed, softcap=None, *, chosen=False) -> None:
    """``chosen``: selections are given, and no gradient of a gate is asked for."""
    (learn, step, direction), (n, batch, spans) = drawn, shape
    torch.manual_seed(seed)
    learned = layer(pattern(step, direction, learn))
    given_data = data(n, batch=batch)
    out_slope = torch.randn_like(given_data.q)
    options = {"hidden": given_data.hidden, "spans": spans, "softcap": softcap, "return_selections": True}
    q, k, v = given_data.q, given_data.k, given_data.v
    if chosen:
        with torch.no_grad():
            options["selections"] = learned(q, k, v, **options).selections
    found = []
    for each in (learned, same_layer(learned, "reference")):
        result = each(q, k, v, **options)
        leaves = (q, k, v) if chosen else (*given_data.leaves, *each.parameters())
        found.append((result.out, result.lse, *slopes(result, out_slope, leaves)))
    for mine, wanted in zip(*found, strict=True):
        close(mine, wanted)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(steps(), shapes(70), st.integers(0, 2**20))
def test_outputs_and_gradients(drawn, shape, seed) -> None:
    check(drawn, shape, seed)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(steps(), shapes(70), st.integers(0, 2**20))
def test_lists_run_densely(drawn, shape, seed) -> None:
    with assume(QUICK_DENSE):
        check(drawn, shape, seed)
        check(drawn, shape, seed, chosen=True)


@pytest.mark.slow
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(steps(), shapes(300), st.integers(0, 2**20))
def test_outputs_and_gradients_at_length(drawn, shape, seed) -> None:
    check(drawn, shape, seed)


@settings(max_examples=8, deadline=None)
@given(steps(), shapes(40), st.integers(0, 2**20))
def test_capped_scores(drawn, shape, seed) -> None:
    check(drawn, shape, seed, softcap=1.5)
