"""Penalties, schedules and statistics."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from selector_layers import layer_inputs, learned

from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors import constant, density_penalty, describe, ramp
from patternc.runtime.selectors.statistics import entropy


def test_the_hinge_is_zero_once_the_budget_is_met() -> None:
    low, high = torch.tensor([[0.1]], requires_grad=True), torch.tensor([[0.5]], requires_grad=True)
    assert density_penalty([low, high], 0.3).item() < 1e-8  # the one spends what the other saves
    assert density_penalty([low, high], 0.2).item() == pytest.approx(0.1)
    own = density_penalty([low, high], 0.2, shared=False)
    assert own.item() == pytest.approx((0 + 0.3) / 2)
    assert [gradient.item() for gradient in torch.autograd.grad(own, [low, high])] == pytest.approx([0, 0.5])
    both = density_penalty([low, high], 0.2, shared=False, two_sided=True)
    assert both.item() == pytest.approx((0.1 + 0.3) / 2)
    assert [gradient.item() for gradient in torch.autograd.grad(both, [low, high])] == pytest.approx([-0.5, 0.5])
    assert density_penalty([low, high], 0.4, two_sided=True).item() == pytest.approx(0.1)
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        density_penalty([low], 1.5)
    with pytest.raises(ArgumentError, match="no layer"):
        density_penalty([], 0.5)


def test_a_budget_is_reached_by_training() -> None:
    """What was realised, not what was likely: evaluation counts tokens."""
    layer, inputs = learned("importance(budget = 20%)", "bidirectional").train(), layer_inputs(32, batch=4)
    optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
    before = layer.eval()(inputs)["s"].density.mean().item()
    layer.train()
    noise = ramp(1.0, 0.0, 50)
    for step in range(100):
        layer.selectors["s"].noise = noise(step)
        optimizer.zero_grad()
        density_penalty([layer(inputs)["s"].density], 0.2).backward()
        optimizer.step()
    after = layer.eval()(inputs)["s"].density.mean().item()
    assert before > 0.4 and 0.15 < after < 0.22


@given(st.floats(-5, 5), st.floats(-5, 5), st.integers(1, 100))
def test_schedules(start: float, end: float, steps: int) -> None:
    schedule = ramp(start, end, steps)
    assert schedule(-1) == schedule(0) == start
    assert schedule(steps) == schedule(10 * steps) == pytest.approx(end)
    assert schedule(1) - schedule(0) == pytest.approx((end - start) / steps, abs=1e-12)
    assert constant(start)(steps) == start


def test_a_ramp_without_steps() -> None:
    with pytest.raises(ArgumentError, match="at least one step"):
        ramp(0, 1, 0)


def test_entropy() -> None:
    assert entropy(torch.tensor([3, 3, 3, 3])) == pytest.approx(math.log(4))
    assert entropy(torch.tensor([0, 7])) == 0
    assert entropy(torch.tensor([1.0, 3.0])) == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))


def test_statistics_of_levels() -> None:
    layer, inputs = learned("granularity(block = 4)", "causal"), layer_inputs(32)
    selection = layer(inputs)["s"]
    found = describe(selection)
    triangle = [(a, b) for a in range(8) for b in range(a + 1)]
    levels = [selection.level[e, g, a, b].item() for e in range(2) for g in range(2) for a, b in triangle]
    assert found.levels == {
        word: pytest.approx(levels.count(number) / len(levels))
        for number, word in enumerate(("skip", "coarse", "medium", "fine"))
    }
    assert 0 < found.evenness < 1 and len(found.density) == 2
    collapsed = describe(learned("granularity(block = 4, levels = [fine])", "causal")(inputs)["s"])
    assert collapsed.evenness == 0 and collapsed.density == (1, 1) and collapsed.levels["fine"] == 1


def test_statistics_of_tokens_blocks_and_keys() -> None:
    inputs = layer_inputs(16)
    selection = learned("importance()", "bidirectional")(inputs)["s"]
    found = describe(selection)
    assert found.columns == pytest.approx((selection.until > 0).double().mean().item())
    assert found.rows == pytest.approx(selection.rows.double().mean().item())
    assert found.density == pytest.approx(tuple(selection.density.mean(0).tolist()))
    whole = describe(learned("topk_blocks(k = 9, block = 4)", "bidirectional")(inputs)["s"])
    assert whole.evenness == pytest.approx(1) and whole.density == (1, 1)
    first = describe(learned("topk_blocks(k = 1, block = 4, forced = [first])", "bidirectional")(inputs)["s"])
    assert first.evenness == 0
    keys = describe(learned("topk_keys(k = 99, tile = 4)", "bidirectional")(inputs)["s"])
    assert keys.evenness == pytest.approx(1)
