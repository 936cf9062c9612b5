"""Probes: what opening a block that was not chosen would do, against differences of the reference in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from learned_layers import data, layer, pattern, same_layer

STEPS = ["select(s)", "local(5) | select(s)", "select(s) - strided(3) | self"]
LEARN = "learn s = topk_blocks(k = 2, block = 4)"


def loss_of(found, given):
    lse = found.lse.masked_fill(found.lse.isneginf(), 0.0)
    return (found.out * given).sum() + (lse * given.sum(-1)).sum()


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("lengths", [None, [18, 11]])
def test_the_gradient_of_a_gate_of_0(step: str, lengths) -> None:
    one = layer(pattern(step, "causal", LEARN))
    tensors, given = data(18), torch.randn(2, 4, 18, 6, dtype=torch.float64)
    inputs = tensors.inputs(lengths)
    q, k, v = (x.detach() for x in (tensors.q, tensors.k, tensors.v))
    [selection] = one.select(inputs, k, v).values()
    # Every block that is not read, one after the other.
    shape = (*selection.blocks.shape[:3], 1)
    reference = same_layer(one, "reference")
    base = loss_of(reference(q, k, v, inputs=inputs, selections={"s": selection}, return_selections=True), given)
    tried = 0
    for block in range(selection.key_blocks):
        probed = torch.where((selection.blocks == block).any(-1, keepdim=True), -1, block).expand(shape)
        gate = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        with_probe = replace(selection, probed=probed, probe_gate=gate)
        found = one(q, k, v, inputs=inputs, selections={"s": with_probe}, return_selections=True)
        torch.testing.assert_close(loss_of(found, given), base)  # a probe takes no part
        [slope] = torch.autograd.grad(loss_of(found, given), gate)
        for element, group, a in torch.cartesian_prod(*map(torch.arange, shape[:3])).tolist():
            if probed[element, group, a, 0] < 0:
                continue
            small = 1e-6
            opened = torch.full_like(selection.log_gate[..., :1], -torch.inf)
            opened[element, group, a] = torch.log(torch.tensor(small, dtype=torch.float64))
            more = replace(
                selection, blocks=torch.cat([selection.blocks, probed], -1),
                log_gate=torch.cat([selection.log_gate.detach(), opened], -1),
            )  # fmt: skip
            up = loss_of(reference(q, k, v, inputs=inputs, selections={"s": more}, return_selections=True), given)
            torch.testing.assert_close(slope[element, group, a, 0], (up - base) / small, atol=1e-4, rtol=1e-4)
            tried += int(slope[element, group, a, 0] != 0)
    assert tried > 10


def test_probes_are_drawn_among_what_is_not_chosen() -> None:
    one = layer(pattern("select(s)", "causal", LEARN)).train()
    selector = one.learned.selectors["s"]
    inputs = data(40).inputs()
    assert selector(inputs).probed is None
    selector.probes = 3
    found = selector(inputs)
    for row, chosen in zip(found.probed.flatten(0, 2), found.blocks.flatten(0, 2), strict=True):
        drawn = row[row >= 0].tolist()
        assert len(set(drawn)) == len(drawn) and not set(drawn) & set(chosen.tolist())
    past = torch.arange(10)[:, None].expand(10, 3)
    assert (found.probed[0, 0] <= past).all()
    assert (found.probed[0, 0, 9] >= 0).all() and (found.probed[0, 0, :2] < 0).all()
    assert not torch.equal(found.probed, selector(inputs).probed)
    assert selector.eval()(inputs).probed is None


def test_a_block_that_was_left_out_learns_its_worth() -> None:
    """The score of a block that holds what the task wants rises although none chose it; without probes it does not."""
    slopes = []
    for probes in (0, 10):
        torch.manual_seed(0)
        one = layer(pattern("select(s)", "causal", "learn s = topk_blocks(k = 3, block = 4)")).train()
        selector = one.learned.selectors["s"]
        selector.probes = probes
        scores = torch.zeros(1, 2, 5, 5, dtype=torch.float64)
        scores[..., 1] = -5.0  # block 1 is chosen by none but its own queries
        scores.requires_grad_()
        selector.scorer.forward = lambda *arguments, scores=scores: scores
        tensors = data(20, batch=1)
        v = torch.zeros(1, 2, 20, 6, dtype=torch.float64)
        v[:, :, 4:8] = 1.0
        (-one(tensors.q, tensors.k, v, inputs=tensors.inputs()).sum()).backward()
        slopes.append(scores.grad[..., 3:, 1].sum())  # rows with a choice
    without, with_probes = slopes
    assert with_probes < 0 <= without  # a descent raises the score
