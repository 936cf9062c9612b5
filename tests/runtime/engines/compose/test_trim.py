"""Plans cut to shorter lengths: the pairs are those of the pattern, and nothing is planned anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from planned import HEADS, RULES, compiled, program

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.passes.program import Program, Range
from patternc.compiler.relations.integer import Binary, Const, Var, evaluate
from patternc.runtime.engines.compose import routes as rooms
from patternc.runtime.engines.compose.lengths.questions import of_range
from patternc.runtime.engines.compose.lengths.trim import milestone
from patternc.runtime.engines.compose.plan.diagonal import Diagonals
from patternc.runtime.engines.compose.plan.effort import Effort
from patternc.runtime.engines.compose.plan.route import Route
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Price
from patternc.runtime.engines.compose.routes import considered, find_route
from patternc.testing.machines import PLAIN, SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY
from patternc.testing.verify.batches import batch_counts

pytestmark = pytest.mark.usefixtures("forgotten")

TEXTS = {
    "dense": "pattern p causal { step everything }",
    "strided": "pattern p causal { step local(16) | strided(16) }",
    "fixed": "pattern p causal { step block(16) | fixed(16, 4) }",
    "window": "pattern p bidirectional { step local(70) }",
    "rows": "pattern p bidirectional { step rows({ j : j mod 16 >= 14 }) }",
    "classes": "pattern p bidirectional { step { (i, j) : (i - j) mod 12 = 5 and i - j < 90 } }",
    "later keys": "pattern p bidirectional { step { (i, j) : j >= i + 40 and j mod 3 = 1 } }",
    "columns": "pattern p bidirectional { step local(9) | columns(first(3)) }",
    "prefix": "pattern p causal { step { (i, j) : j <= i or j < 90 } }",
    "other residues": "pattern p bidirectional { step { (i, j) : (i - j) mod 16 = 7 } }",
}
OF_THE_LENGTH = {
    "half": "pattern p bidirectional { step { (i, j) : 2 * j <= n and i - j < 50 } }",
    "far": "pattern p bidirectional { step { (i, j) : j - i < 3 and i - j < 3 and j <= n - 70 and n - j mod 7 > 9 } }",
}


SAME_ANSWERS = {
    "last block": ("bidirectional", "blocks(local(2) | columns(last(1)), 32)", 32, 0),
    "block column": ("bidirectional", "local(9) | { (i, j) : j div 24 = (n - 1) div 24 }", 24, 0),
    "block rows": ("causal", "local(9) | { (i, j) : i div 32 = (n - 1) div 32 }", 32, 0),
    "whole blocks": ("bidirectional", "{ (i, j) : i - 40 < j < i + 40 and 16 * (j div 16) + 16 <= n }", 16, 15),
    "plane": ("bidirectional grid(t, y = 4, x = 6)", "window(1, (n - 1) div 24 + 1, 4, 6)", 24, 0),
    "place in a block": ("bidirectional", "local(9) | { (i, j) : i + 13 >= n and i mod 24 = 11 and j < 3 }", 24, 0),
    "enough": ("bidirectional", "local(9) | { (i, j) : j < 8 and n >= 300 }", 1 << 20, 0),
}
"""What asks for the length, and gets the same answers up to a length that is this modulo that."""


def cut_to(longer: Route, n: int, price: Price) -> Route:
    found = rooms.shortened(longer, n, price)
    assert found is not None
    return found


def test_milestones_are_few_and_near() -> None:
    window = program(TEXTS["window"])
    planned = {n: milestone(window, n, n) for n in range(1, 5000)}
    assert all(0 <= longer - n < max(32, n / 4) for n, longer in planned.items())
    assert len(set(planned.values())) < 40
    assert all(planned[2**power] == 2**power for power in range(5, 13))


@pytest.mark.parametrize("name", OF_THE_LENGTH)
def test_what_depends_on_the_length_is_planned_for_it(name: str) -> None:
    subject = program(OF_THE_LENGTH[name])
    assert [milestone(subject, n, n) for n in (77, 1001)] == [77, 1001]


@pytest.mark.parametrize("name", SAME_ANSWERS)
def test_a_longer_plan_is_cut_where_the_length_is_asked_for_with_the_same_answers(name: str) -> None:
    """By brute force, around the ends of tiles and of what is asked for."""
    direction, step, period, last = SAME_ANSWERS[name]
    text = f"pattern p {direction} {{ step {step} }}"
    bound, subject = pc.loads(RULES + text)["p"].bind().bound, program(text)
    price, cut = Price(SLOW_TO_MULTIPLY, HEADS, 2), 0
    for n in (*range(1, 20), *range(250, 322, 3), 383, 384, 385, 600):
        planned = milestone(subject, n, n)
        assert n <= planned <= n + (last - n) % period
        if planned > n:
            cut += 1
            longer = next(rooms.routes(subject, planned, planned, price, torch.float32))
            stages = cut_to(longer, n, price).stages
            wanted = bruteforce.mask(bound.union, bound.direction, n)
            assert np.array_equal(batch_counts(stages, n, n), wanted), (n, planned)
            # Tiles that lose the same keys stay one batch.
            batches, before = (sum(len(stage.batches) for stage in some) for some in (stages, longer.stages))
            assert batches <= before + 6
    assert cut > 25


@pytest.mark.parametrize("name", ["last block", "block column", "whole blocks"])
def test_a_length_with_other_answers_is_not_cut_from(name: str) -> None:
    direction, step, period, last = SAME_ANSWERS[name]
    text, n = f"pattern p {direction} {{ step {step} }}", 9 * period + last
    bound = pc.loads(RULES + text)["p"].bind().bound
    now, then = (bruteforce.mask(bound.union, bound.direction, length)[:n, :n] for length in (n, n + 1))
    assert not np.array_equal(now, then)
    assert milestone(program(text), n, n) == n


def test_a_length_that_cancels_is_not_asked_for() -> None:
    """n - I - (7*n + 3) // 8 is -I - (3 - n) // 8, which is the same for 12 to 19 tokens."""
    n, tile = Var("n"), Var("I")
    quotient = Binary("//", Binary("+", Binary("*", Const(7), n), Const(3)), Const(8))
    end = Binary("-", Binary("-", n, tile), quotient)
    asked = [*of_range(Range(Const(0), end, masked=True))]
    assert asked and all(len({evaluate(each, {"n": n}) for n in range(12, 20)}) == 1 for each in asked)
    assert Var("n") in of_range(Range(Const(0), Binary("-", n, tile), masked=True))


@pytest.mark.parametrize("machine", [PLAIN, SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY], ids=["plain", "launch", "multiply"])
@pytest.mark.parametrize("name", TEXTS)
def test_the_pairs_are_those_of_the_pattern(name: str, machine: object) -> None:
    """By brute force, on every route."""
    bound, subject = pc.loads(RULES + TEXTS[name])["p"].bind().bound, program(TEXTS[name])
    for n in (1, 33, 258, 301, 319, 611):
        assert milestone(subject, n, n) > n
        wanted = bruteforce.mask(bound.union, bound.direction, n)
        for route in considered(subject, n, Price(machine, HEADS, 2), torch.float32):  # type: ignore[arg-type]
            assert np.array_equal(batch_counts(route.stages, n, n), wanted), (n, route.name)


@pytest.mark.parametrize("name", TEXTS)
def test_what_a_cut_plan_asks_for_is_what_its_stages_ask_for(name: str) -> None:
    """Where it is found by subtraction, of all lengths between two milestones; rows that are written likewise."""
    subject, price = program(TEXTS[name]), Price(SLOW_TO_MULTIPLY, HEADS, 1)
    plain = [route for route in rooms.routes(subject, 640, 640, price, torch.float32) if route.name == "arranged"]
    for n in range(513, 640):
        route = cut_to(plain[0], n, price)
        efforts, rows = [], np.zeros(n, dtype=int)
        for stage in route.stages:
            if isinstance(stage, Diagonals):
                efforts.append(price.diagonals(stage))
                continue
            efforts += [price.block(batch.block, fresh=batch.fresh) for batch in stage.batches]
            taken = [place.order.ranks(0, n) if place.order.count > 1 else 0 for place in (stage.query, stage.key)]
            efforts.append(price.gathered(*taken))
            for tiles in (batch.block.tiles for batch in stage.batches if batch.fresh):  # of natural orders
                for tile in range(tiles.count):
                    rows[tiles.row + tile * tiles.row_step :][: tiles.rows] += 1
        assert route.seconds == pytest.approx(price.seconds(Effort.total(efforts)))
        if not any(isinstance(stage, Diagonals) for stage in route.stages):
            assert route.covers == (rows == 1).all()


@pytest.mark.parametrize("machine", [SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY], ids=["launch", "multiply"])
@pytest.mark.parametrize("name", TEXTS)
def test_outputs_and_gradients_are_those_of_the_reference(name: str, machine: object) -> None:
    """Some rows of "later keys" lose all of theirs."""
    text, n = TEXTS[name], 203
    inputs, weight = torch.randn(3, 1, 2, n, 16).double(), torch.randn(1, 2, n, 16).double()
    exact = pc.compile(pc.loads(RULES + text)["p"].bind(), head_dim=16, engine="reference", dtype=torch.float64)
    found = []
    for subject, dtype in ((exact, torch.float64), (compiled(text), torch.float32)):
        leaves = [x.to(dtype).requires_grad_() for x in inputs]
        with assume(machine):  # type: ignore[arg-type]
            out, lse = subject(*leaves, return_lse=True)
            found.append([out, lse, *torch.autograd.grad(out, leaves, weight.to(dtype))])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other.double(), one.double(), rtol=0, atol=2e-5)


def test_lengths_between_two_milestones_need_no_table_and_share_their_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    pairs_of = rooms.pairs_of

    def noted(subject: Program, n: int, nk: int) -> object:
        made.append(n)
        return pairs_of(subject, n, nk)

    monkeypatch.setattr(rooms, "pairs_of", noted)
    subject, price = program(TEXTS["window"]), Price(SLOW_TO_LAUNCH, HEADS, 2)
    long = find_route(subject, 1024, 1024, price, torch.float32)
    owned = {x.bias.added.untyped_storage().data_ptr() for s in long.stages for x in s.batches if x.bias is not None}
    for n in range(897, 1024, 9):
        route = find_route(subject, n, n, price, torch.float32)
        masks = [x.bias.added for s in route.stages for x in s.batches if x.bias is not None]
        assert masks and {x.untyped_storage().data_ptr() for x in masks} <= owned
        assert route.covers
    assert made == [1024]


@pytest.mark.parametrize("n", [1, 2, 17, 18, 31])
def test_diagonals_before_which_nothing_is_left_write_on_cleared_rows(n: int) -> None:
    """Sinks at 18 and 19 come first in the plan for 32 tokens, and have no query among the first 18."""
    bound = pc.loads("pattern p causal { step block(3) | columns({18..19}) }")["p"].bind()
    found = []
    for engine in ("reference", "compose"):
        torch.manual_seed(n)
        leaves = [x.requires_grad_() for x in torch.randn(3, 1, 2, n, 16)]
        with assume(SLOW_TO_MULTIPLY), unwritten_is_nan():
            out, lse = pc.compile(bound, head_dim=16, engine=engine)(*leaves, return_lse=True)
            found.append([out, lse, *torch.autograd.grad((out * out).sum() + lse.sum(), leaves)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=2e-5)


@contextmanager
def unwritten_is_nan() -> Iterator[None]:
    """Memory that torch gives out for results holds NaN, where it would hold what was there by chance."""
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
