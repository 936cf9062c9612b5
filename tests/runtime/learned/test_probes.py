"""Probes: what opening a block that was not chosen would do, against differences of the reference in float64."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from learned_layers import data, layer, pattern, same_layer

STEPS = ["select(s)", "local(5) | select(s)", "select(s) - strided(3) | self"]
LEARN = "learn s = topk_blocks(k = 2, block = 4, forced = [diagonal])"


def losses(found, given):
    """[B, H, N]: of each query."""
    lse = found.lse.masked_fill(found.lse.isneginf(), 0.0)
    return (found.out * given).sum(-1) + lse * given.sum(-1)


def by_gate(losses, shape):
    """[B, H, N] added up over the queries that one gate is of: [B, G, query blocks of 4]."""
    batch, groups, blocks = shape
    padded = torch.nn.functional.pad(losses, (0, 4 * blocks - losses.shape[-1]))
    return padded.view(batch, groups, -1, blocks, 4).sum((2, 4))


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

    def opened(probed, factor):
        """The losses with one more block for each block of queries, under that factor."""
        gate = torch.full(shape, factor, dtype=torch.float64).log().masked_fill(probed < 0, -torch.inf)
        more = replace(
            selection,
            blocks=torch.cat([selection.blocks, probed], -1),
            log_gate=torch.cat([selection.log_gate.detach(), gate], -1),
        )
        found = reference(q, k, v, inputs=inputs, selections={"s": more}, return_selections=True)
        return by_gate(losses(found, given), shape[:3])

    tried, small = 0, 1e-5
    for block in range(selection.key_blocks):
        probed = torch.where((selection.blocks == block).any(-1, keepdim=True), -1, block).expand(shape)
        gate = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
        with_probe = replace(selection, probed=probed, probe_gate=gate)
        found = losses(one(q, k, v, inputs=inputs, selections={"s": with_probe}, return_selections=True), given)
        base = opened(probed, 0.0)
        torch.testing.assert_close(by_gate(found, shape[:3]), base)  # a probe takes no part
        [slope] = torch.autograd.grad(found.sum(), gate)
        # A factor below 0 has no logarithm: of the second order on the one side that there is.
        wanted = (4 * opened(probed, small) - opened(probed, 2 * small) - 3 * base) / (2 * small)
        torch.testing.assert_close(slope[..., 0], wanted.masked_fill(probed[..., 0] < 0, 0.0), atol=1e-6, rtol=1e-6)
        tried += int((slope != 0).sum())
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
        one = layer(
            pattern("select(s)", "causal", "learn s = topk_blocks(k = 2, block = 4, forced = [diagonal])")
        ).train()
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
