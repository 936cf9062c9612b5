"""What is kept of a text that grows: by lists of what was put in, and by making everything anew."""

from __future__ import annotations

import pytest
import torch
from selector_layers import layer_inputs, learned, pairs_of, prefix

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.growing import Growing
from patternc.runtime.selectors import Inputs, Pooled
from patternc.runtime.selectors.inputs import Side
from patternc.runtime.selectors.kept import Kept, Scope

DECLARATIONS = [
    "importance(budget = 30%)",
    "topk(k = 3, per = head)",
    "topk_blocks(k = 3, block = 4)",
    "topk_blocks(k = 2, block = 3, scores = pooled, forced = [diagonal])",
    "topk_keys(k = 4, tile = 5)",
    "topk_keys(k = 3, tile = 4, forced = [])",
    "granularity(block = 4)",
]


@pytest.mark.parametrize("inference", [False, True])
def test_what_was_given_out_stays(inference: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    with torch.inference_mode(inference), torch.no_grad():
        growing = Growing(torch.randn(2, 7, 3, generator=generator))
        expected, given = growing.tensor.clone(), []
        for step in range(300):
            if step % 50 == 49:
                growing.crop(expected.shape[1] - step % 7)
                expected = expected[:, : expected.shape[1] - step % 7]
            if step % 90 == 89:
                growing.change(lambda x: x.flip(0))
                expected = expected.flip(0)
            new = torch.randn(2, 1 + step % 3, 3, generator=generator)
            expected = torch.cat([expected, new], 1)
            given.append((growing.put(new), expected))
        assert all(torch.equal(mine, theirs) for mine, theirs in given)


def test_a_step_without_gradients_leaves_those_with_them_alone() -> None:
    x, new = (torch.randn(1, 4, 2, requires_grad=True) for _ in range(2))
    growing = Growing(x)
    loss = growing.put(new).square().sum()
    with torch.no_grad():
        growing.put(torch.ones(1, 3, 2))
        growing.put(torch.ones(1, 3, 2))
    for mine, theirs in zip(torch.autograd.grad(loss, (x, new)), (x, new), strict=True):
        torch.testing.assert_close(mine, 2 * theirs)


def test_rows_of_another_batch_are_no_rows() -> None:
    with torch.no_grad():
        growing = Growing(torch.zeros(2, 4, 3))
        growing.put(torch.zeros(2, 1, 3))
        with pytest.raises(RuntimeError, match="Sizes of tensors must match"):
            growing.put(torch.zeros(1, 1, 3))


def grown(inputs: Inputs, n: int, kept: Kept) -> Inputs:
    """The first n tokens, of a text of which earlier ones were seen."""
    part = prefix(inputs, n)
    kept.begin(None, 0, n)
    key = part.key
    return Inputs(part.query, Side(key.hidden, key.heads, kept=Scope(kept)))


@torch.no_grad()
@pytest.mark.parametrize("random", [None, 7], ids=["learned", "random"])
@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_choices_as_if_nothing_were_kept(declaration: str, random: int | None) -> None:
    layer, inputs, kept = learned(declaration, "causal", random=random), layer_inputs(41), Kept()
    first = 0
    for n in [9, 10, 11, 12, 13, 14, 15, 16, 17, 23, 24, 35, 36, 37, 41]:
        part = grown(inputs, n, kept)
        mine, theirs = layer.select(part, first)["s"], layer.select(prefix(inputs, n))["s"]
        rows = slice(first, n)
        assert torch.equal(pairs_of(mine, part)[:, :, rows], pairs_of(theirs, part)[:, :, rows])
        first = n
        if n == 24:  # other tokens come instead of the last
            kept.crop(14)
            inputs, first = other_from(inputs, 14), 14


@torch.no_grad()
@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_a_block_whose_first_token_is_taken_back_chooses_anew(declaration: str) -> None:
    layer, inputs = learned(declaration, "causal"), layer_inputs(41)
    for begin in (8, 9, 10, 12):
        kept = Kept()
        layer.select(grown(inputs, begin, kept))
        layer.select(grown(inputs, begin + 1, kept), begin)
        kept.crop(begin)
        other = other_from(inputs, begin)
        for n in (begin + 1, begin + 2):
            part = grown(other, n, kept)
            mine, theirs = layer.select(part, n - 1)["s"], layer.select(prefix(other, n))["s"]
            assert torch.equal(pairs_of(mine, part)[:, :, n - 1], pairs_of(theirs, part)[:, :, n - 1])


def other_from(inputs: Inputs, n: int) -> Inputs:
    other, now = layer_inputs(41), inputs
    parts = (
        torch.cat([old[..., :n, :], new[..., n:, :]], -2)
        for old, new in (
            (now.query.hidden, other.query.hidden),
            (now.query.heads, other.query.heads),
            (now.key.heads, other.key.heads),
        )
    )
    return Inputs.self_attention(*parts)


@torch.no_grad()
@pytest.mark.parametrize("first", [0, 12, 24])
@pytest.mark.parametrize("declaration", DECLARATIONS[1:-1])  # that of granularity is a cost
def test_densities_are_of_the_queries_that_choose(declaration: str, first: int) -> None:
    layer, inputs = learned(declaration, "causal"), layer_inputs(29)
    selection = layer.select(inputs, first)["s"]
    rows = first - first % layer.tile
    read = pairs_of(selection, inputs)[:, :, rows:].double().sum((-1, -2))
    allowed = sum(range(rows + 1, 30))
    groups = selection.density.repeat_interleave(read.shape[1] // selection.density.shape[1], 1)
    torch.testing.assert_close(groups.double(), read / allowed)


@torch.no_grad()
@pytest.mark.parametrize("declaration", DECLARATIONS)
def test_a_new_token_reads_its_own_block(declaration: str, monkeypatch) -> None:
    """Of a text of 400 tokens, no more than two blocks and what arrives."""
    layer, inputs, kept = learned(declaration, "causal"), layer_inputs(402), Kept()
    layer.select(grown(inputs, 400, kept))
    read: list[int] = []
    needs = Side.needs

    def watched(*arguments, **named):
        found = needs(*arguments, **named)
        read.append(found.shape[-2])
        return found

    monkeypatch.setattr(Side, "needs", watched)
    for n in (401, 402):
        layer.select(grown(inputs, n, kept), n - 1)
    assert read and max(read) <= 10


@torch.no_grad()
def test_summaries_as_if_nothing_were_kept() -> None:
    pool, inputs, kept = Pooled(Direction.CAUSAL, 4), layer_inputs(30), Kept()
    for n in (9, 10, 11, 12, 13, 29, 30):
        part, alone = grown(inputs, n, kept), prefix(inputs, n)
        mine, theirs = pool(part, part.key.heads * 2), pool(alone, alone.key.heads * 2)
        torch.testing.assert_close(mine.keys, theirs.keys)
        torch.testing.assert_close(mine.values, theirs.values)


def test_blocks_that_are_counted_from_elsewhere_are_made_anew() -> None:
    kept = Kept()
    made: list[int] = []

    def make(first: int) -> torch.Tensor:
        made.append(first)
        return torch.zeros(2, 3 - first, 1)

    for starts, latest in [([0, 2], 2), ([0, 2], 2), ([1, 2], 2), (None, 0), (None, 0), ([0, 0], 0)]:
        kept.begin(None if starts is None else torch.tensor(starts), latest, 9)
        Scope(kept, "s").made("means", 4, 3, make)
    assert made == [0, 2, 0, 0, 2, 2]


def test_a_block_that_has_not_begun_everywhere_has_not_chosen() -> None:
    kept = Kept()
    made: list[int] = []

    def choose():
        made.append(kept.complete)
        return learned("topk_blocks(k = 3, block = 4)", "causal").select(layer_inputs(9))["s"]

    for complete, last in [(8, 8), (9, 8), (12, 8), (13, 12), (14, 12)]:
        kept.begin(torch.tensor([0, 3]), 3, complete)
        Scope(kept, "s").chosen(4, last, choose)
    assert made == [8, 9, 13]
    kept.crop(15)  # the element that starts at 3 has 12 tokens
    Scope(kept, "s").chosen(4, 12, choose)
    assert len(made) == 4
