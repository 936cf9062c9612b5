"""Predictions: of a machine that is written down, so that every number here is arithmetic."""

from __future__ import annotations

import json

import pytest
import torch

import patternc as pc
from patternc.compiler.explain.prediction import BreakEven
from patternc.compiler.report import prediction as report
from patternc.runtime.engines.compose.plan.tiles import Tiles
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.errors import EngineError
from patternc.testing.machines import PLAIN, SLOW_TO_LAUNCH


def compiled(file: str, *, engine: str = "auto", dtype: torch.dtype = torch.float32) -> pc.Compiled:
    return pc.compile(pc.load(f"library:{file}")[file].bind(), engine=engine, dtype=dtype, device="cpu")


def test_a_sparse_pattern_is_faster_and_dense_is_dense() -> None:
    found = compiled("strided_factorized").predict(16384, heads=4)
    assert found.forward.speedup > 10 and found.backward.speedup > 6
    assert [way.seconds for way in found.forward.ways] == sorted(way.seconds for way in found.forward.ways)
    whole = compiled("dense").predict(4096, heads=4)
    assert whole.forward.speedup == pytest.approx(1, abs=0.01)
    heads, threads = Heads(batch=1, keys=4, group=1, dim=64), torch.get_num_threads()
    priced = Price(PLAIN, heads, threads)
    square = priced.tiles(Tiles(0, 4096, 0, 0, 4096, 0, 1), triangle=True, fresh=True)
    assert whole.forward.dense == pytest.approx(priced.seconds(square))


def test_the_choice_follows_the_machine_and_is_what_runs() -> None:
    subject = compiled("strided_factorized")
    assert subject.predict(600, heads=2).forward.chosen.name == "arranged"
    with assume(SLOW_TO_LAUNCH):
        found = subject.predict(600, heads=2)
        assert found.forward.chosen.name == "strips"
        assert found.machine.startswith("one on which a kernel call takes a second, ")


def test_it_is_told_in_words_and_in_numbers() -> None:
    found = compiled("sliding_window").predict(2048, batch=2, heads=8, key_heads=2)
    first, second, where = report.lines(found)
    assert first.startswith("  time     ") and " ms forward, " in first and "times as fast as dense" in first
    assert " as strips; arranged " in first or " as arranged; strips " in first
    assert " backward, " in second
    assert where.strip().startswith("predicted for a machine of round numbers, ")
    assert where.endswith("batch 2, 8 heads of 64; from rates that a short probe measured")
    plain = json.loads(json.dumps(report.plain(found)))
    assert plain["forward"]["seconds"] == found.forward.chosen.seconds
    assert plain["backward"]["speedup"] == found.backward.speedup
    assert {way["name"] for way in plain["forward"]["ways"]} == {"arranged", "strips"}


def test_up_to_which_density_lists_are_read_is_told() -> None:
    found = [BreakEven("hot", 0.614), BreakEven("few", 0.0), BreakEven("most", 1.0)]
    assert list(report.ways(found)) == [
        "  lists    `hot` up to 61% of the pairs; beyond, dense under a mask",
        "           `few` never: dense attention under a mask is predicted to be faster",
        "           `most` whatever is selected",
    ]
    assert not list(report.ways([]))


@pytest.mark.parametrize(("seconds", "text"), [(2.0, "2 s"), (0.01234, "12.3 ms"), (4.5e-5, "45 us")])
def test_durations(seconds: float, text: str) -> None:
    assert report.duration(seconds) == text


def test_what_cannot_be_predicted_is_refused() -> None:
    with pytest.raises(EngineError, match="what engine 'reference' takes is not predicted"):
        compiled("dense", engine="reference").predict(10)
    with pytest.raises(EngineError, match="3 query heads are not a multiple of 2 key heads"):
        compiled("dense").predict(10, heads=3, key_heads=2)
    for n in (0, 128.0):
        with pytest.raises(EngineError, match=f"a length of at least 1, an integer, not {n}"):
            compiled("dense").predict(n)  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="a batch of 0; give at least 1"):
        compiled("dense").predict(10, batch=0)
