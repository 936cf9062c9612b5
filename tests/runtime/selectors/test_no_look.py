"""Selections and their lists are made on a device without a look at a value, and without a copy to the device: either
would stop its stream. On the device ``meta`` no tensor has a value: a look at one raises."""

from __future__ import annotations

import pytest
import torch
from learned_layers import HEAD_DIM, HEADS, KEY_HEADS, WIDTH, layer, pattern
from torch.overrides import TorchFunctionMode

from patternc.runtime.learned.bind import Tokens, bind_lists
from patternc.runtime.selectors import Inputs, hard_topk, soft_topk
from patternc.runtime.selectors.relaxations import threshold

RELAXES = ("soft_topk", "lapsum", "sparsek")
SUBJECTS = {
    "importance": ("local(3) | columns(s)", "learn s = importance()"),
    "granularity": ("refine(s)", "learn s = granularity(block = 16)"),
    "levels": ("refine(s)", "learn s = granularity(block = 16, levels = [skip, coarse, fine])"),
    "pooled scores": ("select(s)", "learn s = topk_blocks(k = 3, block = 16, scores = pooled)"),
    **{
        f"{name}, {relax}": (step, f"learn s = {name}({arguments}, relax = {relax})")
        for relax in RELAXES
        for name, arguments, step in (
            ("topk", "k = 3", "local(3) | columns(s)"),
            ("topk_blocks", "k = 3, block = 16", "local(3) | select(s)"),
            ("topk_keys", "k = 4, tile = 16", "select(s)"),
        )
    },
}
GATED = {
    "gates, summaries and tables": ("self | gated local(3) | gated pooled(4) | random(2, 16)", ""),
    "one after the other": (
        "gated select(s) | columns(t)",
        "learn s = topk_blocks(k = 3, block = 8) learn t = topk(k = 3)",
    ),
}


class AllOnTheDevice(TorchFunctionMode):
    """No tensor is made of numbers of the host, and none of the host's takes part."""

    COPIES = (torch.tensor, torch.as_tensor, torch.asarray, torch.from_numpy, torch.Tensor.new_tensor)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        assert func not in self.COPIES, f"{func.__name__} is copied to the device, and waited for"
        found = func(*args, **(kwargs or {}))
        for x in (*args, *(kwargs or {}).values(), found):
            assert not isinstance(x, torch.Tensor) or x.device.type == "meta", (func, x.device)
        return found


def select(one, tokens: int = 100):
    """What is selected of a batch on the device ``meta``, and its lists."""
    q, k, hidden = (
        torch.empty(2, *shape, dtype=torch.float64, device="meta", requires_grad=True)
        for shape in ((HEADS, tokens, HEAD_DIM), (KEY_HEADS, tokens, HEAD_DIM), (tokens, WIDTH))
    )
    inputs = Inputs.self_attention(hidden, q, k, torch.empty(2, dtype=torch.int64, device="meta"))
    with AllOnTheDevice():
        selections = one.select(inputs, k, k)
        given = Tokens(k, k, inputs.query.counts(), inputs.key.counts())
        return selections, bind_lists(one.program.parts, selections, given, 0, tokens)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize("name", [*SUBJECTS, *GATED])
def test_nothing_is_looked_at(name: str, direction: str, training: bool) -> None:
    step, learn = {**SUBJECTS, **GATED}[name]
    one = layer(pattern(step, direction, learn)).to("meta").train(training)
    if training and name.startswith("topk_blocks"):
        one.learned.selectors["s"].probes = 2
    with torch.set_grad_enabled(training):
        selections, lists = select(one)
    assert lists and all(each.entries.device.type == "meta" for each in lists)
    if training and name in SUBJECTS:  # what is differentiable was made, not left out
        gates = [selections["s"].log_gate if hasattr(selections["s"], "log_gate") else selections["s"].column_gate]
        assert all(gate.requires_grad for gate in gates)


@pytest.mark.parametrize("name", [name for name in SUBJECTS if "indexer" not in name and name != "levels"])
def test_nor_by_controls(name: str) -> None:
    step, learn = SUBJECTS[name]
    assert select(layer(pattern(step, "causal", learn), random=3).to("meta"))[1]


def test_the_device_would_tell() -> None:
    """The oracle of this file: looks and copies are found."""
    x = torch.empty(3, device="meta")
    with pytest.raises(RuntimeError, match="meta"):
        bool(x.isfinite().all())
    for copied in (lambda: torch.tensor(1.0, device="meta"), lambda: x.new_tensor([1]), lambda: x + torch.ones(3)):
        with pytest.raises(AssertionError), AllOnTheDevice():
            copied()


def test_tensors_of_k_and_temperature_stay_on_the_device() -> None:
    scores, k = torch.empty(2, 9, device="meta"), torch.ones(2, 1, dtype=torch.int64, device="meta")
    with AllOnTheDevice():
        assert soft_topk(scores, k[:, 0], temperature=k[:, 0]).shape == hard_topk(scores, k[:, 0]).shape == (2, 9)


@pytest.mark.parametrize("temperature", [0.01, 1.0])
@pytest.mark.parametrize("n", [2, 37, 4096])
def test_unseen_rounds_are_enough(n: int, temperature: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as a device makes: rows add up to k."""
    monkeypatch.setattr(threshold, "ROUNDS", threshold.UNSEEN)
    normal = torch.randn(3, n, dtype=torch.float64)
    rows = torch.cat([normal, normal.round(), normal.tan(), torch.linspace(-1, 1, n).double()[None], 1e4 * normal])
    for k in (1e-3, 1.0, n / 3, n - 1e-3):
        p = soft_topk(rows, k, temperature=temperature)
        assert (p.sum(-1) - k).abs().max() < 1e-10 * max(1, k)
