"""Hard forwards, soft backwards: the gradient of each selector is that of the estimator that it states."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from selector_layers import SHAPE, layer_inputs, learned
from torch import nn

from patternc.runtime.selectors import Inputs, gated_attention, hard_topk, soft_topk
from patternc.runtime.selectors.dense import written_out
from patternc.runtime.selectors.gates import log_gate, one_gate, one_of, soft_log_gate

TIGHT = {"atol": 1e-10, "rtol": 1e-10}
RELAXES = ["soft_topk", "lapsum", "sparsek"]


class Given(nn.Module):
    """A scorer that returns the scores it was made with."""

    frozen, heads = False, 1

    def __init__(self, scores: torch.Tensor) -> None:
        super().__init__()
        self.given = nn.Parameter(scores)

    def forward(self, *arguments) -> torch.Tensor:
        return self.given

    def prepare(self, *arguments) -> torch.Tensor:
        return self.given

    def scores(self, prepared: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        return prepared[:, :, start:stop]


def row_normalised(row: torch.Tensor) -> torch.Tensor:
    return (row - row.mean()) / row.std(correction=0)


def loss_of(gate: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return (gate.masked_fill(gate.isneginf(), 0.0) * weight).sum()


@pytest.mark.parametrize("relax", RELAXES)
@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_topk(direction: str, relax: str) -> None:
    selector = learned(f"topk(k = 3, per = layer, relax = {relax})", direction).selectors["s"]
    scores, weight = torch.randn(1, 1, 12, dtype=torch.float64), torch.randn(12, dtype=torch.float64)
    selector.scorer = Given(scores)
    selection = selector(layer_inputs(12, batch=1))
    (found,) = torch.autograd.grad(loss_of(selection.column_gate, weight), selector.scorer.given)
    row = scores[0, 0].clone().requires_grad_()
    p = soft_topk(row_normalised(row), 3, relax=relax)
    (expected,) = torch.autograd.grad((p * weight)[selection.until[0, 0] > 0].sum(), row)
    torch.testing.assert_close(found[0, 0], expected, **TIGHT)
    assert selection.column_gate[selection.until > 0].eq(0).all() and found.abs().max() > 0


@pytest.mark.parametrize("relax", RELAXES)
def test_topk_blocks(relax: str) -> None:
    selector = learned(f"topk_blocks(k = 3, block = 2, relax = {relax})", "causal").selectors["s"]
    scores, weight = torch.randn(1, 1, 8, 8, dtype=torch.float64), torch.randn(8, 8, dtype=torch.float64)
    selector.scorer = Given(scores)
    selection = selector(layer_inputs(16, batch=1))
    blocks = selection.blocks[0, 0]
    slot_weight = weight.gather(-1, blocks.clamp_min(0))
    (found,) = torch.autograd.grad(loss_of(selection.log_gate[0, 0], slot_weight), selector.scorer.given)
    for a in range(8):
        row = scores[0, 0, a].clone().requires_grad_()
        past = row_normalised(row[: a + 1]) if a else row[:1]
        forced = torch.tensor([b in (0, a) for b in range(a + 1)])
        p = soft_topk(past.masked_fill(forced, torch.inf), 3, relax=relax)
        chosen = [int(b) for b in blocks[a] if b >= 0]
        (expected,) = torch.autograd.grad((p * weight[a, : a + 1])[chosen].sum(), row)
        torch.testing.assert_close(found[0, 0, a], expected, **TIGHT)
    assert found.abs().max() > 0


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_topk_keys(direction: str) -> None:
    selector = learned("topk_keys(k = 4, tile = 3)", direction).selectors["s"]
    scores, weight = torch.randn(1, 1, 4, 11, dtype=torch.float64), torch.randn(4, 11, dtype=torch.float64)
    selector.scorer = Given(scores)
    selection = selector(layer_inputs(11, batch=1))
    keys = selection.keys[0, 0]
    loss = loss_of(selection.log_gate[0, 0], weight.gather(-1, keys.clamp_min(0)))
    (found,) = torch.autograd.grad(loss, selector.scorer.given)
    for tile in range(4):
        row = scores[0, 0, tile].clone().requires_grad_()
        end = min(11, 3 * tile + 3) if direction == "causal" else 11
        p = soft_topk(row_normalised(row[:end]), 3)  # the diagonal has one of the four
        chosen = [int(j) for j in keys[tile] if j >= 0]
        (expected,) = torch.autograd.grad((p * weight[tile, :end])[chosen].sum(), row)
        torch.testing.assert_close(found[0, 0, tile], expected, **TIGHT)


def test_a_gate_is_a_step_with_the_gradient_of_a_sigmoid() -> None:
    logits = torch.randn(50, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(50, dtype=torch.float64)
    is_open, gate = one_gate(logits, temperature=0.7)
    assert torch.equal(is_open, logits > 0) and torch.equal(gate, is_open.double())
    (found,) = torch.autograd.grad((gate * weight).sum(), logits)
    y = torch.sigmoid(logits / 0.7)
    torch.testing.assert_close(found, weight * y * (1 - y) / 0.7, **TIGHT)
    (of_log,) = torch.autograd.grad(loss_of(log_gate(*one_gate(logits)), weight), logits)
    assert (of_log[logits <= 0] == 0).all() and (of_log[logits > 0] != 0).all()


def test_noise_opens_a_gate_as_often_as_the_sigmoid_says() -> None:
    logits = torch.tensor([-2.0, 0.0, 1.0]).repeat(20000, 1)
    rate = one_gate(logits, noise=1.0)[1].mean(0)
    torch.testing.assert_close(rate, torch.sigmoid(logits[0]), atol=0.02, rtol=0)
    levels = one_of(logits, noise=1.0).mean(0)
    torch.testing.assert_close(levels, torch.softmax(logits[0], 0), atol=0.02, rtol=0)
    drawn = [one_gate(logits, noise=1.0, generator=torch.Generator().manual_seed(3))[1] for _ in range(2)]
    assert torch.equal(*drawn)


def test_one_of_several_has_the_gradient_of_a_softmax() -> None:
    logits, weight = torch.randn(6, 4, dtype=torch.float64, requires_grad=True), torch.randn(6, 4, dtype=torch.float64)
    gates = one_of(logits, temperature=0.5)
    assert torch.equal(gates.argmax(-1), logits.argmax(-1)) and (gates.sum(-1) == 1).all()
    (found,) = torch.autograd.grad((gates * weight).sum(), logits)
    (expected,) = torch.autograd.grad((torch.softmax(logits / 0.5, -1) * weight).sum(), logits)
    torch.testing.assert_close(found, expected, **TIGHT)


@pytest.mark.parametrize(
    ("declaration", "gate"), [("topk(k = 3)", "column_gate"), ("topk_blocks(k = 2, block = 2)", "log_gate")]
)
def test_the_soft_mode_is_exactly_differentiable(declaration: str, gate: str) -> None:
    """Through attention, against finite differences, from the scores on."""
    selector = learned(declaration, "bidirectional").selectors["s"]
    inputs = layer_inputs(6, batch=1)
    v = torch.randn_like(inputs.key.heads)
    shape = selector(inputs, soft=True).column_gate.shape if gate == "column_gate" else (1, 2, 3, 3)

    def function(scores):
        selector.scorer = lambda *arguments: scores
        terms, _ = written_out(selector(inputs, soft=True), inputs, inputs.key.heads, v, SHAPE.query_heads)
        return gated_attention(inputs.query.heads, inputs.key.heads, v, terms)

    del selector._modules["scorer"]
    scores = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, scores, eps=1e-6, atol=1e-6, rtol=1e-6)


def test_soft_gates_are_the_probabilities() -> None:
    p = torch.tensor([0.0, 0.25, 1.0], requires_grad=True)
    gate = soft_log_gate(p)
    assert gate.exp().tolist() == pytest.approx([0, 0.25, 1])
    (gradient,) = torch.autograd.grad(loss_of(gate, torch.ones(3)), p)
    assert gradient.tolist() == [0, 4, 1]


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_importance_learns_from_attention_and_from_its_density(direction: str) -> None:
    layer, inputs = learned("importance()", direction), layer_inputs(11)
    selection = layer(inputs)["s"]
    terms, _ = written_out(selection, inputs, inputs.key.heads, inputs.key.heads, SHAPE.query_heads)
    out, _ = gated_attention(inputs.query.heads, inputs.key.heads, inputs.key.heads, terms)
    for loss in (out.square().sum(), selection.density.sum()):
        gradients = torch.autograd.grad(loss, [*layer.parameters()], retain_graph=True)
        assert all(gradient.abs().max() > 0 for gradient in gradients)


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("direction", ["causal", "bidirectional", "cross"])
def test_importance_through_attention(direction: str, noise: float) -> None:
    """What attention wants of an open gate, by central differences, times the slope of the sigmoid that it is drawn
    from, noise included; of a closed one nothing."""
    inputs = layer_inputs(7, 9 if direction == "cross" else None, batch=1)
    selector = learned("importance()", direction).selectors["s"].train()
    selector.temperature, selector.noise = 0.7, noise
    logits = [torch.randn_like(x).requires_grad_() for x in selector.scorer(inputs) if x is not None]
    selector.scorer = nn.Identity()
    selector.scorer.forward = lambda inputs: (*logits, None)[:2]
    selector.scorer.frozen = False
    selection = selector(inputs, torch.Generator().manual_seed(4))
    v = torch.randn_like(inputs.key.heads)
    weight = torch.randn_like(inputs.query.heads)

    def loss(selection) -> torch.Tensor:
        terms, _ = written_out(selection, inputs, inputs.key.heads, v, SHAPE.query_heads)
        out, lse = gated_attention(inputs.query.heads, inputs.key.heads, v, terms)
        return (out * weight).sum() + (lse.masked_fill(lse.isneginf(), 0.0) * weight.sum(-1)).sum()

    found = torch.autograd.grad(loss(selection), logits)
    draw = torch.Generator().manual_seed(4)
    for name, logit, slope in zip(("column_gate", "row_gate"), logits, found, strict=False):
        if noise:  # the logistic distribution, as the difference of two Gumbel variables
            first, second = (torch.empty_like(logit).exponential_(generator=draw).log() for _ in range(2))
            logit = logit + (second - first)
        y = torch.sigmoid(logit.detach() / 0.7)
        gate, expected = getattr(selection, name).detach(), torch.zeros_like(slope)
        assert torch.equal(gate > -torch.inf, logit > 0) and (logit > 0).any() and (logit < 0).any()
        for token in (logit[0, 0] > 0).nonzero()[:, 0].tolist():
            step = torch.zeros_like(gate)
            step[..., token] = 1e-5
            up, down = (loss(replace(selection, **{name: gate + sign * step})).detach() for sign in (1, -1))
            expected[..., token] = (up - down) / 2e-5
        torch.testing.assert_close(slope, expected * y * (1 - y) / 0.7, atol=1e-6, rtol=1e-6)
        assert slope.abs().max() > 1e-3


def test_the_density_of_importance_has_the_gradient_of_the_gates() -> None:
    """By definition: the share of pairs in a column or a row, with gates for indicators."""
    layer, inputs = learned("importance()", "bidirectional"), layer_inputs(7, batch=1)
    selector = layer.selectors["s"]
    columns, rows = (x.detach().requires_grad_() for x in selector.scorer(inputs))
    selector.scorer = nn.Identity()
    selector.scorer.forward = lambda inputs: (columns, rows)
    selector.scorer.frozen = False
    found = torch.autograd.grad(selector(inputs).density.sum(), [columns, rows])
    c, r = one_gate(columns)[1], one_gate(rows)[1]
    expected = torch.autograd.grad((1 - (1 - r[..., None]) * (1 - c[:, :, None])).mean(), [columns, rows])
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, **TIGHT)


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles and rows a few at a time, recomputed in backward: the same choice and the same gradients."""
    for declaration, module in (("topk_keys(k = 4, tile = 2)", "topk_keys"), ("granularity(block = 4)", "granularity")):
        layer, inputs = learned(declaration, "causal"), layer_inputs(21)
        found = []
        for table in (1 << 24, 1):
            monkeypatch.setattr(f"patternc.runtime.selectors.{module}.LARGEST_TABLE", table)
            selection = layer(inputs)["s"]
            weight = torch.arange(selection.log_gate.numel()).double().view_as(selection.log_gate).sin()
            gradients = torch.autograd.grad(loss_of(selection.log_gate, weight), [*layer.parameters()])
            found.append((selection.log_gate, *gradients))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, **TIGHT)


def test_detached_inputs_keep_gradients_from_the_model() -> None:
    inputs = layer_inputs(12)
    for side in (inputs.query, inputs.key):
        side.hidden.requires_grad_()
        side.heads.requires_grad_()
    selection = learned("topk_blocks(k = 3, block = 2)", "causal")(Inputs.detached(inputs))["s"]
    loss_of(selection.log_gate, torch.randn_like(selection.log_gate)).backward()
    assert inputs.query.hidden.grad is None and inputs.query.heads.grad is None and inputs.key.heads.grad is None


def test_hard_and_soft_agree_when_cold() -> None:
    selector, inputs = (
        learned("topk_blocks(k = 3, block = 2, relax = sparsek)", "bidirectional").selectors["s"],
        layer_inputs(16),
    )
    selector.temperature = 1e-9
    hard, soft = selector(inputs), selector(inputs, soft=True)
    assert torch.equal(hard.blocks, soft.blocks[..., :3])
    assert soft.log_gate[..., :3].exp().eq(1).all() and soft.log_gate[..., 3:].isneginf().all()
    assert hard_topk(selector.scorer(inputs, 2, selector.direction), 3).any()
