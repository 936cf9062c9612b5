"""Distillation: the maps and the loss against the whole matrix, memory, and what it teaches a selector."""

from __future__ import annotations

import pytest
import torch
from selector_layers import layer_inputs, learned
from torch.nn import functional as F

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors import Inputs
from patternc.runtime.training import block_attention, coverage, dense_maps, distillation_loss, tile_attention

TIGHT = {"atol": 1e-12, "rtol": 1e-12}
DIRECTIONS = [Direction.CAUSAL, Direction.BIDIRECTIONAL, Direction.CROSS]


def case(direction: Direction, lengths: list[int] | None = None):
    inputs = layer_inputs(14, 11 if direction is Direction.CROSS else None, lengths=lengths)
    return inputs, torch.randn_like(inputs.query.heads), torch.randn_like(inputs.key.heads)


def dense(q, k, inputs: Inputs, direction: Direction) -> torch.Tensor:
    """[B, Hq, Nq, Nk] by loops over rows."""
    found = torch.zeros(*q.shape[:3], k.shape[2], dtype=torch.float64)
    for element, head, i in torch.cartesian_prod(*map(torch.arange, q.shape[:3])).tolist():
        end = int(inputs.key.counts()[element])
        end = min(end, i + 1) if direction is Direction.CAUSAL else end
        if i < int(inputs.query.counts()[element]):
            row = k[element, head // 2, :end] @ q[element, head, i] * 6**-0.5
            found[element, head, i, :end] = torch.softmax(row, 0)
    return found


@pytest.fixture(params=[1 << 24, 1], ids=["at once", "row by row"])
def table(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense_maps, "LARGEST_TABLE", request.param)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("lengths", [None, [14, 6]])
@pytest.mark.parametrize("pool", ["max", "sum"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_maps_of_blocks(direction: Direction, pool: str, lengths: list[int] | None) -> None:
    inputs, q, k = case(direction, lengths)
    whole = dense(q, k, inputs, direction)
    found = block_attention(q, k, inputs, 4, direction, pool=pool)
    for element, group, a in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(4)).tolist():
        rows = whole[element, 2 * group : 2 * group + 2, 4 * a : 4 * a + 4]
        parts = [rows[..., start : start + 4] for start in range(0, whole.shape[-1], 4)]
        row = torch.stack([(part.amax((1, 2)) if pool == "max" else part.sum((1, 2))).mean() for part in parts])
        torch.testing.assert_close(found[element, group, a], row / row.sum().clamp_min(1e-300), **TIGHT)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_maps_of_tiles(direction: Direction) -> None:
    inputs, q, k = case(direction)
    whole = dense(q, k, inputs, direction)
    found = torch.cat(list(tile_attention(q, k, inputs, 3, direction)), 2)
    for tile in range(5):
        row = whole[:, :, 3 * tile : 3 * tile + 3].sum((1, 2))
        torch.testing.assert_close(found[:, 0, tile], row / row.sum(-1, keepdim=True), **TIGHT)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_loss_of_blocks_is_the_divergence(direction: Direction) -> None:
    selector = learned("topk_blocks(k = 3, block = 4, forced = [first])", direction.value).selectors["s"]
    inputs, q, k = case(direction)
    target, scores = block_attention(q, k, inputs, 4, direction), selector.scorer(inputs, 4, direction)
    losses = []
    for element, group, a in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(4)).tolist():
        free = list(range(1, a + 1 if direction is Direction.CAUSAL else scores.shape[-1]))
        if len(free) > 1:
            p = target[element, group, a, free] / target[element, group, a, free].sum()
            log_p = torch.log_softmax(scores[element, group, a, free], 0)
            losses.append(F.kl_div(log_p, p, reduction="sum"))
    found = distillation_loss(selector, inputs, q, k)
    torch.testing.assert_close(found, torch.stack(losses).mean(), **TIGHT)
    learning = [selector.scorer.query, selector.scorer.key]
    expected = torch.autograd.grad(torch.stack(losses).mean(), learning)
    for one, other in zip(torch.autograd.grad(found, learning), expected, strict=True):
        torch.testing.assert_close(one, other, **TIGHT)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("tile", "forced"), [(1, "[diagonal]"), (1, "[]"), (4, "[diagonal]"), (4, "[first]")])
def test_the_loss_of_keys_is_the_divergence(tile: int, forced: str) -> None:
    selector = learned(f"topk_keys(k = 3, tile = {tile}, forced = {forced})", "causal").selectors["s"]
    inputs, q, k = case(Direction.CAUSAL)
    whole = dense(q, k, inputs, Direction.CAUSAL)
    scores = selector.scorer.scores(selector.scorer.prepare(inputs, tile, Direction.CAUSAL), 0, -(-14 // tile))
    losses = []
    for element in range(2):
        for t in range(-(-14 // tile)):
            last = min(14, tile * t + tile) - (forced == "[diagonal]" and tile == 1)
            free = list(range("first" in forced, last))
            if len(free) > 1:
                p = whole[element, :, tile * t : tile * t + tile, free].sum((0, 1))
                log_p = torch.log_softmax(scores[element, 0, t, free], 0)
                losses.append(F.kl_div(log_p, p / p.sum(), reduction="sum"))
    found = distillation_loss(selector, inputs, q, k)
    torch.testing.assert_close(found, torch.stack(losses).mean(), **TIGHT)
    assert any(gradient.abs().max() > 0 for gradient in torch.autograd.grad(found, [*selector.parameters()]))


def test_a_map_of_its_own_costs_nothing() -> None:
    """A selector whose scores are the logarithms of the map has loss 0."""
    selector = learned("topk_blocks(k = 2, block = 4, forced = [])", "bidirectional").selectors["s"]
    inputs, q, k = case(Direction.BIDIRECTIONAL)
    log_map = block_attention(q, k, inputs, 4, Direction.BIDIRECTIONAL).log()
    selector.scorer.forward = lambda *arguments: log_map
    assert distillation_loss(selector, inputs, q, k).abs() < 1e-12


def test_no_row_has_a_choice() -> None:
    inputs = layer_inputs(4)
    selector = learned("topk_blocks(k = 2, block = 4)", "causal").selectors["s"]
    loss = distillation_loss(selector, inputs, inputs.query.heads, inputs.key.heads)
    assert loss == 0
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in selector.parameters() if parameter.grad is not None)


def test_it_teaches_a_selector_and_leaves_the_model_alone() -> None:
    """The distilled selector finds more of what dense attention reads than the frozen control of the same density, on
    data that it has not seen."""
    width, topics, weight = 12, torch.randn(5, 12), torch.randn(12, 12) * 12**-0.5

    def layer(batch: int) -> tuple[Inputs, torch.Tensor, torch.Tensor]:
        """Tokens of changing topics, each of which attends to tokens of its own."""
        hidden = topics[torch.randint(5, (batch, 8)).repeat_interleave(12, 1)] + 0.3 * torch.randn(batch, 96, width)
        k = (hidden @ weight).view(batch, 96, 2, 6).transpose(1, 2)
        return (
            Inputs.self_attention(hidden.requires_grad_(), k.repeat_interleave(2, 1), k),
            2 * k.repeat_interleave(2, 1),
            k,
        )

    declaration = "topk_blocks(k = 5, block = 4, forced = [diagonal])"
    selector = learned(declaration, "causal").float().selectors["s"]
    control = learned(declaration, "causal", random=1).selectors["s"]
    optimizer = torch.optim.Adam(selector.parameters(), lr=1e-2)
    first = last = 0.0
    for step in range(60):
        inputs, q, k = layer(4)
        loss = distillation_loss(selector, inputs, q, k)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert inputs.query.hidden.grad is None
        first, last = (loss.item() if step == 0 else first), loss.item()
    assert last < 0.8 * first
    inputs, q, k = layer(16)
    mass = block_attention(q, k, inputs, 4, Direction.CAUSAL, pool="sum")
    learned_share, control_share = (coverage(one(inputs), mass).mean().item() for one in (selector, control))
    assert 0 < control_share < learned_share - 0.03 < 1


def test_coverage_is_the_share_that_is_read() -> None:
    inputs, q, k = case(Direction.BIDIRECTIONAL)
    mass = block_attention(q, k, inputs, 4, Direction.BIDIRECTIONAL, pool="sum")
    selection = learned("topk_blocks(k = 2, block = 4)", "bidirectional")(inputs)["s"]
    chosen = torch.zeros_like(mass).scatter(-1, selection.blocks, 1.0)
    torch.testing.assert_close(coverage(selection, mass), (chosen * mass).sum(-1).mean(-1), **TIGHT)


@pytest.mark.parametrize(
    ("declaration", "random", "words"),
    [
        ("importance()", None, "does not score pairs"),
        ("topk(k = 2)", None, "does not score pairs"),
        ("topk_blocks(k = 2)", 0, "RandomBlocks learns nothing"),
        ("topk_blocks(k = 2, scores = pooled)", None, "MeanScorer learns nothing"),
    ],
)
def test_refusals(declaration: str, random: int | None, words: str) -> None:
    inputs, q, k = case(Direction.CAUSAL)
    with pytest.raises(ArgumentError, match=words):
        distillation_loss(learned(declaration, "causal", random=random).selectors["s"], inputs, q, k)
    with pytest.raises(ArgumentError, match="choose one of max, sum"):
        block_attention(q, k, inputs, 4, Direction.CAUSAL, pool="mean")
