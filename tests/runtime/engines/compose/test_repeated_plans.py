"""Plans with whole periods put in: the pairs are those of the pattern, at every length."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planned import HEADS, program

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.passes.pinned import Pinned
from patternc.compiler.passes.program import Program
from patternc.runtime.engines.compose import routes as rooms
from patternc.runtime.engines.compose.lengths.periodic import periodic
from patternc.runtime.engines.compose.lengths.repeatable import MOST_FAILED, Repeatable, Way
from patternc.runtime.engines.compose.plan.effort import Effort
from patternc.runtime.engines.compose.plan.periodic import BESIDE, Periodic
from patternc.runtime.engines.compose.plan.route import Route
from patternc.runtime.engines.compose.planning.arranged import effort_of
from patternc.runtime.engines.compose.pricing.price import Price
from patternc.testing.machines import PLAIN
from patternc.testing.verify.batches import batch_counts

pytestmark = pytest.mark.usefixtures("forgotten")

PRICE = Price(PLAIN, HEADS, 2)

TEXTS = {
    "rows of a grid": "pattern p bidirectional grid(y, x = 16) { step { (i, j) : -2 <= i.x - j.x <= 2 and (i.y < 2 and "
    "j.y <= 4 or -2 <= i.y - j.y <= 2 or (n - 1) div 16 - 1 <= i.y and (n - 1) div 16 - 4 <= j.y) } }",
    "first and last blocks": "pattern p bidirectional "
    "{ step blocks(local(3) | global(first(2)) | columns(last(1)), 16) }",
    "whole blocks": "pattern p bidirectional { step { (i, j) : i - 40 < j < i + 40 and 16 * (j div 16) + 16 <= n } }",
    "packed keys": "pattern p bidirectional { step local(5) "
    "| { (i, j) : j mod 8 = 7 and 16 * (j div 16) + 16 <= n and i - 60 < j < i + 60 } }",
    "first blocks": "pattern p causal { step { (i, j) : j <= i and (i div 16 = j div 16 "
    "or (j div 32 = 0 and n > 16 * (i div 16) + 40)) } }",
}

LENGTHS = {
    "rows of a grid": (1500, 1777, 2047),
    "first and last blocks": (2817, 3000),
    "whole blocks": (2511, 2700),
    "packed keys": (2511, 2731),
    "first blocks": (800, 870, 1030),
}


def repeated(program: Program, n: int, monkeypatch: pytest.MonkeyPatch) -> Route | None:
    """The plan for so many tokens from that for fewer, however short."""
    monkeypatch.setattr(rooms, "LONGEST_STRIPS", 0)
    return rooms._repeated(program, n, PRICE, torch.float32)


@pytest.mark.parametrize("name", TEXTS)
def test_pairs_are_those_of_the_pattern(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bound, subject = pc.loads(TEXTS[name])["p"].bind().bound, program(TEXTS[name])
    for n in LENGTHS[name]:
        planned = rooms.milestone(subject, n, n)
        longer = repeated(subject, planned, monkeypatch)
        assert longer is not None, planned
        for length in {planned, n}:
            route = longer if length == planned else rooms.shortened(longer, length, PRICE)
            assert route is not None
            wanted = bruteforce.mask(bound.union, bound.direction, length)
            assert np.array_equal(batch_counts(route.stages, length, length), wanted), length


def test_what_they_ask_for_is_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that is repeated is priced as one that was made has its batches priced."""
    subject = program(TEXTS["rows of a grid"])
    found = repeated(subject, 2048, monkeypatch)
    assert found is not None
    asked = Effort.total(effort_of(stage, PRICE) for stage in found.stages)
    assert found.seconds == pytest.approx(PRICE.seconds(asked))


def test_what_is_repeated_may_be_repeated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """From its own length on, not from that of the plan that was made."""
    bound, subject = pc.loads(TEXTS["rows of a grid"])["p"].bind().bound, program(TEXTS["rows of a grid"])
    known, found = periodic(Pinned(subject)), repeated(subject, 1504, monkeypatch)
    assert known is not None
    assert found is not None
    assert found.longer is not None
    once = found.longer()
    assert once is not None
    n = 1504 + 6 * known.tokens
    again = once.repeated(known, n)
    assert again is not None
    cut = again.cut(n)
    assert cut is not None
    assert np.array_equal(batch_counts(cut.stages, n, n), bruteforce.mask(bound.union, bound.direction, n))


@pytest.mark.parametrize(
    "text",
    [
        "pattern p causal { step { (i, j) : j < 0 } }",
        "pattern p bidirectional { step { (i, j) : 2 * j <= i + (n - 1) div 16 } }",
        "pattern p bidirectional { step { (i, j) : i - 3 < j < i + 3 and i + j <= 16 * (n div 16) } }",
    ],
)
def test_what_is_said_of_a_part_of_the_length_does_not_come_again(text: str) -> None:
    assert periodic(Pinned(program(text))) is None


def test_only_sequences_with_three_gaps_are_repeated() -> None:
    """Of a shorter one a constant might be told from both ends."""
    known = Periodic(tokens=16, beside=2)
    for n in range(100, 2000):
        first = known.first(n, 0)
        assert (n - first) % 16 == 0
        assert first // 16 >= 3 * (2 + BESIDE)
        assert known.first(n, 1000) > 1000


def test_what_fails_is_given_up() -> None:
    way = Way(Periodic(tokens=16, beside=1), 0)
    tried = Repeatable((way,))
    lengths = [400 + place for place in range(16)]
    looked = []
    for n in lengths:
        for _, first in tried.shorter(n):
            looked.append(first)
            tried.note(way, first, repeated=False)
    assert len(set(looked)) == len(looked) == MOST_FAILED
    assert not list(tried.shorter(lengths[0]))
