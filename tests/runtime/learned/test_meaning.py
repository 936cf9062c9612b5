"""The engines against the tables read pair by pair, query by query: what belongs to which term, and one softmax."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from learned_layers import HEAD_DIM, data, layer, pattern
from learned_oracle import long_way

from patternc.runtime.selectors.selection import SummarySelection

ENGINES = ("compose", "reference")
LEARN = """
    learn hot   = topk_blocks(k = 2, block = 5, forced = [])
    learn warm  = topk_blocks(k = 3, block = 4)
    learn few   = importance(budget = 10%)
    learn kept  = topk(k = 3, per = head)
    learn picks = topk_keys(k = 4, tile = 3)
    learn level = granularity(block = 8)
"""
# What a step says, and the same term by term, in the order in which terms take pairs: (mask, selection, use, gates).
SUBJECTS = {
    "hot": ("local(3) | select(hot)", [("local(3)", None, "", []), ("everything", "hot", "", [])]),
    "narrowed": (
        "select(hot) & local(9) - self | columns(few) & strided(2)",
        [("strided(2)", "few", "columns", []), ("local(9) - self", "hot", "", [])],
    ),
    "columns": (
        "self | columns(kept) | columns(few)",
        [("self", None, "", []), ("everything", "kept", "columns", []), ("everything", "few", "columns", [])],
    ),
    "gates": (
        "self | gated local(4) | gated strided(3) | select(warm)",
        [
            ("self", None, "", []),
            ("local(4)", None, "", ["gated local(4)"]),
            ("strided(3)", None, "", ["gated strided(3)"]),
            ("everything", "warm", "", []),
        ],
    ),
    "gated selections": (
        "gated select(picks) | gated columns(few) | select(hot)",
        [
            ("everything", "few", "columns", ["gated columns(few)"]),
            ("everything", "hot", "", []),
            ("everything", "picks", "", ["gated select(picks)"]),
        ],
    ),
    "blocks and keys": (
        "select(picks) | select(hot) | select(warm)",
        [("everything", "hot", "", []), ("everything", "warm", "", []), ("everything", "picks", "", [])],
    ),
    "levels": (
        "refine(level) | columns(first(1))",
        [("columns(first(1))", None, "", []), ("everything", "level", "", [])],
    ),
}
POOLED = {"gates": [], "hot": [("pooled(4)", [])], "columns": [("pooled(3)", ["gated pooled(3)"])]}


def written(name, direction):
    """The step's text, its terms and its summaries."""
    text, terms = SUBJECTS[name]
    summaries = POOLED.get(name, [])
    for pooled, gates in summaries:
        text += f" | {gates[0] if gates else pooled}"
    if name == "levels":
        summaries = [("level", [])]
    if direction == "bidirectional":
        text += " | rows(few)"
        place = next((k for k, term in enumerate(terms) if term[1] is not None and term[2] != "columns"), len(terms))
        terms = [*terms[:place], ("everything", "few", "rows", []), *terms[place:]]
    return text, terms, summaries


@pytest.mark.parametrize(("name", "direction"), list(product(SUBJECTS, ("causal", "bidirectional"))))
def test_every_pair_is_one_terms(name: str, direction: str) -> None:
    text, terms, summaries = written(name, direction)
    n, lengths = 23, [23, 14]
    given = data(n)
    inputs = given.inputs(lengths)
    subject = pattern(text, direction, LEARN)
    results = {}
    for engine in ENGINES:
        torch.manual_seed(5)
        learned = layer(subject, engine)
        with torch.no_grad():
            learned.learned.gates.requires_grad_(True)
        found = learned(given.q, given.k, given.v, inputs=inputs, return_selections=True)
        results[engine] = (learned, found)
    _, found = results["compose"]
    gates = {key: value.log_gate for key, value in found.selections.items() if key.startswith("gated")}

    def log_gate(names):
        return sum(gates[each] for each in names) if names else None

    masks = [pattern(mask, direction).mask(n).numpy() for mask, *_ in terms]
    out, lse = long_way(
        given.q,
        given.k,
        given.v,
        [
            (mask, None if selection is None else found.selections[selection], use, log_gate(names))
            for mask, (_, selection, use, names) in zip(masks, terms, strict=True)
        ],
        [(found.selections[selection], log_gate(names)) for selection, names in summaries],
        [(length, length) for length in lengths],
        causal=direction == "causal",
        scale=HEAD_DIM**-0.5,
    )
    for engine, (_, result) in results.items():
        np.testing.assert_allclose(result.out.detach(), out, atol=1e-12, err_msg=engine)
        np.testing.assert_allclose(result.lse.detach(), lse, atol=1e-12, err_msg=engine)


@pytest.mark.parametrize(("name", "direction"), list(product(SUBJECTS, ("causal", "bidirectional"))))
def test_gradients_are_those_of_differences(name: str, direction: str) -> None:
    """Of q, k, v, every gate and every summary."""
    check_differences(pattern(written(name, direction)[0], direction, LEARN), data(11, batch=1))


ACROSS = {
    "refine(level)": "learn level = granularity(block = 4)",
    "columns(few) | rows(few)": "learn few = importance(budget = 30%)",
    "columns(kept)": "learn kept = topk(k = 3)",
    "select(hot) | gated everything": "learn hot = topk_blocks(k = 3, block = 4)",
    "select(picks)": "learn picks = topk_keys(k = 3, tile = 3)",
    "gated pooled(3) | gated columns(first(2))": "",
}


@pytest.mark.parametrize("step", ACROSS)
def test_gradients_between_two_sequences(step: str) -> None:
    check_differences(pattern(step, "cross", ACROSS[step]), data(9, 14, batch=1))


def check_differences(subject, given) -> None:
    """Within 1e-6 of central differences, absolute and relative, with the selection held fixed."""
    learned = layer(subject)
    with torch.no_grad():
        chosen = learned(given.q, given.k, given.v, inputs=given.inputs(), return_selections=True).selections
    leaves, rebuilt = loosened(chosen)
    tokens = (given.q, given.k, given.v)

    def value(*tensors):
        q, k, v, *gates = tensors
        result = learned(q, k, v, inputs=given.inputs(), selections=rebuilt(gates), return_selections=True)
        return result.out, result.lse.masked_fill(result.lse.isneginf(), 0.0)

    assert torch.autograd.gradcheck(value, (*tokens, *leaves), eps=1e-6, atol=1e-6, rtol=1e-6, fast_mode=True)


def loosened(selections):
    """Every log-gate that is not closed, and the keys and values of summaries, as leaves with values of their own, and
    how to put them back."""
    from dataclasses import fields, replace

    places, leaves = [], []
    for key, selection in selections.items():
        for field in fields(selection):
            tensor = getattr(selection, field.name)
            summary = isinstance(selection, SummarySelection) and field.name in ("keys", "values")
            if isinstance(tensor, torch.Tensor) and ("gate" in field.name or summary):
                places.append((key, field.name, tensor.isneginf()))
                leaves.append(torch.randn_like(tensor).requires_grad_())

    def rebuilt(gates):
        found = dict(selections)
        for (key, name, closed), gate in zip(places, gates, strict=True):
            found[key] = replace(found[key], **{name: gate.masked_fill(closed, -torch.inf)})
        return found

    return leaves, rebuilt
