"""What a layer reads, against masks that are evaluated pair by pair from the text."""

from __future__ import annotations

import pytest
import torch
from dense_layers import whole_of
from learned_layers import data, layer, pattern

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors.dense import written_out
from patternc.runtime.training import DenseAttention, coverage, density

CASES = [
    ("local(3) | columns(s)", "causal", "learn s = importance()"),
    ("band(1, 1) | axis(s)", "bidirectional", "learn s = importance()"),
    ("local(3) | columns(s)", "causal", "learn s = topk(k = 3)"),
    ("local(6) | select(s)", "causal", "learn s = topk_blocks(k = 3, block = 4)"),
    ("select(s) - strided(3) | local(2)", "causal", "learn s = topk_keys(k = 3, tile = 4)"),
]


def dense_of(tensors, direction: str, lengths, softcap: float | None = None) -> DenseAttention:
    inputs = tensors.inputs(lengths).detached()
    return DenseAttention(tensors.q.detach(), tensors.k.detach(), inputs, Direction(direction), softcap=softcap)


def positional(step: str, n: int) -> torch.Tensor:
    """The terms of a step that are no selection, and what is taken from one, by loops."""
    i, j = torch.arange(n)[:, None], torch.arange(n)
    return {"local(3)": i - j < 3, "band(1, 1)": (i - j).abs() <= 1, "local(6)": i - j < 6, "local(2)": i - j < 2}[step]


@pytest.mark.parametrize("engine", ["compose", "reference"])
@pytest.mark.parametrize(("lengths", "softcap"), [(None, None), ([17, 9], None), ([17, 9], 0.4)])
@pytest.mark.parametrize(("step", "direction", "learn"), CASES)
def test_density_and_coverage(step: str, direction: str, learn: str, lengths, softcap, engine: str) -> None:
    one = layer(pattern(step, direction, learn), engine)
    dense = dense_of(data(17), direction, lengths, softcap)
    selections = one.select(dense.inputs, dense.k, dense.k)
    terms, _ = written_out(selections["s"], dense.inputs, dense.k, dense.k, 4)
    chosen = torch.zeros(2, 4, 17, 17, dtype=torch.bool)
    for term in terms:
        chosen |= (
            term.pairs & (term.log_gate if term.log_gate is not None else torch.zeros(())).isneginf().logical_not()
        )
    narrowed = step.startswith("select(s) - strided(3)")
    if narrowed:
        chosen &= (torch.arange(17)[:, None] - torch.arange(17)) % 3 != 0
    allowed = torch.zeros(2, 1, 17, 17, dtype=torch.bool)
    for element, count in enumerate(lengths or [17, 17]):
        allowed[element, :, :count, :count] = True
    allowed = allowed.tril() if direction == "causal" else allowed
    window = step.split(" | ")[1 if narrowed else 0]
    pairs = (chosen | positional(window, 17)) & allowed
    wanted = pairs.sum((0, 2, 3)) / allowed.sum()
    torch.testing.assert_close(density(one, dense, selections), wanted.double())
    read = (whole_of(dense) * pairs).sum((0, 2, 3)) / sum(lengths or [17, 17])
    torch.testing.assert_close(coverage(one, dense, selections), read)


def test_closed_gates_read_nothing_and_open_ones_all() -> None:
    one = layer(pattern("self | gated local(5)"))
    one.learned.gates[0].hard = True
    one.learned.gates[0].logits.data = torch.tensor([-1.0, 1.0, -1.0, 1.0], dtype=torch.float64)
    dense = dense_of(data(12), "causal", None)
    found = density(one, dense, one.select(dense.inputs, dense.k, dense.k))
    band = sum(min(i + 1, 5) for i in range(12)) / 78
    torch.testing.assert_close(found, torch.tensor([12 / 78, band, 12 / 78, band], dtype=torch.float64))


def test_soft_gates_are_open() -> None:
    one = layer(pattern("self | gated local(5)"))
    dense = dense_of(data(12), "causal", None)
    selections = one.select(dense.inputs, dense.k, dense.k)
    assert (density(one, dense, selections) == density(one, dense, selections).max()).all()
    band = sum(min(i + 1, 5) for i in range(12)) / 78
    torch.testing.assert_close(density(one, dense, selections), torch.full((4,), band, dtype=torch.float64))


def test_levels_cost_what_they_say() -> None:
    """Beside nothing else, the density of levels is that of their selection; all fine, everything is covered."""
    one = layer(pattern("refine(s)", "bidirectional", "learn s = granularity(block = 4)"))
    dense = dense_of(data(16), "bidirectional", None)
    selections = one.select(dense.inputs, dense.k, dense.k)
    wanted = selections["s"].density.mean(0).repeat_interleave(2)
    torch.testing.assert_close(density(one, dense, selections), wanted.double())
    assert (coverage(one, dense, selections) <= 1 + 1e-12).all()
    fine = layer(pattern("refine(s)", "bidirectional", "learn s = granularity(block = 4, levels = [fine])"))
    everything = fine.select(dense.inputs, dense.k, dense.k)
    torch.testing.assert_close(coverage(fine, dense, everything), torch.ones(4, dtype=torch.float64))


def test_a_summary_is_one_key() -> None:
    one = layer(pattern("local(2) | pooled(4)"))
    dense = dense_of(data(12), "causal", None)
    selections = one.select(dense.inputs, dense.k, dense.k)
    pairs = sum(min(i + 1, 2) + (i + 1) // 4 for i in range(12)) / 78
    torch.testing.assert_close(density(one, dense, selections), torch.full((4,), pairs, dtype=torch.float64))
    window = (whole_of(dense) * (torch.arange(12)[:, None] - torch.arange(12) < 2)).sum((0, 2, 3)) / 24
    torch.testing.assert_close(coverage(one, dense, selections), window)
