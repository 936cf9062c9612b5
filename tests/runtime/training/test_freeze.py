"""Gates decided and written back: the plan is plain text, proves, and computes what the model with its gates does."""

from __future__ import annotations

import re

import pytest
import torch
from learned_models import attached, build

import patternc as pc
from patternc.compiler.freeze import NotFrozen
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.formatting.format import formatted
from patternc.runtime.errors import ArgumentError, SavedError
from patternc.runtime.training.freeze import freeze_saved

PATTERN = """
pattern gates(w: int = 4) causal {
    step self | gated local(w) | gated strided(3) | columns(first(2))
    prove nonempty
    prove causal
    prove keys <= n
}
pattern window causal { step local(3) }
pattern steps causal {
    step near = gated local(3) | self
    step far = gated strided(4)
    prove causal
    prove causal <= causal
}
"""
TOKENS = torch.randint(3, 97, (2, 21), generator=torch.Generator().manual_seed(0))


def decided(handle, seed: int = 0, *, hard: bool = True) -> None:
    generator = torch.Generator().manual_seed(seed)
    for layer in handle.learned.values():
        for gate in layer.learned.gates:
            gate.hard = hard
            gate.logits.data = torch.randn(gate.logits.shape, generator=generator).to(gate.logits.dtype)


def frozen_logits(text: str, name: str) -> torch.Tensor:
    model = build("llama", torch.float64)
    pc.attach(model, pc.loads(text).plans[name])
    with torch.no_grad():
        return model(TOKENS).logits


@pytest.mark.parametrize("name", ["gates", "steps"])
def test_a_frozen_plan_is_the_learned_model(tmp_path, name):
    model = build("llama", torch.float64)
    handle = pc.attach(model, pc.loads(PATTERN)[name].bind())
    decided(handle)
    handle.save(tmp_path)
    found = freeze_saved(tmp_path)
    assert found.rounded == ()
    with torch.no_grad():
        wanted = model(TOKENS).logits
    torch.testing.assert_close(frozen_logits(found.text, f"{name}_frozen"), wanted, atol=1e-10, rtol=1e-9)
    assert not re.search(r"\bgated\b|\blearn ", found.text)
    module = pc.loads(found.text)
    assert formatted(Source("found.pat", found.text)) == found.text
    for pattern in module.values():
        assert all(result.status in (pc.Status.PROVED, pc.Status.CHECKED) for result in pc.check(pattern))


def test_layers_and_heads_with_equal_gates_share_a_pattern(tmp_path):
    model = build("llama", torch.float64)
    handle = pc.attach(model, pc.loads(PATTERN)["gates"].bind(w=5))
    for index, layer in handle.learned.items():
        for number, gate in enumerate(layer.learned.gates):
            gate.hard = True
            opened = torch.tensor([index == 1 or (number == 0 and head < 2) for head in range(6)])
            gate.logits.data = torch.where(opened, 1.0, -1.0).double()
    handle.save(tmp_path)
    text = freeze_saved(tmp_path).text
    lines = [line.strip() for line in text.splitlines() if line.strip().startswith("layers")]
    assert [" ".join(line.split()) for line in lines] == [
        "layers 0, 2 heads 0..1 : gates_0",
        "layers 0, 2 heads 2..5 : gates_1",
        "layers 1 : gates_2",
    ]
    assert text.count("pattern gates_") == 3


def test_layers_of_a_plan_that_learned_nothing_stay(tmp_path):
    plan = pc.loads(f"{PATTERN}\nplan mixed {{ layers 0, 2 : gates(w = 3) layers 1 heads 0..3 : window }}").plans[
        "mixed"
    ]
    model = build("llama", torch.float64)
    handle = pc.attach(model, plan)
    decided(handle, 3)
    handle.save(tmp_path)
    with torch.no_grad():
        wanted = model(TOKENS).logits
    found = freeze_saved(tmp_path)
    torch.testing.assert_close(frozen_logits(found.text, "mixed_frozen"), wanted, atol=1e-10, rtol=1e-9)


def test_soft_gates_are_rounded_and_each_is_named(tmp_path):
    model = build("llama", torch.float64)
    handle = pc.attach(model, pc.loads(PATTERN)["gates"].bind())
    decided(handle, hard=False)
    handle.save(tmp_path)
    found = freeze_saved(tmp_path, threshold=0.4)
    gates = handle.learned[1].learned.gates[0].logits.detach()
    assert len(found.rounded) == 3 * 2 * 6
    [one] = [each for each in found.rounded if (each.layer, each.head, each.gate) == (1, 2, "gated local(w)")]
    assert one.value == pytest.approx(float(torch.sigmoid(gates[2])))
    assert one.is_open == (one.value >= 0.4) and one.distance == abs(one.value - one.is_open)
    assert pc.loads(found.text).plans["gates_frozen"].bound.assignments


def test_gates_near_0_and_1_are_off_by_little(tmp_path):
    """What rounding costs is of the size of the distance, where gated terms share no pair."""
    text = "pattern p causal { step self | gated local(4) | gated (strided(3) - local(4)) }"
    errors = []
    for scale in (4.0, 8.0, 16.0):
        model = build("llama", torch.float64)
        handle = pc.attach(model, pc.loads(text)["p"].bind())
        decided(handle, hard=False)
        for layer in handle.learned.values():
            for gate in layer.learned.gates:
                gate.logits.data = scale * gate.logits.data.sign()
        handle.save(tmp_path / str(scale))
        found = freeze_saved(tmp_path / str(scale))
        with torch.no_grad():
            errors.append(float((frozen_logits(found.text, "p_frozen") - model(TOKENS).logits).abs().max()))
        assert max(each.distance for each in found.rounded) == pytest.approx(1 / (1 + 2.718281828459045**scale))
    assert errors[0] > 10 * errors[1] > 100 * errors[2] > 0


@pytest.mark.parametrize("name", ["blocks", "mixed", "axis"])
def test_what_depends_on_the_input_is_refused(tmp_path, name):
    _model, handle = attached("llama", name)
    handle.save(tmp_path)
    with pytest.raises(NotFrozen, match=r"layer 0, heads \[0, .*chooses from the input, anew for each text"):
        freeze_saved(tmp_path)


def test_a_selection_that_every_head_closed_is_gone(tmp_path):
    text = "pattern p causal { learn b = topk_blocks(k = 3, block = 4) step local(3) | gated select(b) | pooled(4) }"
    model = build("llama", torch.float64)
    handle = pc.attach(model, pc.loads(text)["p"].bind())
    for layer in handle.learned.values():
        layer.learned.gates[0].hard = True
        layer.learned.gates[0].logits.data = -torch.ones(6).double()
    handle.save(tmp_path)
    with torch.no_grad():
        wanted = model(TOKENS).logits
    found = freeze_saved(tmp_path)
    assert "topk" not in found.text and "pooled(4)" in found.text
    torch.testing.assert_close(frozen_logits(found.text, "p_frozen"), wanted, atol=1e-10, rtol=1e-9)


def test_refusals(tmp_path):
    with pytest.raises(SavedError, match="is missing"):
        freeze_saved(tmp_path / "nothing")
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        freeze_saved(tmp_path, threshold=1.0)
