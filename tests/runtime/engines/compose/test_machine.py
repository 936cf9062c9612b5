"""Rates: how they are found, kept and used. Nothing here depends on how fast anything runs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from patternc.runtime import measured as measuring
from patternc.runtime.cache import CacheWarning, write_record
from patternc.runtime.engines.compose.plan.effort import Effort
from patternc.runtime.engines.compose.plan.tiles import Tiles
from patternc.runtime.engines.compose.pricing import machine, probe
from patternc.runtime.engines.compose.pricing.machine import this_machine
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.pricing.rates import Rates
from patternc.runtime.measured import BUSY, MachineWarning
from patternc.testing.machines import PLAIN

RATES = Rates(*(10.0 ** (-4 - place / 2) for place in range(len(Rates._fields))))
VALUE = {"forward": RATES._asdict(), "backward": RATES._asdict(), "error": 0.25}


def test_the_fit_finds_the_rates_behind_the_times() -> None:
    efforts = np.random.default_rng(0).integers(0, 1000, (40, len(RATES))).astype(float)
    rates, error = probe.fit(efforts, efforts @ np.array(RATES))
    np.testing.assert_allclose(rates, RATES, rtol=1e-3)
    assert error < 1e-9


def test_no_rate_is_negative_and_the_error_is_told() -> None:
    efforts = np.zeros((3, len(RATES)))
    efforts[:, 0], efforts[:, 2] = 1, (1, 2, 3)
    rates, error = probe.fit(efforts, np.array([3.0, 2.0, 1.0]))  # what has more rows is faster
    assert min(rates) == 0 and rates.batches > 0
    assert error == pytest.approx(max(abs(rates.batches / seconds - 1) for seconds in (1, 2, 3)))


def test_measuring_leaves_the_threads_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "ROUNDS", 1)
    monkeypatch.setattr(probe, "MOST_ROUNDS", 1)
    before = torch.get_num_threads()
    value = probe.measure("float32")
    assert torch.get_num_threads() == before
    for direction in ("forward", "backward"):
        rates = Rates(**value[direction])
        assert all(rate >= 0 and math.isfinite(rate) for rate in rates)
        assert rates.pairs + rates.wide_pairs > 0


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """A new process on a machine that has not been measured: what is measured is noted, and always the same."""
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(machine.MEASURED, "assumed", [])
    calls: list[str] = []

    def start(error: float = 0.25) -> list[str]:
        monkeypatch.setattr(machine.MEASURED, "known", {})

        def measure(dtype: str) -> dict[str, Any]:
            calls.append(dtype)
            return {**VALUE, "error": error}

        monkeypatch.setattr(probe, "measure", measure)
        return calls

    return start


def test_a_machine_is_measured_once_for_each_data_type(measured: Callable[..., list[str]]) -> None:
    calls = measured()
    first = this_machine("float32")
    assert this_machine("float32") is first
    assert (first.forward, first.error) == (RATES, 0.25)
    assert first.name.endswith(", float32")
    measured()
    assert (this_machine("float32").forward, this_machine("float32").name) == (first.forward, first.name)
    this_machine("bfloat16")
    assert calls == ["float32", "bfloat16"]


def test_a_spoiled_record_is_measured_anew_with_a_remark(measured: Callable[..., list[str]], tmp_path: Path) -> None:
    calls = measured()
    this_machine("float32")
    [record] = tmp_path.iterdir()
    record.write_text(record.read_text(encoding="utf-8").replace("0.25", "0.0"), encoding="utf-8")
    measured()
    with pytest.warns(CacheWarning, match="it was changed after it was written"):
        this_machine("float32")
    measured()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        this_machine("float32")
    assert calls == ["float32"] * 2


@pytest.mark.parametrize(
    "value",
    [
        [],
        "rates",
        VALUE | {"load": "much"},
        VALUE,  # no load
        VALUE | {"load": 0.0, "forward": {}},
        VALUE | {"load": 0.0, "forward": list(RATES)},
        VALUE | {"load": 0.0, "backward": RATES._asdict() | {"rows": math.nan}},
        VALUE | {"load": 0.0, "backward": RATES._asdict() | {"rows": -1.0}},
        VALUE | {"load": 0.0, "error": None},
        {"load": 0.0, "forward": RATES._asdict(), "error": 0.0},
    ],
)
def test_a_record_that_holds_no_rates_is_measured_anew_with_a_remark(
    measured: Callable[..., list[str]], value: object
) -> None:
    calls = measured()
    write_record("machine", *machine.MEASURED.about("float32"), value)
    with pytest.warns(CacheWarning, match="is ignored: it holds no rates"):
        assert this_machine("float32").forward == RATES
    measured()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        this_machine("float32")
    assert calls == ["float32"]


def test_bad_rates_are_used_with_a_remark_and_not_kept(measured: Callable[..., list[str]], tmp_path: Path) -> None:
    measured(error=1.5)
    with pytest.warns(MachineWarning, match="off by up to 150%; it will be measured again"):
        assert this_machine("float32").forward == RATES
    assert not list(tmp_path.iterdir())


def test_what_a_busy_machine_gave_is_measured_again_when_it_is_calm(
    measured: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for load in (2 * BUSY, 2 * BUSY, BUSY, BUSY / 2, 0.0, 2 * BUSY):
        monkeypatch.setattr(measuring, "others", lambda load=load: load)
        calls = measured()
        this_machine("float32")
        found.append(len(calls))
    assert found == [1, 1, 1, 2, 2, 2]


# What a batch asks for ------------------------------------------------------------------------------------------------


def price(threads: int = 1, *, backward: bool = False, **heads: int) -> Price:
    return Price(PLAIN, Heads(**{"batch": 1, "keys": 1, "group": 1, "dim": 10, **heads}), threads, backward)


def test_blocks_are_counted() -> None:
    found = price(keys=2).tiles(Tiles(0, 100, 100, 0, 50, 50, 3), classes=2, masked=True)
    blocks = 2 * 3 * 2
    assert (found.batches, found.launches) == (1, 2)  # three dims of blocks: a loop over the shortest
    assert (found.rows, found.keys, found.pairs) == (blocks * 100, blocks * 4 * 50, blocks * 5000)
    assert (found.masked, found.wide_pairs, found.merged) == (blocks * 5000, blocks * 50_000, blocks * 1000)


@pytest.mark.parametrize("n", [1, 31, 200, 700, 1024, 3000])
def test_a_triangle_is_computed_512_keys_at_a_time(n: int) -> None:
    at_once = 32 if n < 192 else 64 if n < 768 else 256
    pairs = 0
    for row in range(n):  # row by row: the last query of its group decides how many keys are computed
        last = min(n, (row // at_once + 1) * at_once)
        pairs += min(n, math.ceil(last / 512) * 512)
    assert price().tiles(Tiles(0, n, 0, 0, n, 0, 1), triangle=True).pairs == pairs


def test_the_busiest_thread_counts() -> None:
    three = Tiles(0, 32, 32, 0, 10, 10, 3)
    assert price(2).tiles(three).rows == 2 * 32
    assert price(4).tiles(three).rows == 32
    # Backward a block is the work of one thread, forward each group of 32 of its queries.
    one = Tiles(0, 128, 0, 0, 10, 0, 1)
    assert (price(4).tiles(one).rows, price(4, backward=True).tiles(one).rows) == (32, 128)


def test_seconds_are_effort_times_rates() -> None:
    assert RATES.seconds(Effort(batches=2, groups=3)) == pytest.approx(2e-4 + 3e-5)
    assert price().seconds(Effort(launches=1)) == PLAIN.forward.launches
    assert price(backward=True).seconds(Effort(launches=1)) == PLAIN.backward.launches
