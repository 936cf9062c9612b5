"""Numbers of the papers, and of an enumeration that shares no code with this repository."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from brute_claims import live_counts
from definitions import Mask

from patternc.compiler.bruteforce import compose, mask
from patternc.compiler.pattern import load
from patternc.compiler.reached import hops
from patternc.patterns_dsl.syntax import BoundPattern, Direction

N = 512


def stock(file: str, name: str | None = None, **arguments: object) -> BoundPattern:
    return load(f"library:{file}")[name or file].bind(**arguments).bound


def masks(pattern: BoundPattern, n: int) -> list[Mask]:
    return [mask(step.body, pattern.direction, n) for step in pattern.steps]


def merged(pattern: BoundPattern, n: int) -> Mask:
    return mask(pattern.union, pattern.direction, n)


def hops_needed(steps: Sequence[Mask], *, causal: bool) -> int | None:
    """The layers, the steps taken in turn, after which all is heard of; None where some never is."""
    n = len(steps[0])
    wanted = np.tri(n, dtype=bool) if causal else np.ones((n, n), dtype=bool)
    heard, layer = np.eye(n, dtype=bool), 0
    while True:
        before = heard
        for step in steps:
            if heard[wanted].all():
                return layer
            heard, layer = compose(step, heard) | heard, layer + 1
        if np.array_equal(heard, before):
            return None


def hops_of(pattern: BoundPattern, n: int) -> int | None:
    return hops_needed(masks(pattern, n), causal=pattern.direction is Direction.CAUSAL)


@pytest.mark.parametrize(
    ("pattern", "n", "expected"),
    [
        (stock("dense"), N, 1),
        (stock("sliding_window", w=32), N, 17),
        (stock("streaming", sink=4, w=32), N, 17),
        (stock("global_itc", "global_causal", g=4, w=32), N, 17),  # front globals are sinks, not hubs
        (stock("strided_factorized", l=32), N, 2),
        (stock("fixed_factorized", l=32, c=4), N, 2),
        (stock("summary_columns", w=32, l=32, c=1), N, 2),
        (stock("logsparse"), N, 9),
        (stock("powerattention", b=16), N, 4),
        (stock("flat_butterfly", b=16), N, 5),
        (stock("flat_butterfly", "flat_butterfly_bridged", b=16), N, 7),
        (stock("longnet", "longnet_bridged", w=256), N, 3),
        (stock("longformer"), N, 2),
        (stock("global_etc"), N, 2),
        (stock("star_transformer"), N, 2),
        (stock("axial_bidirectional"), N, 2),
        (stock("bigbird", b=16), N, 2),
        (stock("radial", "radial_small"), 16 * 20, 2),
        (stock("sliding_tile", "sliding_tile_map", h=6, l=10), 5 * 6 * 10, 8),
        (stock("deepspeed_fixed"), N, 2),
        (stock("dilated_neighborhood", "dilated_neighborhood_in_turn"), 56, 3),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_hops(pattern: BoundPattern, n: int, expected: int) -> None:
    assert hops_of(pattern, n) == expected


def test_hops_of_a_random_table_depend_on_the_draw() -> None:
    """Seven here, six in the enumeration, which drew otherwise; without random blocks it would be 31."""
    assert hops_of(stock("bigbird", "bigbird_causal", b=16), N) == 7
    assert hops_of(stock("deepspeed_local", block=16), N) == 31


@pytest.mark.parametrize(
    "pattern",
    [
        stock("axial"),
        stock("block_local"),
        stock("dilated_window"),
        stock("dilated_neighborhood"),
        stock("deepspeed_variable"),
        stock("flat_butterfly", "flat_butterfly_causal", b=16),
        stock("longnet", w=64),
    ],
    ids=lambda value: value.name,
)
def test_what_never_reaches_everything(pattern: BoundPattern) -> None:
    assert hops_of(pattern, N) is None


@pytest.mark.parametrize(
    ("pattern", "live"),
    [
        (stock("sliding_window", w=32), 32),
        (stock("streaming", sink=4, w=32), 36),
        (stock("fixed_factorized", l=32, c=4), 92),
        (stock("strided_factorized", l=32), 481),
        (stock("logsparse"), 257),
        (stock("summary_columns", w=32, l=32, c=1), 47),
        (stock("moba"), N),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_live_keys(pattern: BoundPattern, live: int) -> None:
    assert live_counts(pattern, N).max() == live


def test_the_order_of_steps() -> None:
    """Child et al. 2019: the fixed factorisation needs A1 first, or a third layer; the strided one does not care."""
    within, summary = masks(stock("fixed_factorized", l=32, c=4), N)
    assert hops_needed((within, summary), causal=True) == 2
    assert hops_needed((summary, within), causal=True) == 3
    assert hops_needed((within | summary,), causal=True) == 2
    near, far = masks(stock("strided_factorized", l=32), N)
    assert hops_needed((far, near), causal=True) == 2


def test_the_columns_of_the_fixed_factorisation() -> None:
    """Child et al. 2019, section 4.2: with l = 128 and c = 8 all positions above 128 see positions 120 to 128."""
    row = merged(stock("fixed_factorized"), N)[300]
    assert np.flatnonzero(row[:256]).tolist() == [*range(120, 128), *range(248, 256)]


def test_a_sink_and_a_window() -> None:
    """Xiao & Zhu, chapter 2: position 500, counted from 1, reads {1, 498, 499, 500}."""
    assert np.flatnonzero(merged(stock("streaming", sink=1, w=3), N)[499]).tolist() == [0, 497, 498, 499]


def test_the_sparsity_of_a_local_pattern_of_two() -> None:
    """Wang et al. 2022: Local-2 has sparsity 1 - 5 / N + 6 / N^2."""
    pattern = stock("adaptive_axis")
    for n in (3, 64, 129):
        kept = mask(pattern.union, pattern.direction, n, choice="must").sum()
        assert 1 - kept / n**2 == pytest.approx(1 - 5 / n + 6 / n**2, abs=1e-12)


def test_a_step_for_each_binary_one() -> None:
    """Chen et al. 2025, theorem B.1: a distance takes as many hops as it has binary ones."""
    (powers,) = masks(stock("logsparse"), 128)
    for steps in range(1, 8):
        heard = np.flatnonzero(hops([powers], steps)[:, 0])
        assert heard.tolist() == [i for i in range(128) if i.bit_count() <= steps]


def test_heads_of_shifted_blocks() -> None:
    """Qiu et al. 2020, with four blocks: the shift alone comes round in four hops, with the identity in three."""
    identity, shift = masks(stock("blockbert", b=4), 16)
    assert hops_needed((shift,), causal=False) == 4
    assert hops_needed((identity | shift,), causal=False) == 3


def test_a_bridge_of_two_between_residue_classes() -> None:
    """A dilated window and a window of two, merged: 18 hops where the dilated one alone never connects."""
    (dilated,) = masks(stock("dilated_window", w=16, d=2), N)
    (bridge,) = masks(stock("sliding_window", w=2), N)
    assert hops_needed((dilated | bridge,), causal=True) == 18


def test_every_token_has_its_k_neighbours() -> None:
    """Hassani et al. 2023: near a border as anywhere."""
    assert set(merged(stock("neighborhood"), 40).sum(axis=1)) == {7}
    assert set(merged(stock("dilated_neighborhood"), 60).sum(axis=1)) == {7}
    assert set(merged(stock("neighborhood_2d", k=3, width=9), 63).sum(axis=1)) == {9}


def test_the_keys_of_bigbird() -> None:
    """Zaheer et al. 2020: a row has the window of three blocks, two global ones and three drawn, of 64 tokens each."""
    counts = merged(stock("bigbird"), 4096 // 2).sum(axis=1)
    inner = counts[2 * 64 : -2 * 64]
    assert inner.max() == 8 * 64
    assert inner.min() >= 5 * 64


def test_the_memory_of_image_transformer() -> None:
    """Parmar et al. 2018, with the sizes of the authors' code: 24 x 48 positions, of which a pixel has seen 640."""
    pattern, n = stock("image_local"), 3 * 768
    assert merged(pattern, n).sum(axis=1).max() == 8 * 48 + 8 * 16 + 8 * 16
    assert live_counts(stock("image_local", p=2, q=4, h=2, w=4), 144).max() == 2 * 24 + 2 * 4 + 2 * 4
    assert hops_needed(masks(stock("image_local", m=3), 768), causal=True) is None


def test_longnet_both_ways() -> None:
    """Ding et al. 2023, without the causal mask: three hops, through tokens that all segments keep."""
    pattern = stock("longnet", w=32)
    both_ways = mask(pattern.union, Direction.BIDIRECTIONAL, N)
    assert hops_needed((both_ways,), causal=False) == 3
