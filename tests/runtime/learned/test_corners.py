"""A learned layer where shapes are empty, and where torch would compute in other data types."""

from __future__ import annotations

import pytest
import torch
from learned_layers import close, data, layer, pattern

LEARN = {
    "blocks": ("topk_blocks(k = 3, block = 4)", "self | select(hot) | pooled(4)"),
    "keys": ("topk_keys(k = 6, tile = 8)", "self | select(hot)"),
    "rows": ("importance(budget = 30%)", "self | axis(hot) | random(1, 4, 3)"),
    "levels": ("granularity(block = 4, levels = [skip, coarse, medium, fine])", "columns(first(1)) | refine(hot)"),
    "tokens": ("topk(k = 5)", "self | gated columns(hot)"),
}


def learned(name, **more):
    selector, step = LEARN[name]
    direction = "bidirectional" if name == "rows" else "causal"
    return layer(pattern(step, direction, f"learn hot = {selector}"), **more)


@pytest.mark.parametrize("engine", ["compose", "reference"])
@pytest.mark.parametrize("name", LEARN)
def test_an_empty_batch_runs_forward_and_backward(name: str, engine: str) -> None:
    """The last step of an epoch, in a process that got nothing."""
    subject, given = learned(name, engine=engine), data(33, batch=0)
    for training in (False, True):
        out = subject.train(training)(given.q, given.k, given.v, hidden=given.hidden)
        assert out.shape == given.q.shape
        gradients = torch.autograd.grad(out.sum(), [given.q, *subject.parameters()], allow_unused=True)
        assert all(each is None or not each.any() for each in gradients)


@pytest.mark.parametrize("name", ["keys", "tokens"])
def test_autocast_chooses_as_without_it(name: str) -> None:
    """Scores in bfloat16 are equal by the dozen: another choice, and other gradients."""
    subject, given = learned(name, dtype=torch.float32), data(64, dtype=torch.float32)
    wanted = subject(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = subject(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
    assert torch.equal(found.selections["hot"].until, wanted.selections["hot"].until)
    slopes = (torch.autograd.grad(each.out.square().sum(), [*subject.parameters()]) for each in (found, wanted))
    for mine, theirs in zip(*slopes, strict=True):
        close(mine, theirs, 1e-5)
