"""Gradients of levels of detail: those of the softmax that they were drawn from."""

from __future__ import annotations

import pytest
import torch
from selector_layers import SHAPE, layer_inputs, learned
from torch import nn

from patternc.runtime.selectors import gated_attention
from patternc.runtime.selectors.dense import written_out


class Given(nn.Module):
    """A scorer that returns the logits it was made with."""

    frozen = False

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, *arguments) -> torch.Tensor:
        return self.logits


def test_granularity_learns_from_attention_and_from_its_cost() -> None:
    layer, inputs = learned("granularity(block = 4)", "causal").train(), layer_inputs(32)
    selection = layer(inputs)["s"]
    v = torch.randn_like(inputs.key.heads)
    terms, summaries = written_out(selection, inputs, inputs.key.heads, v, SHAPE.query_heads)
    out, _ = gated_attention(inputs.query.heads, inputs.key.heads, v, terms, summaries)
    for loss in (out.square().sum(), selection.density.sum()):
        gradients = torch.autograd.grad(loss, [*layer.parameters()], retain_graph=True)
        assert all(gradient.isfinite().all() for gradient in gradients) and max(g.abs().max() for g in gradients) > 0


@pytest.mark.parametrize("direction", ["causal", "cross"])
def test_granularity_has_the_gradient_of_its_softmax(direction: str) -> None:
    """Of the gates of what was chosen, and of the cost by its prices; the own block of a causal pattern has none."""
    selector = learned("granularity(block = 4)", direction).selectors["s"]
    logits = torch.randn(1, 2, 3, 3, 4, dtype=torch.float64)
    given = logits.clone().requires_grad_()
    selector.scorer, selector.temperature = Given(given), 0.6
    selection = selector(layer_inputs(12, 12 if direction == "cross" else None, batch=1))
    weight = torch.randn(1, 2, 3, 3, dtype=torch.float64)
    gate = selection.log_gate
    loss = (gate.masked_fill(gate.isneginf(), 0.0) * weight).sum() + selection.density.sum()
    (found,) = torch.autograd.grad(loss, given)
    leaf = logits.clone().requires_grad_()
    p, prices = torch.softmax(leaf / 0.6, -1), torch.tensor([0, 1 / 4, 1 / 4, 1], dtype=torch.float64)
    expected = torch.zeros((), dtype=torch.float64)
    for g, a, b in ((g, a, b) for g in range(2) for a in range(3) for b in range(3)):
        if direction == "causal" and b >= a:
            continue
        best = int(logits[0, g, a, b].argmax())
        expected = expected + (p[0, g, a, b, best] * weight[0, g, a, b] if best else 0)
        expected = expected + (p[0, g, a, b] * prices).sum() * 16 / (78 if direction == "causal" else 144)
    (wanted,) = torch.autograd.grad(expected, leaf)
    torch.testing.assert_close(found, wanted, atol=1e-10, rtol=1e-10)
    assert found.abs().max() > 0
