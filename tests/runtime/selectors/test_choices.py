"""What each selector chooses, against loops over the scores that its scorer gives."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from selector_layers import SHAPE, allowed, layer_inputs, learned, pairs_of
from torch import Tensor

GROUPS = {"head": 4, "group": 2, "layer": 1}
DIRECTIONS = ["causal", "bidirectional", "cross"]


def inputs_for(direction: str, draw_lengths: list[int] | None = None):
    nk = 19 if direction == "cross" else None
    keys = None if draw_lengths is None or nk is None else [12, 19]
    return layer_inputs(17, nk, lengths=draw_lengths, key_lengths=keys)


def best(scores: Tensor, among: list[int], k: int) -> set[int]:
    return set(sorted(among, key=lambda place: (-scores[place].item(), place))[: max(0, k)])


@pytest.mark.parametrize("lengths", [None, [17, 9]])
@pytest.mark.parametrize("per", GROUPS)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_topk(direction: str, per: str, lengths: list[int] | None) -> None:
    selector, inputs = learned(f"topk(k = 4, per = {per})", direction).selectors["s"], inputs_for(direction, lengths)
    selection, may = selector(inputs), allowed(inputs, direction)
    found, scores = pairs_of(selection, inputs), selector.scorer(inputs)
    assert scores.shape[1] == GROUPS[per]
    for element, head, i in positions(found):
        keys = may[element, 0, i].nonzero().flatten().tolist()
        group = head // (SHAPE.query_heads // GROUPS[per])
        assert chosen(found, element, head, i) == best(scores[element, group], keys, 4)
    check_density(selection, found, may)


@pytest.mark.parametrize("lengths", [None, [17, 9]])
@pytest.mark.parametrize("forced", ["[]", "[first]", "[diagonal]", "[first, diagonal]"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_topk_blocks(direction: str, forced: str, lengths: list[int] | None) -> None:
    if direction == "cross" and "diagonal" in forced:
        return  # refused, and tested where refusals are
    declaration = f"topk_blocks(k = 3, block = 4, forced = {forced})"
    selector, inputs = learned(declaration, direction).selectors["s"], inputs_for(direction, lengths)
    selection, may = selector(inputs), allowed(inputs, direction)
    found, scores = pairs_of(selection, inputs), selector.scorer(inputs, 4, selector.direction)
    assert torch.equal(found[:, ::2], found[:, 1::2])  # one choice for the heads of a key head
    for element, head, i in positions(found):
        if head % 2:
            continue
        a = i // 4
        keys = may[element, 0, i].nonzero().flatten().tolist()
        # What the block may see, not what its first query may.
        last = may[element, 0, 4 * a : 4 * a + 4].any(0).nonzero().flatten().tolist()
        blocks = sorted({j // 4 for j in last})
        must = {b for b in blocks if (b == 0 and "first" in forced) or (b == a and "diagonal" in forced)}
        others = [b for b in blocks if b not in must]
        picked = must | best(scores[element, head // 2, a], others, 3 - len(must))
        assert chosen(found, element, head, i) == {j for j in keys if j // 4 in picked}
    check_density(selection, found, may)


@pytest.mark.parametrize("lengths", [None, [17, 9]])
@pytest.mark.parametrize("forced", ["[]", "[first]", "[diagonal]", "[first, diagonal]"])
@pytest.mark.parametrize("tile", [1, 4, 32])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_topk_keys(direction: str, tile: int, forced: str, lengths: list[int] | None) -> None:
    if direction == "cross" and "diagonal" in forced:
        return
    declaration = f"topk_keys(k = 5, tile = {tile}, forced = {forced})"
    selector, inputs = learned(declaration, direction).selectors["s"], inputs_for(direction, lengths)
    selection, may = selector(inputs), allowed(inputs, direction)
    found = pairs_of(selection, inputs)
    scores = selector.scorer.scores(selector.scorer.prepare(inputs, tile, selector.direction), 0, -(-17 // tile))
    others = 5 - ("diagonal" in forced)
    assert torch.equal(found, found[:, :1].expand_as(found))  # one choice for all heads
    for element, head, i in positions(found[:, :1]):
        keys = may[element, 0, i].nonzero().flatten().tolist()
        own = {i} if "diagonal" in forced and i in keys else set()
        # Causal, or alone: the best of the others. Elsewhere the tile shares them, its own tokens among them.
        among = [j for j in keys if j not in own or (direction != "causal" and tile > 1)]
        first = {0} if "first" in forced and 0 in among else set()
        rest = best(scores[element, 0, i // tile], [j for j in among if j not in first], others - len(first))
        assert chosen(found, element, head, i) == own | first | rest
    check_density(selection, found, may)


@pytest.mark.parametrize("lengths", [None, [17, 9]])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_importance(direction: str, lengths: list[int] | None) -> None:
    selector, inputs = learned("importance()", direction).selectors["s"], inputs_for(direction, lengths)
    selection, may = selector(inputs), allowed(inputs, direction)
    found, (columns, rows) = pairs_of(selection, inputs), selector.scorer(inputs)
    assert (rows is None) == (direction == "causal")
    expected = (columns > 0)[:, :, None] & may
    if rows is not None:
        expected = expected | ((rows > 0)[..., None] & may)
    assert torch.equal(found, expected.expand_as(found)) and 0 < expected.sum() < may.sum()
    check_density(selection, found, may)


@pytest.mark.parametrize("lengths", [None, [17, 9]])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("levels", [("skip", "coarse", "medium", "fine"), ("coarse", "fine"), ("skip", "medium")])
def test_granularity(direction: str, levels: tuple[str, ...], lengths: list[int] | None) -> None:
    declaration = f"granularity(block = 4, levels = [{', '.join(levels)}])"
    selector, inputs = learned(declaration, direction).selectors["s"], inputs_for(direction, lengths)
    selection, may = selector(inputs), allowed(inputs, direction)
    logits = selector.scorer(inputs, 4, selector.direction)
    numbers = {"skip": 0, "coarse": 1, "medium": 2, "fine": 3}
    spent = torch.zeros(2, 2, dtype=torch.float64)
    for element, group, a, b in torch.cartesian_prod(*map(torch.arange, logits.shape[:4])).tolist():
        pairs = int(may[element, 0, 4 * a : 4 * a + 4, 4 * b : 4 * b + 4].sum())
        word = levels[int(logits[element, group, a, b].argmax())]
        word = "fine" if a == b and direction != "cross" else word
        word = word if pairs else "skip"
        assert selection.level[element, group, a, b] == numbers[word]
        spent[element, group] += pairs * {"skip": 0, "coarse": 1 / 4, "medium": 1 / 4, "fine": 1}[word]
    torch.testing.assert_close(selection.density, spent / may.sum((1, 2, 3))[:, None])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 24),
    st.integers(1, 7),
    st.integers(1, 9),
    st.sampled_from(["[]", "[first]", "[diagonal]"]),
    st.integers(0, 999),
)
def test_a_query_reads_min_of_k_and_what_there_is(n: int, k: int, tile: int, forced: str, seed: int) -> None:
    torch.manual_seed(seed)
    selector = learned(f"topk_keys(k = {k}, tile = {tile}, forced = {forced})", "causal").selectors["s"]
    inputs = layer_inputs(n, batch=1)
    counts = pairs_of(selector(inputs), inputs).sum(-1)
    assert torch.equal(counts, torch.arange(1, n + 1).clamp(max=k).expand_as(counts))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize(
    "declaration",
    [
        "importance()",
        "topk(k = 3)",
        "topk_blocks(k = 2, block = 4)",
        "topk_keys(k = 3, tile = 4)",
        "granularity(block = 4)",
    ],
)
def test_what_lies_behind_the_lengths_has_no_influence(direction: str, declaration: str) -> None:
    layer = learned(declaration, direction)
    inputs = inputs_for(direction, [17, 9])
    before = pairs_of(layer(inputs)["s"], inputs)
    for side in (inputs.query, inputs.key):
        count = int(side.counts()[1])
        side.hidden[1, count:] = torch.nan
        side.heads[1, :, count:] = torch.nan
    selection = layer(inputs)["s"]
    assert torch.equal(pairs_of(selection, inputs), before)
    gates = [getattr(selection, name, None) for name in ("log_gate", "column_gate", "density")]
    loss = sum(
        gate.masked_fill(gate.isneginf(), 0.0).sum() for gate in gates if gate is not None and gate.requires_grad
    )
    gradients = torch.autograd.grad(loss, [*layer.parameters()], allow_unused=True)
    assert all(gradient.isfinite().all() for gradient in gradients if gradient is not None)


def positions(found: Tensor):
    return torch.cartesian_prod(*map(torch.arange, found.shape[:3])).tolist()


def chosen(found: Tensor, element: int, head: int, i: int) -> set[int]:
    return set(found[element, head, i].nonzero().flatten().tolist())


def check_density(selection, found: Tensor, may: Tensor) -> None:
    """Realised pairs of those allowed, group by group."""
    groups = selection.density.shape[1]
    counted = found[:, :: found.shape[1] // groups].sum((-1, -2)) / may.sum((1, 2, 3))[:, None]
    torch.testing.assert_close(selection.density.double(), counted.double())
