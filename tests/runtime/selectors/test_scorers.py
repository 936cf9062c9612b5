"""Scores, against their definitions written as loops: which tokens a block is known by, and what is made of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from selector_layers import SHAPE, layer_inputs, learned
from torch.nn import functional as F

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors.granularity import BilinearGranularity, GranularityNetwork
from patternc.runtime.selectors.inputs import Inputs
from patternc.runtime.selectors.layer import LayerShape, distance_buckets
from patternc.runtime.selectors.scoring.block_scorers import BlockScorer, MeanScorer
from patternc.runtime.selectors.scoring.indexer import Indexer, indexer_frequencies
from patternc.runtime.selectors.scoring.turning import turned

TIGHT = {"atol": 1e-11, "rtol": 1e-11}
BLOCK = 4
DIRECTIONS = [Direction.CAUSAL, Direction.BIDIRECTIONAL, Direction.CROSS]


def query_tokens(a: int, n: int, direction: Direction) -> list[int]:
    """Causal: the block's worth of tokens that end with its first. Elsewhere: its own."""
    if direction is Direction.CAUSAL:
        return list(range(max(0, BLOCK * a - BLOCK + 1), BLOCK * a + 1))
    return list(range(BLOCK * a, min(n, BLOCK * a + BLOCK)))


def key_tokens(a: int, b: int, n: int, direction: Direction) -> list[int]:
    """Causal: of the own block the first token alone."""
    if direction is Direction.CAUSAL and a == b:
        return [BLOCK * b]
    return list(range(BLOCK * b, min(n, BLOCK * b + BLOCK)))


def block_pairs(direction: Direction, inputs):
    n, nk = inputs.query.shape[1], inputs.key.shape[1]
    for a in range(math.ceil(n / BLOCK)):
        for b in range(math.ceil(nk / BLOCK)):
            if direction is not Direction.CAUSAL or b <= a:
                yield a, b, query_tokens(a, n, direction), key_tokens(a, b, nk, direction)


def inputs_for(direction: Direction):
    return layer_inputs(14, 11 if direction is Direction.CROSS else None)


def group_query(inputs, element: int, group: int, tokens: list[int]) -> torch.Tensor:
    return inputs.query.heads[element, 2 * group : 2 * group + 2][:, tokens].mean((0, 1))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_means(direction: Direction) -> None:
    inputs = inputs_for(direction)
    scores = MeanScorer()(inputs, BLOCK, direction)
    for a, b, queries, keys in block_pairs(direction, inputs):
        expected = group_query(inputs, 1, 0, queries) @ inputs.key.heads[1, 0, keys].mean(0) * 6**-0.5
        torch.testing.assert_close(scores[1, 0, a, b], expected, **TIGHT)


def rotated(x: torch.Tensor, place: int, frequencies: tuple[float, ...]) -> torch.Tensor:
    """As complex numbers."""
    half = len(frequencies)
    angles = place * torch.tensor(frequencies, dtype=x.dtype)
    z = torch.complex(x[:half], x[half : 2 * half]) * torch.polar(torch.ones_like(angles), angles)
    return torch.cat([z.real, z.imag, x[2 * half :]])


@pytest.mark.parametrize(("context", "frequencies"), [(False, ()), (True, ()), (True, (1.0, 0.25))])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_predictor(direction: Direction, context: bool, frequencies: tuple[float, ...]) -> None:
    scorer = BlockScorer(replace(SHAPE, frequencies=frequencies), rank=8, context=context).double()
    torch.nn.init.normal_(scorer.distance)
    inputs = inputs_for(direction)
    scores = scorer(inputs, BLOCK, direction)

    def seen(side, last: int) -> torch.Tensor:
        upto = last + 1 if direction is Direction.CAUSAL else side.shape[1]
        return side.hidden[1, :upto].mean(0) if context else side.hidden[1, :0].sum(0)[:0]

    for a, b, queries, keys in block_pairs(direction, inputs):
        q = torch.cat([group_query(inputs, 1, 1, queries), seen(inputs.query, BLOCK * a)])
        k = inputs.key.heads[1, 1, keys]
        k = torch.cat([k.amax(0), k.amin(0), k.mean(0), seen(inputs.key, keys[-1])])
        q, k = q @ scorer.query[1], k @ scorer.key[1]
        if direction is not Direction.CROSS:  # whose queries have no place among the keys
            q, k = rotated(q, BLOCK * a, frequencies), rotated(k, BLOCK * b, frequencies)
        expected = q @ k * 8**-0.5
        if direction is not Direction.CROSS:
            expected = expected + scorer.distance[1, int(math.log2(abs(a - b) + 1))]
        torch.testing.assert_close(scores[1, 1, a, b], expected, **TIGHT)


def test_a_predictor_begins_with_turned_means() -> None:
    torch.manual_seed(0)
    frequencies = (1.0, 0.1, 0.01)
    scorer = BlockScorer(replace(SHAPE, frequencies=frequencies)).double()
    inputs = inputs_for(Direction.BIDIRECTIONAL)
    scores = scorer(inputs, BLOCK, Direction.BIDIRECTIONAL)
    found, means = [], []
    for a, b, queries, keys in block_pairs(Direction.BIDIRECTIONAL, inputs):
        q, k = group_query(inputs, 1, 0, queries), inputs.key.heads[1, 0, keys].mean(0)
        found.append(scores[1, 0, a, b])
        means.append(rotated(q, BLOCK * a, frequencies) @ rotated(k, BLOCK * b, frequencies))
    assert torch.stack([torch.stack(found), torch.stack(means)]).corrcoef()[0, 1] > 0.8


@pytest.mark.parametrize("frequencies", [(), (1.0, 0.25)])
@pytest.mark.parametrize("tile", [1, BLOCK])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_indexer(direction: Direction, tile: int, frequencies: tuple[float, ...]) -> None:
    scorer = Indexer(SHAPE.width, heads=3, head_dim=5, frequencies=frequencies).double()
    inputs = inputs_for(direction)
    tiles = math.ceil(14 / tile)
    scores = scorer.scores(scorer.prepare(inputs, tile, direction), 0, tiles)
    for t in range(tiles):
        tokens = [t] if tile == 1 else query_tokens(t, 14, direction)
        x = inputs.query.hidden[0, tokens].mean(0)
        q, w = scorer.query(x).view(3, 5), scorer.weight(x)
        for j in range(inputs.key.shape[1]):
            k = rotated(scorer.key(inputs.key.hidden[0, j]), j, frequencies)
            far = [rotated(q[h], t * tile, frequencies) for h in range(3)]
            expected = sum(w[h] * F.relu(far[h] @ k) for h in range(3)) * 15**-0.5
            torch.testing.assert_close(scores[0, 0, t, j], expected, **TIGHT)


def test_what_an_indexer_is_turned_by() -> None:
    """Half of its head, as attention turns where it does; nothing in a cross pattern."""
    own = tuple(10_000.0 ** (-pair / 32) for pair in range(32))
    assert indexer_frequencies(()) == pytest.approx(own)
    assert indexer_frequencies((1.0, 0.5)) == (1.0, 0.5)
    many = tuple(500_000.0 ** (-pair / 64) for pair in range(64))
    assert indexer_frequencies(many) == many[::2]
    assert len(indexer_frequencies((0.1,) * 70)) <= 32
    for direction, count in ((Direction.CAUSAL, 32), (Direction.BIDIRECTIONAL, 32), (Direction.CROSS, 0)):
        scorer = learned("topk_keys(k = 3, forced = [])", direction.value).selectors["s"].scorer
        assert scorer.frequencies.shape == (count,)


def test_turned_far_away_in_few_bits() -> None:
    """Of 16 bits, the angle is not rounded."""
    x, places = torch.randn(1, 3, 8, dtype=torch.float64), torch.tensor([4, 70_001, 70_002])
    frequencies = torch.tensor([1.0, 0.25])
    exact = torch.stack([rotated(row, int(place), (1.0, 0.25)) for row, place in zip(x[0], places, strict=True)])
    found = turned(x.bfloat16(), places, frequencies.bfloat16())[0].double()
    torch.testing.assert_close(found, exact, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("tile", [1, 4])
def test_a_repeated_token_has_a_score_of_each_place(tile: int) -> None:
    scorer = learned(f"topk_keys(k = 3, tile = {tile})", "causal").selectors["s"].scorer
    inputs = Inputs.self_attention(torch.randn(12, dtype=torch.float64).expand(1, 16, 12))
    scores = scorer.scores(scorer.prepare(inputs, tile, Direction.CAUSAL), 0, 16 // tile)[0, 0]
    assert all(len(row.unique()) == 16 for row in scores)
    # By the distance alone: one place further, with the same tokens, the same numbers.
    torch.testing.assert_close(scores[1:, tile:], scores[:-1, :-tile])


def test_what_was_saved_before_turns_nothing() -> None:
    new = learned("topk_keys(k = 3)", "causal")
    state = {name: x for name, x in new.state_dict().items() if not name.endswith("frequencies")}
    assert len(state) == len(new.state_dict()) - 1
    again = learned("topk_keys(k = 3)", "causal")
    again.load_state_dict(state)
    plain = Indexer(SHAPE.width).double()
    plain.load_state_dict({name.removeprefix("selectors.s.scorer."): x for name, x in state.items()})
    inputs = layer_inputs(9)
    scores = [
        one.scores(one.prepare(inputs, 4, Direction.CAUSAL), 0, 3) for one in (again.selectors["s"].scorer, plain)
    ]
    assert torch.equal(*scores)
    again.load_state_dict(new.state_dict())
    assert torch.equal(again.selectors["s"].scorer.frequencies, new.selectors["s"].scorer.frequencies)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_granularity_network(direction: Direction) -> None:
    network, inputs = GranularityNetwork(SHAPE, 3, rank=5).double(), inputs_for(direction)
    torch.nn.init.normal_(network.distance)
    logits = network(inputs, BLOCK, direction)
    for a, b, queries, keys in block_pairs(direction, inputs):
        hidden = (
            group_query(inputs, 0, 1, queries) @ network.query[1]
            + inputs.key.heads[0, 1, keys].mean(0) @ network.key[1]
        )
        if direction is not Direction.CROSS:
            hidden = hidden + network.distance[1, int(math.log2(abs(a - b) + 1))]
        torch.testing.assert_close(logits[0, 1, a, b], F.gelu(hidden) @ network.level[1], **TIGHT)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_bilinear_granularity(direction: Direction) -> None:
    network, inputs = BilinearGranularity(SHAPE, 3, rank=5).double(), inputs_for(direction)
    logits = network(inputs, BLOCK, direction)
    for a, b, queries, keys in block_pairs(direction, inputs):
        for level in range(3):
            q = group_query(inputs, 0, 1, queries) @ network.query[level, 1]
            k = inputs.key.heads[0, 1, keys].mean(0) @ network.key[level, 1]
            torch.testing.assert_close(logits[0, 1, a, b, level], q @ k * 5**-0.5, **TIGHT)


def test_distances_by_magnitude() -> None:
    buckets = distance_buckets(40, torch.device("cpu"))
    for a in range(40):
        assert buckets[a].tolist() == [int(math.log2(abs(a - b) + 1)) for b in range(40)]


def test_layers_that_cannot_be() -> None:
    with pytest.raises(ArgumentError, match="multiple of the key heads"):
        LayerShape(8, 3, 2, 4)
    with pytest.raises(ArgumentError, match="at least 1"):
        LayerShape(8, 2, 2, 0)
    with pytest.raises(ArgumentError, match="choose one of head, group, layer"):
        SHAPE.groups("token")
