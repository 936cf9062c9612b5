"""Frozen random controls: the same interface and density, nothing learned, nothing read."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from selector_layers import SHAPE, layer_inputs, learned, pairs_of

import patternc as pc
from patternc.compiler.seeded import _hash, mixed  # the hash of seeded tables: the same rounds
from patternc.runtime.selectors import Learned
from patternc.runtime.selectors.scoring.control import level_rates, uniform

DECLARATIONS = {
    "importance(budget = 30%)": 0.3,
    "topk(k = 3)": None,
    "topk_blocks(k = 3, block = 4)": None,
    "topk_keys(k = 4, tile = 4)": None,
    "granularity(block = 4, budget = 40%)": 0.4,
}


@pytest.mark.parametrize("direction", ["causal", "bidirectional", "cross"])
@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_it_reads_nothing_learns_nothing_and_stays(declaration: str, direction: str) -> None:
    inputs, others = (layer_inputs(24, 24 if direction == "cross" else None) for _ in range(2))
    layer = learned(declaration, direction, random=5).train()
    first, second = layer(inputs)["s"], layer(others)["s"]
    assert type(first) is type(learned(declaration, direction)(inputs)["s"])
    assert list(layer.parameters()) == [] and not first.density.requires_grad
    assert torch.equal(pairs_of(first, inputs), pairs_of(second, others))
    another = learned(declaration, direction, random=6)(inputs)["s"]
    assert not torch.equal(pairs_of(first, inputs), pairs_of(another, inputs))


@pytest.mark.parametrize("declaration", [each for each, budget in DECLARATIONS.items() if budget is None])
@pytest.mark.parametrize("direction", ["causal", "bidirectional", "cross"])
def test_of_a_fixed_number_it_takes_as_many_as_the_learned(declaration: str, direction: str) -> None:
    inputs = layer_inputs(24, 24 if direction == "cross" else None)
    control, trained = (learned(declaration, direction, random=seed)(inputs)["s"] for seed in (5, None))
    if "block" in declaration and direction == "causal":
        # Which past blocks are taken says how many pairs: their number is the same.
        control, trained = (one.blocks.ge(0).sum() for one in (control, trained))
        assert control == trained
    elif "keys" not in declaration or direction != "bidirectional":
        assert control.density.mean() == pytest.approx(trained.density.mean().item(), abs=1e-12)


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize(("declaration", "budget"), [pair for pair in DECLARATIONS.items() if pair[1] is not None])
def test_it_meets_its_budget(declaration: str, budget: float, direction: str) -> None:
    inputs = layer_inputs(400, batch=1)
    found = [learned(declaration, direction, random=seed)(inputs)["s"].density.mean() for seed in range(12)]
    assert torch.stack(found).mean().item() == pytest.approx(budget, abs=0.03)


def test_the_hash_is_that_of_seeded_tables() -> None:
    places = torch.arange(50)
    expected = (_hash(3, 7, places.numpy().astype("uint64")) >> 11) * 2.0**-53
    assert uniform(3, torch.tensor(7), places).numpy() == pytest.approx(expected, abs=1e-15)
    drawn = uniform(11, torch.arange(200)[:, None], torch.arange(200))
    assert 0.49 < drawn.mean() < 0.51 and drawn.min() > 0 and drawn.max() < 1


@pytest.mark.parametrize("budget", [0.05, 0.25, 0.3, 0.9])
def test_rates_of_levels(budget: float) -> None:
    prices = [0.0, 1 / 32, 1 / 4, 1.0]
    rates = level_rates(prices, budget)
    assert sum(rates) == pytest.approx(1) and min(rates) > 0
    assert sum(rate * price for rate, price in zip(rates, prices, strict=True)) == pytest.approx(budget)
    assert level_rates([1.0, 1.0], 0.2) == [0.5, 0.5]


def test_the_gates_of_a_control_are_frozen() -> None:
    pattern = pc.loads("pattern p causal { step self | gated local(3) }")["p"].bind()
    assert all(parameter.requires_grad for parameter in Learned(pattern, SHAPE).parameters())
    assert not any(parameter.requires_grad for parameter in Learned(pattern, SHAPE, random=0).parameters())


@pytest.mark.parametrize(("state", "first"), [(0, 16294208416658607535), (1234567, 6457827717110365317)])
def test_a_round_is_the_published_one(state: int, first: int) -> None:
    """The first numbers of SplitMix64 from these seeds."""
    assert int(mixed(np.asarray([state], dtype=np.uint64))[0]) == first
