"""Numbers that a selector should never meet, and those that leave it little to choose from."""

from __future__ import annotations

import math

import pytest
import torch
from selector_layers import layer_inputs, learned, pairs_of
from torch import nn

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors import Granularity, Importance, Inputs, density_penalty
from patternc.runtime.selectors.gates import one_gate, one_of

SELECTORS = [
    "importance()",
    "topk(k = 3)",
    "topk_blocks(k = 3, block = 4)",
    "topk_keys(k = 3, tile = 4)",
    "granularity(block = 4)",
]
DIRECTIONS = ["causal", "bidirectional", "cross"]


def gate_of(selection) -> torch.Tensor:
    return selection.column_gate if hasattr(selection, "column_gate") else selection.log_gate


@pytest.mark.parametrize("budget", [0.0, -0.1, 1.01, math.nan])
def test_a_budget_is_a_share(budget: float) -> None:
    for make in (Importance, Granularity):
        with pytest.raises(ArgumentError, match="more than 0, at most 1"):
            make(Direction.CAUSAL, nn.Identity(), budget=budget)
    if budget:  # a density of 0 can be aimed at
        with pytest.raises(ArgumentError, match="between 0 and 1"):
            density_penalty([torch.tensor([[0.5]])], budget)


@pytest.mark.parametrize("gate", [one_gate, one_of])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_gates_take_schedules_within_their_range(gate, value: float) -> None:
    """A temperature of 0 made the gate NaN, and one below it turned its gradient around."""
    logits = torch.tensor([1.0, 0.0, -1.0])
    with pytest.raises(ArgumentError, match="temperature"):
        gate(logits, temperature=value)
    if value != 0:
        with pytest.raises(ArgumentError, match="noise"):
            gate(logits, noise=value)


def test_an_infinite_logit_opens_a_gate_and_chooses_no_level() -> None:
    logits = torch.tensor([math.inf, 0.0, -math.inf])
    assert one_gate(logits)[1].tolist() == [1, 0, 0]
    with pytest.raises(ArgumentError, match="NaN or infinity"):
        one_of(logits)
    assert one_of(torch.tensor([-math.inf, 0.0])).tolist() == [0, 1]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("declaration", SELECTORS)
def test_scores_of_nan_are_refused(declaration: str, direction: str) -> None:
    layer, inputs = learned(declaration, direction), layer_inputs(12, 12 if direction == "cross" else None)
    inputs.key.hidden[0, 5] = torch.nan
    inputs.key.heads[0, :, 5] = torch.nan
    with pytest.raises(ArgumentError, match="NaN"):
        layer(inputs)


def test_where_nan_cannot_be_looked_at_it_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator: the gate is NaN and not closed."""
    monkeypatch.setattr("patternc.runtime.selectors.gates.readable", lambda tensor: False)
    is_open, gate = one_gate(torch.tensor([-1.0, torch.nan, 1.0]))
    assert is_open.tolist() == [False, True, True] and gate.isnan().tolist() == [False, True, False]
    gates = one_of(torch.tensor([[0.0, torch.nan], [1.0, 0.0]]))
    assert gates[0].isnan().any() and gates[1].tolist() == [1, 0]


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("declaration", SELECTORS)
def test_where_all_scores_are_equal_the_first_are_chosen(declaration: str, direction: str) -> None:
    """With gradients that are finite: a row without deviation is divided by none."""
    layer = learned(declaration, direction)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    inputs = layer_inputs(13, 13 if direction == "cross" else None)
    selection = layer(inputs)["s"]
    found = pairs_of(selection, inputs)[0, 0]
    gate = gate_of(selection)
    loss = gate.masked_fill(gate.isneginf(), 0.0).sum() + selection.density.sum()
    gradients = torch.autograd.grad(loss, [*layer.parameters()], allow_unused=True)
    assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)
    chosen = found[12].nonzero().flatten().tolist()
    causal, cross = direction == "causal", direction == "cross"
    expected = {
        "importance": [],  # a logit of 0 is closed
        "topk": [0, 1, 2],
        # first, diagonal and one more; in a cross pattern nothing is forced
        "topk_blocks": [*range(12)] if cross else [*range(8), 12],
        "topk_keys": [0, 1, 2] if cross else [0, 1, 12],
        "granularity": [] if cross else [12],  # the first level skips, and the own block is fine
    }
    assert chosen == expected[declaration.split("(")[0]], causal


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("declaration", SELECTORS)
@pytest.mark.parametrize("n", [0, 9])
def test_documents_without_a_token(n: int, declaration: str, direction: str) -> None:
    """No token at all, or none that exists: nothing is chosen, the density is 0 and not 0 / 0, gradients are finite."""
    layer, cross = learned(declaration, direction), direction == "cross"
    inputs = layer_inputs(n, n if cross else None, lengths=[0, n], key_lengths=[0, n] if cross else None)
    selection = layer(inputs)["s"]
    assert not pairs_of(selection, inputs)[0].any()
    assert (selection.density[0] == 0).all() and selection.density.isfinite().all()
    gate = gate_of(selection)
    loss = gate.masked_fill(gate.isneginf(), 0.0).sum() + selection.density.sum()
    if loss.requires_grad:
        gradients = torch.autograd.grad(loss, [*layer.parameters()], allow_unused=True)
        assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("declaration", ["topk(k = 99)", "topk_blocks(k = 99, block = 4)", "topk_keys(k = 99)"])
def test_more_than_there_are_is_all(declaration: str, direction: str) -> None:
    inputs = layer_inputs(13, 10 if direction == "cross" else None)
    selection = learned(declaration, direction)(inputs)["s"]
    assert torch.equal(selection.density, torch.ones_like(selection.density))
    gate = gate_of(selection)
    assert (gate.masked_fill(gate.isneginf(), 0.0) == 0).all()


def test_inputs_that_a_selector_reads_are_those_that_count() -> None:
    """A NaN in what it does not read is not its own."""
    inputs = layer_inputs(12)
    inputs.key.heads.fill_(torch.nan)
    assert learned("topk(k = 3)", "causal")(Inputs.self_attention(inputs.key.hidden))["s"].density.isfinite().all()
    assert learned("topk(k = 3)", "causal")(inputs)["s"].density.isfinite().all()
