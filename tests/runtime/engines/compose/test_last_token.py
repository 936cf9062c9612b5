"""Plans of patterns that ask where the last token is: what does is planned anew, beside what is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planned import HEADS, RULES, compiled, program

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.passes.program import Order
from patternc.runtime.engines.compose import routes as rooms
from patternc.runtime.engines.compose.lengths.longer import is_fresh
from patternc.runtime.engines.compose.lengths.trim import milestone
from patternc.runtime.engines.compose.plan.diagonal import Diagonals
from patternc.runtime.engines.compose.plan.effort import Effort
from patternc.runtime.engines.compose.plan.route import Route
from patternc.runtime.engines.compose.plan.stage import Biases
from patternc.runtime.engines.compose.planning import blocks, distances
from patternc.runtime.engines.compose.planning.arranged import arranged, effort_of
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Price
from patternc.testing.machines import SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY
from patternc.testing.verify.batches import batch_counts

pytestmark = pytest.mark.usefixtures("forgotten")

OF_THE_LAST_TOKEN = {
    "last": "pattern p bidirectional { step local(9) | columns(last(5)) }",
    "ring": "pattern p bidirectional { step local(9) | { (i, j) : i = n - 1 and j < 3 } }",
    "both ways": "pattern p bidirectional { step ring | global(first(1)) | { (i, j) : i = 2 and j = n - 2 } }",
    "from 400 on": "pattern p bidirectional { step local(5) | { (i, j) : i = n - 1 and j = 0 and n >= 400 } }",
    "neighborhood": "pattern p bidirectional { step nearest(7) }",
    "dilated": "pattern p bidirectional { step dilate(nearest(5), 6) }",
    "in turn": "pattern p bidirectional { step nearest(7) | dilate(nearest(7), 8) }",
    "shared": "pattern p bidirectional { step shared(7, 2) }",
    "sinks": "pattern p bidirectional { step nearest(5) | columns(first(2)) | rows(first(1)) }",
    "last ones first": "pattern p bidirectional { step { (i, j) : i >= n - 4 and j = i - 3 } | local(4) }",
}
"""Some of the pairs are near the last token, wherever that is; others have been the same at fewer tokens."""


@pytest.mark.parametrize("machine", [SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY], ids=["launch", "multiply"])
@pytest.mark.parametrize("name", OF_THE_LAST_TOKEN)
def test_what_is_near_the_last_token_is_planned_anew_beside_what_is_cut(name: str, machine: object) -> None:
    """By brute force; what the stages ask for, and which rows are written, is that of the stages."""
    bound, subject = pc.loads(RULES + OF_THE_LAST_TOKEN[name])["p"].bind().bound, program(OF_THE_LAST_TOKEN[name])
    price, longer, cut = Price(machine, HEADS, 2), dict[int, Route](), 0  # type: ignore[arg-type]
    for n in (*range(1, 30), *range(100, 200, 7), *range(301, 385), 511, 513, 700, 701, 1021, 1150):
        planned = milestone(subject, n, n)
        if planned == n:
            continue
        if planned not in longer:
            longer[planned] = next(rooms.routes(subject, planned, planned, price, torch.float32))
        route = rooms.shortened(longer[planned], n, price)
        if route is None:
            continue
        cut += 1
        wanted = bruteforce.mask(bound.union, bound.direction, n)
        assert np.array_equal(batch_counts(route.stages, n, n), wanted), (n, planned)
        assert not any(is_fresh(stage) for stage in route.stages[1:])
        assert route.seconds == pytest.approx(price.seconds(Effort.total(effort_of(s, price) for s in route.stages)))
    assert cut > 100


@pytest.mark.parametrize("count", [1, 2, 5, 7])
@pytest.mark.parametrize("start", [0, 3])
def test_neighbouring_classes_have_as_many_ranks_as_are_told(count: int, start: int) -> None:
    order = Order(period=7, count=count, start=start, classes=7)
    for n in range(40):
        for cls in range(7):
            ranks = [order.ranks(each, n) for each in range(cls, cls + 50)]
            assert min(order.alike(cls, n), 50) == next((at for at, each in enumerate(ranks) if each != ranks[0]), 50)


@pytest.mark.parametrize("n", [3001, 1 << 20])
def test_where_a_mask_bounds_its_ranks_no_tile_is_looked_at(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ring of tokens: beside its diagonals the first with the last, either way."""
    subject = program("pattern p bidirectional { step ring }")
    monkeypatch.setattr(blocks, "reaches", None)  # by which all tiles would be
    price, biases = Price(SLOW_TO_LAUNCH, HEADS, 2), Biases(torch.float32)
    found = [
        (stage.query.spacing(), stage.key.spacing(), batch.block.tiles)
        for stage in arranged(subject, n, n, price, biases).stages
        if not isinstance(stage, Diagonals)
        for batch in stage.batches
    ]
    pairs = {(row[0] + row[2] * tiles.row, key[0] + key[2] * tiles.key) for row, key, tiles in found}
    assert pairs == {(1, n - 1), (n - 1, 1)}
    assert all((tiles.rows, tiles.keys, tiles.count) == (1, 1, 1) for *_, tiles in found)


@pytest.mark.parametrize("name", ["neighborhood", "dilated", "in turn", "shared"])
def test_of_diagonals_only_the_last_queries_are_looked_at(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a million tokens: the diagonals are those that are found anew."""
    subject, price = program(OF_THE_LAST_TOKEN[name]), Price(SLOW_TO_LAUNCH, HEADS, 2)
    n = 1 << 20
    longer = rooms.plan(subject, n, n, price, torch.float32)
    fewer = (n - 1, n - 2, n - 50, n - 130, n - 131, n - 1001)
    anew = [rooms.plan(subject, some, some, price, torch.float32) for some in fewer]
    monkeypatch.setattr(distances, "runs_at_distances", None)  # by which each would be planned anew
    for some, wanted in zip(fewer, anew, strict=True):
        route = rooms.shortened(longer, some, price)
        assert route is not None
        assert route.seconds == wanted.seconds
        assert all(isinstance(stage, Diagonals) for stage in (*route.stages, *wanted.stages))
        ends = [[one for stage in each.stages for one in stage.each] for each in (route, wanted)]  # type: ignore[union-attr]
        for one, same in zip(*ends, strict=True):
            assert (one.offset, one.start, one.stop) == (same.offset, same.start, same.stop)
            for first in (one.start, one.stop - 5000):
                masks = [each.within(max(first, one.start), one.stop)[2] for each in (one, same)]
                assert (masks[0] is None) == (masks[1] is None)
                assert masks[0] is None or masks[1] is None or torch.equal(masks[0][:5000], masks[1][:5000])


@pytest.mark.parametrize("machine", [SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY], ids=["launch", "multiply"])
@pytest.mark.parametrize("name", OF_THE_LAST_TOKEN)
def test_outputs_and_gradients_are_those_of_the_reference(name: str, machine: object) -> None:
    text, n = OF_THE_LAST_TOKEN[name], 907
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
