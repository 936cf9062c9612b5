"""The controls beside a learned pattern: equal density, the same perplexities as the long way, nothing left behind."""

from __future__ import annotations

import re

import pytest
import torch
from learned_models import attached, build

import patternc as pc
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import ArgumentError
from patternc.runtime.learned.pricing.speeds import assume
from patternc.runtime.models.evaluate import perplexity
from patternc.runtime.training import Recipe, compare, train
from patternc.runtime.training.controls import at_density
from patternc.testing.machines import QUICK_DENSE, QUICK_LISTS


@pytest.mark.parametrize("name", ["axis", "tokens", "blocks", "keys", "levels"])
def test_rows_of_equal_density(name):
    model, handle = attached("llama", name)
    ids = torch.randint(3, 97, (60,))
    before = {key: x.clone() for key, x in model.state_dict().items()}
    mine = perplexity(model, ids, window=30).perplexity
    dense, learned, one, other, positional = compare(handle, ids, window=30, seeds=(1, 2))
    assert dense.perplexity == pytest.approx(perplexity(build("llama"), ids, window=30).perplexity, rel=1e-5)
    assert learned.perplexity == pytest.approx(mine, rel=1e-6)
    assert (dense.density, dense.coverage) == (1.0, 1.0)
    for control in (one, other):
        assert control.density == pytest.approx(learned.density, abs=0.08)
        assert 0 < control.coverage < 1
    assert one.perplexity != other.perplexity
    assert positional.density <= learned.density < positional.density + 0.06
    assert all(sum(row.ways.values()) == len(handle.learned) for row in (learned, one, other))
    assert dense.ways == positional.ways == {}
    plain = build("llama")
    sink, w = map(int, re.fullmatch(r"streaming\(sink = (\d+), w = (\d+)\)", positional.name).groups())
    with pc.attach(plain, pc.load("library:streaming")["streaming"].bind(sink=sink, w=w)):
        assert positional.perplexity == pytest.approx(perplexity(plain, ids, window=30).perplexity, rel=1e-5)
    # All is as it was.
    assert perplexity(model, ids, window=30).perplexity == mine
    after = model.state_dict()
    assert before.keys() == after.keys() and all(torch.equal(before[key], x) for key, x in after.items())
    handle.verify()


def test_rows_tell_which_way_selections_ran(monkeypatch):
    """Where one way is made free, the other is not taken."""
    ids = torch.randint(3, 97, (60,))
    for rates, way in ((QUICK_LISTS, "lists"), (QUICK_DENSE, "dense")):
        _model, handle = attached("llama", "blocks")
        with assume(rates):
            _, learned, _ = compare(handle, ids, window=30, seeds=())
        assert learned.ways == {way: len(handle.learned)}


def test_random_gates_are_as_many_and_elsewhere():
    model = build("llama")
    subject = pc.loads("pattern p causal { step local(2) | gated local(9) | gated strided(4) }")["p"].bind()
    handle = pc.attach(model, subject)
    for layer in handle.learned.values():
        for gate in layer.learned.gates:
            gate.hard = True
            gate.logits.data = torch.tensor([3.0, -3.0, -3.0, 3.0, -3.0, -3.0])
    _, learned, *controls, _ = compare(handle, torch.randint(3, 97, (40,)), window=40, seeds=(0, 1, 2))
    assert all(control.density == pytest.approx(learned.density) for control in controls)
    assert any(control.perplexity != learned.perplexity for control in controls)


def test_training_beats_chance():
    """Selectors that were distilled cover more of dense attention than their controls."""
    model, handle = attached("llama", "blocks")
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.q_proj.weight.mul_(4)  # attention that is not almost even
    ids = torch.randint(3, 97, (4 * 48,))
    train(handle, list(ids[None].split(48, 1)), Recipe(steps=40, rate=1e-2, warmup=2))
    _, learned, *controls, _ = compare(handle, ids, window=48, seeds=(0, 1, 2))
    assert learned.coverage > max(control.coverage for control in controls) + 0.02


@pytest.mark.parametrize("n", [7, 60])
@pytest.mark.parametrize("density", [0.0, 0.3, 0.9, 1.0])
@pytest.mark.parametrize("direction", [Direction.CAUSAL, Direction.BIDIRECTIONAL])
def test_the_widest_window_that_fits(direction, density, n):
    def share(one):
        mask = one.mask(n)
        return float(mask.sum()) / (n * (n + 1) / 2 if direction is Direction.CAUSAL else n * n)

    found, stated = at_density(direction, density, n)
    w = int(found.arguments["w"])
    assert stated == pytest.approx(share(found))
    assert stated <= density or w == 2
    if stated < 1:
        assert share(found.bind(w=w + (1 if direction is Direction.CAUSAL else 2))) > density


def test_nothing_learned_has_no_controls():
    handle = pc.attach(build("llama"), pc.load("library:streaming")["streaming"].bind())
    with pytest.raises(ArgumentError, match="nothing learned"):
        compare(handle, [1, 2, 3], window=3)
