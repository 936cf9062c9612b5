"""A short distillation finds more of dense attention than the frozen control does, at equal density, on new data."""

from __future__ import annotations

import pytest
import torch

import patternc as pc
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Inputs, density_penalty
from patternc.runtime.training import DenseAttention, coverage, density
from patternc.runtime.training.distill import selector_losses
from patternc.runtime.training.losses.gates import gate_density, gate_effects, gate_loss

WIDTH, N = 12, 96
SIZES = {"heads": 4, "kv_heads": 2, "head_dim": 6, "hidden_size": WIDTH, "engine": "compose"}


class Topics:
    """Tokens of changing topics, each of which attends to tokens of its own; one topic in five is what all look at."""

    def __init__(self) -> None:
        self.topics, self.weight = torch.randn(5, WIDTH), torch.randn(WIDTH, WIDTH) * WIDTH**-0.5

    def layer(self, batch: int) -> DenseAttention:
        topic = torch.randint(5, (batch, N // 12)).repeat_interleave(12, 1)
        hidden = self.topics[topic] + 0.3 * torch.randn(batch, N, WIDTH)
        k = (hidden @ self.weight).view(batch, N, 2, 6).transpose(1, 2)
        q = 2 * (k + 0.7 * (self.topics[0] @ self.weight).view(2, 1, 6)).repeat_interleave(2, 1)
        return DenseAttention(q, k, Inputs.self_attention(hidden, q, k), Direction.CAUSAL)


def build(text: str, random: int | None = None):
    return pc.compile(pc.loads(f"pattern p causal {{ {text} }}")["p"].bind(), random=random, **SIZES)


def measured(layer, dense: DenseAttention) -> tuple[float, float]:
    """(coverage, density), in evaluation."""
    selections = layer.eval().select(dense.inputs, dense.k, dense.k)
    return tuple(float(kind(layer, dense, selections).mean()) for kind in (coverage, density))


@pytest.mark.parametrize(
    ("text", "steps", "gain"),
    [
        ("learn s = topk_blocks(k = 5, block = 4, forced = [diagonal]) step select(s)", 50, 0.1),
        ("learn s = topk_keys(k = 12, tile = 8) step select(s)", 40, 0.1),
        ("learn s = topk(k = 16, per = layer) step local(4) | columns(s)", 60, 0.1),
    ],
)
def test_what_ranks(text: str, steps: int, gain: float) -> None:
    source, layer, control = Topics(), build(text), build(text, random=1)
    optimizer = torch.optim.Adam(layer.parameters(), lr=1e-2)
    losses = []
    for _ in range(steps):
        [loss] = selector_losses(layer, source.layer(4)).values()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    dense = source.layer(8)
    (mine, share), (other, same) = measured(layer, dense), measured(control, dense)
    assert share == pytest.approx(same, abs=0.01)
    print(mine, share, other, same)
    assert mine > other + gain


@pytest.mark.parametrize(
    ("text", "target", "always"),
    [
        ("learn s = importance() step local(4) | columns(s)", 0.25, 0.0),
        ("learn s = granularity(block = 8, levels = [skip, fine]) step refine(s)", 0.4, 12 * 36 / 4656),
    ],
)
def test_what_is_free_in_number_keeps_its_density(text: str, target: float, always: float) -> None:
    source, layer = Topics(), build(text)
    optimizer = torch.optim.Adam(layer.parameters(), lr=2e-2)
    [selector] = layer.learned.selectors.values()
    for step in range(120):
        selector.noise = min(1.0, 2 - step / 60)
        dense = source.layer(4)
        [loss] = selector_losses(layer.train(), dense).values()
        [found] = layer.learned.select(dense.inputs).values()
        optimizer.zero_grad()
        (loss + 4 * density_penalty([found.density], target)).backward()
        optimizer.step()
    dense = source.layer(8)
    [found] = layer.eval().select(dense.inputs, dense.k, dense.k).values()
    realised = float(found.density.detach().mean())
    assert 0.5 * target < realised < 1.15 * target
    # Blocks that are always read come on top of a control's budget.
    option = f"budget = {100 * (realised - always) / (1 - always):.2f}%"
    text = text.replace("()", f"({option})").replace("fine])", f"fine], {option})")
    controls = [measured(build(text, random=seed), dense) for seed in range(8)]  # one draws few tokens, or many
    (mine, share), (other, same) = measured(layer, dense), torch.tensor(controls).mean(0).tolist()
    assert share == pytest.approx(same, abs=0.03)
    assert mine > other + 0.04


def test_gates_close_where_they_hold_least_for_their_cost() -> None:
    """Of two terms that cost alike, the one that dense attention looks at stays open."""
    layer = build("step self | gated strided(8) | gated { (i, j) : (i - j) mod 8 = 4 }")
    n = 64
    place = torch.arange(n) * (torch.pi / 4)
    turned = torch.stack([place.cos(), place.sin()], -1) * 3.0
    k = torch.cat([turned, torch.zeros(n, 4)], -1).expand(1, 2, n, 6)  # likes tokens 8, 16, ... away
    q = k.repeat_interleave(2, 1)
    dense = DenseAttention(q, k, Inputs.self_attention(torch.zeros(1, n, WIDTH), q, k), Direction.CAUSAL)
    for gate in layer.learned.gates:
        gate.hard = True
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    layer.eval()
    for _ in range(60):
        selections = layer.select(dense.inputs, k, k)
        effects = gate_effects(layer, dense, selections)
        cost = density(layer, dense, selections).mean()
        slope = gate_density(effects)
        loss = gate_loss(effects) + 10 * density_penalty([cost + slope - slope.detach()], 0.15)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    near, half = (gate.logits.detach() for gate in layer.learned.gates)
    assert (near > 0).all() and (half < 0).all()
