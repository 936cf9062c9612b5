"""Whatever the pieces that lists are computed in, the result is the same."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from learned_layers import close, data, layer, pattern, slopes

from patternc.runtime.engines.engine import find_engine
from patternc.runtime.learned.bind import Tokens, bind
from patternc.runtime.learned.lists.key_lists import Bounds, KeyLists
from patternc.runtime.learned.lists.places import Heads
from patternc.runtime.learned.running import gathered, tiling
from patternc.runtime.learned.running.pieces import mask, places
from patternc.runtime.learned.running.products import Scores

LEARN = """
    learn hot   = topk_blocks(k = 3, block = 5)
    learn few   = importance(budget = 30%)
    learn picks = topk_keys(k = 6, tile = 4)
    learn level = granularity(block = 8)
"""
STEPS = {
    "causal": "local(3) | select(hot) | columns(few) | select(picks) | pooled(4)",
    "bidirectional": "self | axis(few) | select(hot) | refine(level) | gated select(picks)",
}


@pytest.mark.parametrize("direction", STEPS)
@pytest.mark.parametrize(("scores", "keys"), [(1, 1), (300, 7), (2000, 10)])
def test_small_pieces_change_nothing(direction, scores, keys, monkeypatch) -> None:
    learned = layer(pattern(STEPS[direction], direction, LEARN))
    given, grad = data(37), None
    grad = torch.randn_like(given.q)
    leaves = (*given.leaves, *learned.parameters())

    def run():
        result = learned(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
        return result.out, result.lse, *slopes(result, grad, leaves)

    whole = run()
    monkeypatch.setattr(tiling, "MOST_SCORES", scores)
    monkeypatch.setattr(tiling, "LONGEST_LIST", keys)
    monkeypatch.setattr(tiling, "FEWEST_ROWS", 3)
    for mine, wanted in zip(run(), whole, strict=True):
        close(mine, wanted, 1e-12)


@pytest.mark.parametrize("direction", STEPS)
@pytest.mark.parametrize("lengths", [[60, 60], [60, 41]])
def test_a_piece_without_a_mask_needs_none(direction, lengths, monkeypatch) -> None:
    monkeypatch.setattr(tiling, "MOST_SCORES", 1)
    monkeypatch.setattr(tiling, "FEWEST_ROWS", 6)
    learned = layer(pattern(STEPS[direction], direction, LEARN))
    given = data(60)
    inputs = given.inputs(lengths)
    q, k, v = (x.detach() for x in (given.q, given.k, given.v))
    tokens = Tokens(k, v, inputs.query.counts(), inputs.key.counts())
    with torch.no_grad():
        chosen = learned.select(inputs, k, v)
    parts = bind(learned.program, find_engine("compose"), chosen, tokens, Scores(1.0), 0, 60)
    whole = 0
    for lists in parts.lists:
        heads = Heads.of(q.shape[1], k.shape[1], lists.groups)
        rows = q.shape[2] if lists.rows is None else lists.rows.shape[2]
        for piece in tiling.pieces(lists, heads, q.shape[0], rows):
            if piece.whole:
                kept = mask(piece, places(piece, heads))
                kept = kept.expand(*kept.shape[:3], piece.tiles, -1, piece.size, -1).transpose(3, 4).flatten(4, 5)
                assert bool(kept[:, :, :, :, : piece.last - piece.first].all())
                whole += 1
    assert whole > 4


@pytest.mark.parametrize("softcap", [None, 2.0])
def test_queries_that_read_alike_share_a_row_of_the_mask(softcap, monkeypatch) -> None:
    """The last tile has rows too many, the last block keys; a tile reads fewer blocks than others, one reads none."""
    monkeypatch.setattr(tiling, "FEW_SCORES", 0)
    generator = torch.Generator().manual_seed(0)
    q, k, v, grad = (torch.randn(2, 4, 43, 8, generator=generator, dtype=torch.float64) for _ in range(4))
    lengths = torch.tensor([43, 43])
    entries = torch.tensor([[0, 3, 5], [1, -1, -1], [-1, -1, -1], [2, 5, -1], [0, 1, 2], [0, 4, 5]])[None, None]
    lists = KeyLists(Bounds(lengths, lengths, False, {"n": lengths}), 8, 8, entries)
    scores = Scores(0.3, softcap)

    def run(lists: KeyLists) -> list[torch.Tensor]:
        out, lse = torch.zeros_like(q), torch.full(q.shape[:3], -torch.inf, dtype=q.dtype)
        gathered.add(lists, q, k, v, out, lse, scores)
        sums = torch.zeros_like(q), torch.zeros_like(k), torch.zeros_like(v)
        gathered.gradients(lists, q, k, v, gathered.Rows.of(grad, None, out, lse), sums, scores, gates=False)
        return [out, lse, *sums]

    def rows_of_masks(lists: KeyLists) -> set[int]:
        heads = Heads.of(4, 4, 1)
        return {mask(piece, places(piece, heads)).shape[5] for piece in tiling.pieces(lists, heads, 2, 43)}

    masked = replace(lists, since=torch.zeros_like(entries))
    assert rows_of_masks(lists) == {1}
    assert rows_of_masks(masked) == {8}
    for mine, wanted in zip(run(lists), run(masked), strict=True):
        close(mine, wanted, 1e-12)
