"""Lists run as lists or densely, whichever is predicted to be faster for what was selected in the call."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from learned_layers import HEAD_DIM, HEADS, KEY_HEADS, data, layer, pattern

import patternc as pc
from patternc.runtime import measured
from patternc.runtime.engines.compose.pricing.probe import fit_rates
from patternc.runtime.learned.lists.key_lists import Bounds, KeyLists
from patternc.runtime.learned.pricing import speeds
from patternc.runtime.learned.pricing.break_even import break_even
from patternc.runtime.learned.pricing.dispatch import DENSE, LISTS
from patternc.runtime.learned.pricing.effort import dense_effort, list_effort
from patternc.runtime.learned.pricing.speeds import assume
from patternc.testing.machines import PLAIN_SPEEDS, QUICK_DENSE

BLOCKS = "learn hot = topk_blocks(k = {k}, block = 16)"


def ways(step: str, learn: str, n: int, *, engine="compose", **options):
    given = data(n, batch=1)
    learned = layer(pattern(step, learn=learn), engine)
    found = learned(given.q, given.k, given.v, hidden=given.hidden, return_selections=True, **options)
    return found.dispatch


def test_few_blocks_of_many_are_read_as_lists_and_most_of_them_densely() -> None:
    with assume(PLAIN_SPEEDS):
        few, most = (ways("select(hot)", BLOCKS.format(k=k), 1024) for k in (3, 64))
    assert (few.way, most.way) == (LISTS, DENSE)
    assert few.lists < few.dense == most.dense < most.lists


CHANGES = {
    "blocks": ("topk_blocks(k = {k}, block = 16)", "select(s)"),
    "keys": ("topk_keys(k = {k}, tile = 32)", "select(s)"),
    "unforced keys": ("topk_keys(k = {k}, tile = 32, forced = [])", "select(s)"),
    "columns": ("topk(k = {k})", "columns(s)"),
    "columns of a layer": ("topk(k = {k}, per = layer)", "columns(s)"),
}
# In a causal pattern it is an estimate: a list of columns holds what some query reads, many more than each of them.
DIRECTIONS = {"bidirectional": (1.1, list(CHANGES)), "causal": (1.4, ["blocks", "keys", "unforced keys"])}


@pytest.mark.parametrize(
    ("direction", "margin", "name"),
    [(direction, margin, name) for direction, (margin, names) in DIRECTIONS.items() for name in names],
)
def test_the_way_changes_at_the_break_even_that_explain_shows(direction: str, margin: float, name: str) -> None:
    learn, step = CHANGES[name]
    n, block = 512, 16 if "block" in learn else 1
    given = torch.randn(3, 1, HEADS, n, 16)
    hidden = torch.randn(1, n, 8)

    def subject(density: float) -> pc.Pattern:
        keys = density * n if direction == "bidirectional" else n * (1 - (1 - density) ** 0.5)
        return pattern(step, direction, f"learn s = {learn.format(k=max(2, round(keys / block)))}")

    with assume(PLAIN_SPEEDS):
        [even] = break_even(subject(0.1), n, heads=HEADS, head_dim=16)
        assert even.selector == "s" and 0.1 < even.density < 0.95
        for density, way in ((even.density / margin, LISTS), (min(1.0, even.density * margin), DENSE)):
            each = pc.compile(subject(density), heads=HEADS, head_dim=16, hidden_size=8, engine="compose").eval()
            with torch.no_grad():
                found = each(*given, hidden=hidden, return_selections=True)
            assert (float(found.selections["s"].density.mean()) < even.density) == (way == LISTS)
            assert found.dispatch.way == way


def test_a_table_that_is_not_made_leaves_lists_alone() -> None:
    with assume(QUICK_DENSE):
        near, far = (
            break_even(pattern("select(hot)", learn=BLOCKS.format(k=2)), n, heads=2, head_dim=8) for n in (512, 1 << 14)
        )
        assert [each.density for each in near] == [0.0]
        assert [each.density for each in far] == [1.0]


def test_a_short_sequence_is_dense() -> None:
    with assume(PLAIN_SPEEDS):
        assert ways("select(hot)", BLOCKS.format(k=3), 48).way == DENSE


def test_what_cannot_run_densely_is_read_as_lists() -> None:
    with assume(QUICK_DENSE):
        assert ways("select(hot)", BLOCKS.format(k=3), 48).way == DENSE
        assert ways("select(hot)", BLOCKS.format(k=3), 48, softcap=2.0).way == LISTS
        assert ways("local(3) | gated strided(4)", "", 48).way == LISTS  # no lists


def test_a_table_that_is_too_large_is_not_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patternc.runtime.learned.running.densely.MOST_SCORES", HEADS * 48 * 48 - 1)
    with assume(QUICK_DENSE):
        assert ways("select(hot)", BLOCKS.format(k=3), 48).way == LISTS


def test_efforts_count_what_is_there() -> None:
    n, tile = 64, 16
    lengths = torch.tensor([n])
    entries = torch.arange(4).expand(1, KEY_HEADS, 4, 4)
    lists = KeyLists(Bounds(lengths, lengths, True, {"n": lengths}), tile, tile, entries)
    q, k = torch.zeros(1, HEADS, n, HEAD_DIM), torch.zeros(1, KEY_HEADS, n, HEAD_DIM)
    # A causal tile reads the blocks up to its own: 1 + 2 + 3 + 4 of them.
    assert list_effort(lists, q, KEY_HEADS).scores == HEADS * 10 * tile * tile
    assert list_effort(lists, q, KEY_HEADS).wide_keys == KEY_HEADS * 10 * tile * HEAD_DIM
    assert dense_effort([lists], q, k).wide_scores == HEADS * n * n * HEAD_DIM


@pytest.mark.slow
def test_this_machine_is_measured_once_and_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measured, "others", lambda: 0.0)
    monkeypatch.setattr(speeds.MEASURED, "assumed", [])
    monkeypatch.setattr(speeds.MEASURED, "known", {})
    found = speeds.these_speeds(torch.float32)
    for rates in (found.forward, found.backward):
        assert all(rate >= 0 for each in rates for rate in each)
        assert any(rate > 0 for rate in rates.lists)
        assert any(rate > 0 for rate in rates.dense)
    monkeypatch.setattr(speeds.MEASURED, "known", {})
    monkeypatch.setattr(speeds, "measure", lambda dtype: pytest.fail("measured twice"))
    assert speeds.these_speeds(torch.float32).forward == found.forward


def test_rates_are_never_negative() -> None:
    efforts = np.array([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0]])
    rates, error = fit_rates(efforts, efforts @ [1.0, 2.0])
    assert rates == pytest.approx([1.0, 2.0])
    assert error == pytest.approx(0.0, abs=1e-9)
    rates, error = fit_rates(efforts, np.array([3.0, 2.0, 1.0]))  # a straight line falls
    assert rates[0] > 0
    assert rates[1] == 0
    assert error > 0.1
