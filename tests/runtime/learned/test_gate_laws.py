"""The laws that gates obey, in each engine, gradients included: against patterns without gates, and dense attention."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from learned_layers import close, data, layer, pattern
from torch.nn import functional as F

ENGINES = ("compose", "reference")
DIRECTIONS = ("causal", "bidirectional")
LEARN = "learn hot = topk_blocks(k = 3, block = 4) learn few = importance(budget = 30%)"
N = 19


def outcome(learned, given, selections):
    """out, lse, and the gradients of q, k and v of a loss that touches both."""
    found = learned(given.q, given.k, given.v, selections=selections, return_selections=True)
    loss = (found.out * given.q.detach().sin()).sum() + found.lse.masked_fill(found.lse.isneginf(), 0.0).sum()
    return (found.out, found.lse, *torch.autograd.grad(loss, (given.q, given.k, given.v)))


def selected(learned, given):
    with torch.no_grad():
        return learned(given.q, given.k, given.v, hidden=given.hidden, return_selections=True).selections


def agree(one, other, tolerance=1e-12) -> None:
    for mine, wanted in zip(one, other, strict=True):
        close(mine, wanted, tolerance)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_gates_of_one_are_no_gates(direction: str, engine: str) -> None:
    gated = layer(
        pattern("self | gated local(3) | gated select(hot) | gated columns(few) | gated pooled(3)", direction, LEARN),
        engine,
    )
    plain = layer(pattern("self | local(3) | select(hot) | columns(few) | pooled(3)", direction, LEARN), engine)
    given = data(N)
    chosen = selected(gated, given)
    gates = [name for name in chosen if name.startswith("gated")]
    assert len(gates) == 4
    opened = {name: replace(chosen[name], log_gate=torch.zeros_like(chosen[name].log_gate)) for name in gates}
    without = {name: selection for name, selection in chosen.items() if name not in gates}
    agree(outcome(gated, given, {**chosen, **opened}), outcome(plain, given, without))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("term", ["local(3)", "strided(5)", "select(hot)", "columns(few)", "pooled(3)"])
def test_rows_that_gates_leave_without_a_key_have_no_gradient(term: str, direction: str, engine: str) -> None:
    subject = layer(pattern(f"gated {term}", direction, LEARN), engine)
    [gate] = subject.learned.gates
    gate.hard = True
    torch.nn.init.constant_(gate.logits, -1.0)
    given = data(N)
    found = subject(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
    assert not found.out.any() and found.lse.isneginf().all()
    leaves = (given.q, given.k, given.v, gate.logits)
    # As merging with another softmax that has no key for the row gives it.
    given_slopes = (given.q.detach().sin(), torch.full_like(found.lse, torch.nan))
    slopes = torch.autograd.grad((found.out, found.lse), leaves, given_slopes, allow_unused=True)
    assert not any(slope.any() for slope in slopes if slope is not None)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("term", ["local(3)", "select(hot)", "columns(few)", "pooled(3)"])
def test_a_gate_of_zero_is_the_absence_of_its_term(term: str, direction: str, engine: str) -> None:
    subject, rest = f"strided(5) | gated {term} | columns(first(1))", "strided(5) | columns(first(1))"
    gated = layer(pattern(subject, direction, LEARN), engine)
    # What is left may learn nothing: a gate that is open keeps it a learned layer.
    plain = layer(pattern(f"{rest} | gated self", direction, LEARN), engine)
    given = data(N)
    chosen = selected(gated, given)
    name = f"gated {term}"
    closed = {**chosen, name: replace(chosen[name], log_gate=torch.full_like(chosen[name].log_gate, -torch.inf))}
    kept = selected(plain, given)
    kept["gated self"] = replace(kept["gated self"], log_gate=torch.zeros_like(kept["gated self"].log_gate))
    agree(outcome(gated, given, closed), outcome(plain, given, kept))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_gate_of_zero_is_the_absence_of_its_block(direction: str, engine: str) -> None:
    learned = layer(pattern("self | select(hot)", direction, LEARN), engine)
    given = data(N)
    chosen = selected(learned, given)
    hot = chosen["hot"]
    closed = torch.zeros_like(hot.blocks, dtype=torch.bool)
    closed[:, :, 2:, 1] = True
    assert (hot.blocks[closed] >= 0).any()
    zero = replace(hot, log_gate=hot.log_gate.masked_fill(closed, -torch.inf))
    absent = replace(hot, blocks=hot.blocks.masked_fill(closed, -1), log_gate=zero.log_gate)
    agree(outcome(learned, given, {**chosen, "hot": zero}), outcome(learned, given, {**chosen, "hot": absent}))
    everything = outcome(learned, given, chosen)
    assert not torch.equal(everything[0], outcome(learned, given, {**chosen, "hot": zero})[0])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("direction", [*DIRECTIONS, "cross"])
def test_all_blocks_fine_is_dense_attention(direction: str, engine: str) -> None:
    learned = layer(pattern("refine(d)", direction, "learn d = granularity(block = 4, levels = [fine])"), engine)
    given = data(N, 14 if direction == "cross" else None)
    leaves = (given.q, given.k, given.v)
    grad = torch.randn_like(given.q)
    out = learned(*leaves, inputs=given.inputs())
    dense = F.scaled_dot_product_attention(*leaves, is_causal=direction == "causal", enable_gqa=True)
    one, other = (torch.autograd.grad((x * grad).sum(), leaves) for x in (out, dense))
    agree((out, *one), (dense, *other))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_logits_of_gates_against_finite_differences(direction: str, engine: str) -> None:
    """A soft gate is exact from the logit on, for terms of every sort: what is chosen is held fixed."""
    step = "self | gated local(3) | gated select(hot) | gated columns(few) | gated pooled(3)"
    learned = layer(pattern(step, direction, LEARN), engine)
    given = data(11, batch=1)
    chosen = selected(learned, given)
    gates = {name: learned.learned.gates[place] for place, name in enumerate(learned.learned.gate_names)}
    assert len(gates) == 4

    def outputs(*logits):
        own = {name: replace(chosen[name], log_gate=F.logsigmoid(x)) for name, x in zip(gates, logits, strict=True)}
        found = learned(given.q, given.k, given.v, selections={**chosen, **own}, return_selections=True)
        return found.out, found.lse

    logits = [gate.logits.detach().clone().requires_grad_() for gate in gates.values()]
    assert torch.autograd.gradcheck(outputs, logits, eps=1e-6, atol=1e-6, rtol=1e-6, fast_mode=True)
    loss = learned(given.q, given.k, given.v, hidden=given.hidden).sin().sum()
    of_module = torch.autograd.grad(loss, [gate.logits for gate in gates.values()])
    by_hand = torch.autograd.grad(outputs(*logits)[0].sin().sum(), logits)
    agree(of_module, by_hand)


@pytest.mark.parametrize("engine", ENGINES)
def test_sequences_without_a_token(engine: str) -> None:
    """Beside one that has some: out 0, lse -inf, and gradients of 0."""
    step = "local(3) | select(hot) | columns(few) | gated strided(5) | pooled(4)"
    learned = layer(pattern(step, learn=LEARN), engine)
    given = data(N)
    inputs = given.inputs([0, N])
    found = learned(given.q, given.k, given.v, inputs=inputs, return_selections=True)
    assert (found.out[0] == 0).all() and found.lse[0].isneginf().all() and found.out[1].abs().sum() > 0
    gradients = torch.autograd.grad(found.out.square().sum(), (given.q, given.k, given.v))
    assert all((gradient[0] == 0).all() and gradient.isfinite().all() for gradient in gradients)
