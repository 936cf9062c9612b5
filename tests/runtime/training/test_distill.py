"""Distillation: the maps and the loss against the whole matrix, memory, and what it teaches a selector."""

from __future__ import annotations

import pytest
import torch
from dense_layers import DIRECTIONS, case, whole_of
from largest import Largest
from selector_layers import layer_inputs, learned
from torch.nn import functional as F

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors import granularity
from patternc.runtime.selectors.scoring.indexer import Indexer
from patternc.runtime.training import DenseAttention, block_attention, dense_maps, distillation_loss, tile_attention

TIGHT = {"atol": 1e-12, "rtol": 1e-12}


@pytest.fixture(params=[1 << 24, 1], ids=["at once", "row by row"])
def table(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense_maps, "LARGEST_TABLE", request.param)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("lengths", [None, [14, 6]])
@pytest.mark.parametrize("pool", ["max", "sum"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_maps_of_blocks(direction: Direction, pool: str, lengths: list[int] | None) -> None:
    dense = case(direction, lengths)
    whole = whole_of(dense)
    found = block_attention(dense, 4, pool=pool)
    for element, group, a in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(4)).tolist():
        rows = whole[element, 2 * group : 2 * group + 2, 4 * a : 4 * a + 4]
        parts = [rows[..., start : start + 4] for start in range(0, whole.shape[-1], 4)]
        row = torch.stack([(part.amax((1, 2)) if pool == "max" else part.sum((1, 2))).mean() for part in parts])
        torch.testing.assert_close(found[element, group, a], row / row.sum().clamp_min(1e-300), **TIGHT)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_maps_of_tiles(direction: Direction) -> None:
    dense = case(direction)
    whole = whole_of(dense)
    found = torch.cat(list(tile_attention(dense, 3)), 2)
    for tile in range(5):
        row = whole[:, :, 3 * tile : 3 * tile + 3].sum((1, 2))
        torch.testing.assert_close(found[:, 0, tile], row / row.sum(-1, keepdim=True), **TIGHT)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_loss_of_blocks_is_the_divergence(direction: Direction) -> None:
    selector = learned("topk_blocks(k = 3, block = 4, forced = [first])", direction.value).selectors["s"]
    dense = case(direction)
    target, scores = block_attention(dense, 4), selector.scorer(dense.inputs, 4, direction)
    losses = []
    for element, group, a in torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(4)).tolist():
        free = list(range(1, a + 1 if direction is Direction.CAUSAL else scores.shape[-1]))
        if len(free) > 1:
            p = target[element, group, a, free] / target[element, group, a, free].sum()
            log_p = torch.log_softmax(scores[element, group, a, free], 0)
            losses.append(F.kl_div(log_p, p, reduction="sum"))
    found = distillation_loss(selector, dense)
    torch.testing.assert_close(found, torch.stack(losses).mean(), **TIGHT)
    learning = [selector.scorer.query, selector.scorer.key]
    expected = torch.autograd.grad(torch.stack(losses).mean(), learning)
    for one, other in zip(torch.autograd.grad(found, learning), expected, strict=True):
        torch.testing.assert_close(one, other, **TIGHT)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("tile", "forced"), [(1, "[diagonal]"), (1, "[]"), (4, "[diagonal]"), (4, "[first]")])
def test_the_loss_of_keys_is_the_divergence(tile: int, forced: str) -> None:
    selector = learned(f"topk_keys(k = 3, tile = {tile}, forced = {forced})", "causal").selectors["s"]
    dense = case(Direction.CAUSAL)
    whole = whole_of(dense)
    scores = selector.scorer.scores(selector.scorer.prepare(dense.inputs, tile, Direction.CAUSAL), 0, -(-14 // tile))
    losses = []
    for element in range(2):
        for t in range(-(-14 // tile)):
            last = min(14, tile * t + tile) - (forced == "[diagonal]" and tile == 1)
            free = list(range("first" in forced, last))
            if len(free) > 1:
                p = whole[element, :, tile * t : tile * t + tile, free].sum((0, 1))
                log_p = torch.log_softmax(scores[element, 0, t, free], 0)
                losses.append(F.kl_div(log_p, p / p.sum(), reduction="sum"))
    found = distillation_loss(selector, dense)
    torch.testing.assert_close(found, torch.stack(losses).mean(), **TIGHT)
    assert any(gradient.abs().max() > 0 for gradient in torch.autograd.grad(found, [*selector.parameters()]))


def test_a_map_of_its_own_costs_nothing() -> None:
    """A selector whose scores are the logarithms of the map has loss 0."""
    selector = learned("topk_blocks(k = 2, block = 4, forced = [])", "bidirectional").selectors["s"]
    dense = case(Direction.BIDIRECTIONAL)
    log_map = block_attention(dense, 4).log()
    selector.scorer.forward = lambda *arguments: log_map
    assert distillation_loss(selector, dense).abs() < 1e-12


def test_no_row_has_a_choice() -> None:
    inputs = layer_inputs(4)
    selector = learned("topk_blocks(k = 2, block = 4)", "causal").selectors["s"]
    dense = DenseAttention(inputs.query.heads, inputs.key.heads, inputs, Direction.CAUSAL)
    loss = distillation_loss(selector, dense)
    assert loss == 0
    loss.backward()
    assert all(parameter.grad.isfinite().all() for parameter in selector.parameters() if parameter.grad is not None)


N = 256


@pytest.mark.parametrize("direction", [Direction.CAUSAL, Direction.BIDIRECTIONAL])
@pytest.mark.parametrize(
    "declaration",
    [
        "importance()",
        "topk(k = 64)",
        "topk_blocks(k = 4, block = 8)",
        "topk_keys(k = 16, tile = 8)",
        "topk_keys(k = 16, tile = 1)",
        "granularity(block = 8)",
    ],
)
def test_no_table_of_every_query_by_every_key_is_made(
    monkeypatch: pytest.MonkeyPatch, declaration: str, direction: Direction
) -> None:
    """Forward and backward, and it is the limit that keeps it small: of 8 rows of 4 heads, of 2 elements."""
    selector = learned(declaration, direction.value).selectors["s"]
    if "keys" in declaration:
        selector.scorer = Indexer(12, heads=2, head_dim=4).double()
    dense = case(direction, n=N)
    found = []
    for limit in (8 * 4 * N, dense_maps.LARGEST_TABLE):
        monkeypatch.setattr(dense_maps, "LARGEST_TABLE", limit)
        monkeypatch.setattr(granularity, "LARGEST_TABLE", limit)
        with Largest() as largest:
            distillation_loss(selector, dense).backward()
        found.append(largest.found)
    assert N < found[0] <= N * N // 4
    assert found[1] == 2 * 4 * N * N


@pytest.mark.parametrize(
    ("declaration", "random", "words"),
    [
        ("importance()", 0, "RandomImportance learns nothing"),
        ("topk_blocks(k = 2)", 0, "RandomBlocks learns nothing"),
        ("topk_blocks(k = 2, scores = pooled)", None, "MeanScorer learns nothing"),
    ],
)
def test_refusals(declaration: str, random: int | None, words: str) -> None:
    dense = case(Direction.CAUSAL)
    with pytest.raises(ArgumentError, match=words):
        distillation_loss(learned(declaration, "causal", random=random).selectors["s"], dense)
    with pytest.raises(ArgumentError, match="choose one of max, sum"):
        block_attention(dense, 4, pool="mean")
