"""The oracle against definitions written by hand in NumPy, and against facts stated in papers."""

from __future__ import annotations

import numpy as np
import pytest

from patternc.compiler.bruteforce import Mask, compose, mask
from patternc.compiler.reached import hops, reachable_ever
from patternc.patterns_dsl.binding.bind import bind
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.parsing.parse import parse
from patternc.patterns_dsl.syntax import Direction, Expression

N = 17
QUERY, KEY = np.arange(N)[:, None], np.arange(N)[None, :]
CAUSAL = KEY <= QUERY
ALL = np.ones((N, N), dtype=np.bool_)


def core(text: str, direction: str) -> Expression:
    return bind(parse(Source("test.pat", f"pattern p {direction} {{ step {text} }}")), "p", {}).union


def of(text: str, direction: str = "bidirectional", n: int = N, nk: int | None = None) -> Mask:
    return mask(core(text, direction), Direction(direction), n, nk)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ (i, j) : -3 < i - j < 3 }", np.abs(QUERY - KEY) < 3),
        ("{ (i, j) : (i - j) mod 4 = 1 }", np.isin(QUERY - KEY, [-15, -11, -7, -3, 1, 5, 9, 13])),
        ("{ (i, j) : (i - 10) div 4 = -1 and j != 2 }", np.isin(QUERY, [6, 7, 8, 9]) & (KEY != 2)),
        ("{ (i, j) : i >= n - 2 or not j > 0 }", (QUERY >= 15) | (KEY == 0)),
        ("{ (i, j) : exists k : i = 2 * k and j = k }", QUERY == 2 * KEY),
        ("{ (i, j) : 1 = 1 }", ALL),
        ("{ (i, j) : i = j } - { (i, j) : j = 3 }", (QUERY == KEY) & (KEY != 3)),
        ("{ (i, j) : i < 4 } & { (j, i) : i < 4 } | { (i, j) : i = -(-9) }", (QUERY < 4) & (KEY < 4) | (QUERY == 9)),
        ("not { (i, j) : i = j }", QUERY != KEY),
    ],
)
@pytest.mark.parametrize("direction", ["bidirectional", "causal"])
def test_formulas(text: str, direction: str, expected: Mask) -> None:
    assert np.array_equal(of(text, direction), expected & (CAUSAL if direction == "causal" else ALL))


def test_composition_is_two_hops_the_right_one_first() -> None:
    # i reads its successor: in a causal pattern the operand itself is cut to j <= i, so nothing is left to compose.
    ahead, back = "{ (i, j) : j = i + 1 }", "{ (i, j) : j = i - 2 }"
    assert np.array_equal(of(f"{ahead} @ {back}"), (QUERY - KEY == 1) & (QUERY < N - 1))
    assert not of(f"{ahead} @ {back}", "causal").any()
    # `not` is relative to j <= i as well: everything later is no part of a complement.
    assert np.array_equal(of("not { (i, j) : j < i } @ { (i, j) : 1 = 1 }", "causal"), CAUSAL)


def test_cross_patterns_are_rectangular() -> None:
    expected = np.arange(5)[None, :] >= np.arange(3)[:, None] + 2
    assert np.array_equal(of("{ (i, j) : j - nk >= i - nq }", "cross", 3, 5), expected)
    # exists ranges over the longer side
    assert of("{ (i, j) : exists k : k = 4 }", "cross", 3, 5).all()
    with pytest.raises(ValueError, match="as many keys"):
        # bind refuses this text in a cross pattern
        mask(core("{ (i, j) : i = j } @ { (i, j) : i = j }", "causal"), Direction("cross"), 3, 5)
    with pytest.raises(ValueError, match="got 3 and 5"):
        of("{ (i, j) : i = j }", "causal", 3, 5)


@pytest.mark.parametrize("n", [0, 1])
def test_the_shortest_sequences(n: int) -> None:
    assert of("local(4)", "causal", n).shape == (n, n)
    assert of("local(4)", "causal", n).all()


def test_only_core_form_is_evaluated() -> None:
    tree = parse(Source("test.pat", "rule r = local(3) rule s = { (i, j) : j in {3} } rule t = { (i, j) : i = 2^j }"))
    for rule in tree.rules:
        with pytest.raises(ValueError, match="core form"):
            mask(rule.body, Direction.CAUSAL, 4)


def test_a_window_of_w_needs_this_many_hops() -> None:
    """ceil((n - 1) / (w - 1)) layers: 17 for w = 32, n = 512."""
    window = of("local(32)", "causal", 512)
    assert not np.array_equal(hops([window], 16), np.tri(512, dtype=bool))
    assert np.array_equal(hops([window], 17), np.tri(512, dtype=bool))


def test_the_order_of_layers_matters() -> None:
    """Child et al. 2019: strided takes 2 layers in both orders, fixed 2 with the block first and 3 otherwise."""
    n = 256
    everything = np.tri(n, dtype=bool)
    near, far = of("local(32)", "causal", n), of("strided(32)", "causal", n)
    within, summary = of("block(32)", "causal", n), of("fixed(32, 4)", "causal", n)
    assert np.array_equal(hops([near, far], 2), everything)
    assert np.array_equal(hops([far, near], 2), everything)
    assert np.array_equal(hops([within, summary], 2), everything)
    assert not np.array_equal(hops([summary, within], 2), everything)
    assert np.array_equal(hops([summary, within], 3), everything)
    # Without the residual stream fixed never gets there: the first queries have no summary to read.
    assert not np.array_equal(compose(summary, within), everything)


def test_what_no_number_of_layers_reaches() -> None:
    even = of("{ (i, j) : (i - j) mod 2 = 0 }", "causal")
    assert np.array_equal(reachable_ever([even]), even)
    assert np.array_equal(reachable_ever([even, of("local(2)", "causal")]), CAUSAL)
    assert np.array_equal(reachable_ever([of("local(2)")]), ALL)
    assert np.array_equal(hops([even], 0), QUERY == KEY)
