"""Routes: which is taken, and that each is what it says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import patternc as pc
from patternc.compiler import bruteforce
from patternc.compiler.passes.program import Program
from patternc.runtime.engines.compose import kept
from patternc.runtime.engines.compose import routes as rooms
from patternc.runtime.engines.compose.plan.combs import MOST_COMBS, evenly
from patternc.runtime.engines.compose.plan.place import Gathered, Side
from patternc.runtime.engines.compose.plan.route import Route
from patternc.runtime.engines.compose.plan.tiles import Tiles
from patternc.runtime.engines.compose.planning.pairs import pairs_of
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.pricing.rates import Machine
from patternc.runtime.engines.compose.routes import find_route, routes, takeable
from patternc.testing.machines import PLAIN, SLOW_TO_LAUNCH, SLOW_TO_MULTIPLY

HEADS = Heads(batch=1, keys=2, group=2, dim=16)
pytestmark = pytest.mark.usefixtures("forgotten")

TEXTS = {
    "dense": "pattern p causal { step everything }",
    "everything": "pattern p bidirectional { step everything }",
    "strided": "pattern p causal { step local(16) | strided(16) }",
    "fixed": "pattern p causal { step block(16) | fixed(16, 4) }",
    "window": "pattern p bidirectional { step local(65) }",
    "rows": "pattern p bidirectional { step rows({ j : j mod 16 >= 14 }) }",
}


def compiled(name: str) -> pc.Compiled:
    return pc.compile(pc.loads(TEXTS[name])["p"].bind(), head_dim=16, engine="compose")


def program(name: str) -> Program:
    found = compiled(name).program
    assert found is not None
    return found


def ways(name: str, n: int, machine: Machine = PLAIN) -> dict[str, Route]:
    return {route.name: route for route in routes(program(name), n, n, Price(machine, HEADS, 2), torch.float32)}


@pytest.mark.parametrize("n", [1, 50, 333])
@pytest.mark.parametrize("name", TEXTS)
def test_the_table_of_pairs_is_the_formula(name: str, n: int) -> None:
    bound = pc.loads(TEXTS[name])["p"].bind().bound
    assert np.array_equal(pairs_of(program(name), n, n), bruteforce.mask(bound.union, bound.direction, n))


def launches(route: Route) -> int:
    return sum(len(stage.batches) for stage in route.stages)


def scores(route: Route) -> int:
    return sum(batch.block.tiles.pairs * batch.block.classes for stage in route.stages for batch in stage.batches)


def test_the_machine_decides() -> None:
    n = 640
    for machine, asked in ((SLOW_TO_LAUNCH, launches), (SLOW_TO_MULTIPLY, scores)):
        found = ways("strided", n, machine)
        chosen = find_route(program("strided"), n, n, Price(machine, HEADS, 2), torch.float32)
        assert asked(chosen) == min(asked(route) for route in found.values())
    assert find_route(program("strided"), n, n, Price(SLOW_TO_MULTIPLY, HEADS, 2), torch.float32).name == "arranged"
    alone = find_route(program("strided"), n, n, Price(SLOW_TO_LAUNCH, HEADS, 2), torch.float32)
    assert (alone.name, launches(alone)) == ("strips", 1)


def test_fewer_scores_are_worth_smaller_strips() -> None:
    slow, fast = (ways("window", 900, machine)["strips"] for machine in (SLOW_TO_MULTIPLY, SLOW_TO_LAUNCH))
    assert scores(slow) < scores(fast) == 900 * 900
    assert launches(slow) > launches(fast) == 1


@pytest.mark.parametrize(("name", "causal"), [("dense", True), ("everything", False)])
def test_a_pattern_that_is_everything_is_dense_attention_itself(name: str, causal: bool) -> None:
    n = 300
    [stage] = ways(name, n)["strips"].stages
    [batch] = stage.batches
    assert batch.bias is None and batch.block.triangle == causal
    assert batch.block.tiles == Tiles(0, n, 0, 0, n, 0, 1)
    q, k, v = torch.randn(3, 1, 4, n, 16)
    with assume(SLOW_TO_LAUNCH):
        out = compiled(name)(q, k, v)
    assert torch.equal(out, F.scaled_dot_product_attention(q, k, v, is_causal=causal))


def test_equal_strips_are_one_batch_and_share_a_mask() -> None:
    found = ways("window", 2000, SLOW_TO_MULTIPLY)["strips"]
    blocks = [batch.block for stage in found.stages for batch in stage.batches]
    assert max(block.tiles.count for block in blocks) > 10
    assert found.held == sum(
        {id(b.bias): b.bias.added.nbytes for s in found.stages for b in s.batches if b.bias}.values()
    )


def test_keys_far_apart_are_gathered() -> None:
    found = ways("fixed", 800, SLOW_TO_MULTIPLY)["strips"]
    assert any(type(stage.key).__name__ == "Gathered" for stage in found.stages)


def strips_of(subject: pc.Compiled, n: int, machine: Machine) -> Route:
    assert subject.program is not None
    [found] = [r for r in routes(subject.program, n, n, Price(machine, HEADS, 2), torch.float32) if r.name == "strips"]
    return found


def mask_counts(found: Route, n: int) -> np.ndarray[Any, Any]:
    from patternc.testing.verify.batches import batch_counts

    return batch_counts(found.stages, n, n)


def test_queries_that_read_the_same_keys_are_a_strip() -> None:
    """Of (i - j) mod 16 = 0 the rows of a class read that class alone: a strip each."""
    n = 640
    text = "pattern p causal { step { (i, j) : (i - j) mod 16 = 0 or (i - j) mod 16 = 5 } }"
    subject = pc.compile(pc.loads(text)["p"].bind(), head_dim=16, engine="compose")
    assert subject.program is not None
    found = {r.name: r for r in routes(subject.program, n, n, Price(SLOW_TO_MULTIPLY, HEADS, 2), torch.float32)}[
        "strips"
    ]
    assert {stage.query.order.classes for stage in found.stages if isinstance(stage.query, Side)} == {16}
    assert scores(found) < n * n / 6
    assert np.array_equal(mask_counts(found, n), pairs_of(subject.program, n, n))
    assert found.covers


def test_the_first_queries_are_a_triangle_where_that_is_cheaper() -> None:
    n = 1000
    text = "pattern p causal { step local(700) }"
    subject = pc.compile(pc.loads(text)["p"].bind(), head_dim=16, engine="compose")
    found = strips_of(subject, n, SLOW_TO_LAUNCH)
    assert [batch.block.triangle for stage in found.stages for batch in stage.batches] == [False]
    dear = SLOW_TO_LAUNCH.forward._replace(launches=0.0, masked=1.0)  # what has a mask takes long
    masks = Machine("one on which a mask takes a second", dear, dear, 0.0)
    found = strips_of(subject, n, masks)
    first = found.stages[0].batches[0].block
    assert first.triangle and first.tiles.rows == 700
    assert np.array_equal(mask_counts(found, n), pairs_of(subject.program, n, n))


def test_keys_that_all_attend_to_are_a_block_without_a_mask() -> None:
    n = 1024
    text = "pattern p bidirectional { step { (i, j) : j < 512 or j >= i } }"
    subject = pc.compile(pc.loads(text)["p"].bind(), head_dim=16, engine="compose")
    assert subject.program is not None
    rates = PLAIN.forward._replace(masked=1e-6)
    masks = Machine("one on which masks take long", rates, rates, 0.0)
    found = strips_of(subject, n, masks)
    batches = [batch for stage in found.stages for batch in stage.batches]
    assert {batch.fresh for batch in batches if batch.bias is None} == {True}
    assert {batch.fresh for batch in batches if batch.bias is not None} == {False}
    assert np.array_equal(mask_counts(found, n), pairs_of(subject.program, n, n))


@pytest.mark.parametrize("layout", ["apart", "behind tokens", "grouped"])
def test_one_block_of_all_is_right_in_any_layout(layout: str) -> None:
    shape = (2, 70, 4, 16) if layout == "behind tokens" else (2, 4, 70, 16)
    q, k, v = torch.randn(3, *shape)
    if layout == "behind tokens":
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    if layout == "grouped":
        k, v = k[:, ::2], v[:, ::2]
    out, lse = compiled("dense")(q, k, v, return_lse=True)
    assert out.is_contiguous() and lse.is_contiguous()
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=layout == "grouped")
    torch.testing.assert_close(out, expected, atol=2e-6, rtol=0)
    scores = q @ k.repeat_interleave(4 // k.shape[1], 1).mT / 4
    torch.testing.assert_close(lse, scores.masked_fill(torch.ones(70, 70).triu(1) > 0, -torch.inf).logsumexp(-1))


def test_a_single_call_is_taken_unless_another_way_is_surely_faster() -> None:
    def route(name: str, seconds: float, *, alone: bool) -> Route:
        return Route(name, (), True, alone, seconds, 0.0, 0)

    one = route("one call", 1.0, alone=True)
    assert [r.name for r in takeable([route("near", 0.95, alone=False), one])] == ["one call", "near"]
    assert [r.name for r in takeable([one, route("sure", 0.8, alone=False)])] == ["sure", "one call"]


def test_routes_with_many_masks_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MOST_HELD", 1000)
    found = ways("strided", 600, SLOW_TO_LAUNCH)
    assert found["strips"].held > 1000
    assert [route.name for route in takeable(found.values())] == ["arranged"]


def test_a_long_sequence_has_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "LONGEST_STRIPS", 99)
    assert (list(ways("window", 99)), list(ways("window", 100))) == (["arranged", "strips"], ["arranged"])


def test_a_route_is_found_once_and_the_largest_give_way(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[int] = []
    make = rooms.routes

    def noted(program: Program, n: int, *rest: object) -> Iterator[Route]:
        planned.append(n)
        return make(program, n, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(rooms, "routes", noted)
    subject, price = program("strided"), Price(PLAIN, HEADS, 2)
    first = find_route(subject, 640, 640, price, torch.float32)
    assert find_route(subject, 640, 640, price, torch.float32) is first
    assert find_route(subject, 640, 640, Price(PLAIN, HEADS, 2, backward=True), torch.float32) is not first
    assert planned == [640, 640]
    assert first.held > 0
    monkeypatch.setattr(kept, "KEPT", first.held)
    find_route(subject, 768, 768, price, torch.float32)
    find_route(subject, 640, 640, price, torch.float32)
    assert planned == [640, 640, 768, 640]


def test_masks_lie_row_by_row() -> None:
    """As the kernel reads them; numpy picks columns into column-major arrays."""
    found = ways("fixed", 800, SLOW_TO_MULTIPLY)["strips"]
    gathered = [
        batch.bias.added
        for stage in found.stages
        if isinstance(stage.key, Gathered)
        for batch in stage.batches
        if batch.bias is not None
    ]
    assert gathered and all(mask.is_contiguous() for mask in gathered)


@pytest.mark.parametrize(
    ("tokens", "combs"),
    [
        ([3], 1),
        ([0, 1, 2, 9, 10, 11, 30], 2),
        ([0, 1, 2, 9, 10, 30], None),
        ([1, 2, 11, 12, 21, 22, 30, 31, 32], 2),
        (list(range(0, 40, 3)), 1),
        ([first * first for first in range(2 * MOST_COMBS)], MOST_COMBS),
        ([first * first for first in range(2 * MOST_COMBS + 1)], None),
        ([], None),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_tokens_are_taken_put_back_and_added_to_comb_by_comb(
    tokens: list[int], combs: int | None, turned: bool
) -> None:
    place, x = Gathered(torch.tensor(tokens, dtype=torch.int64)), torch.randn(2, 3, 300, 4)
    if turned:  # tokens before heads
        x = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert combs == (None if place.combs is None else len(place.combs))
    taken = place.take(x)
    assert torch.equal(taken, x[:, :, tokens])
    expected = x.clone()
    expected[:, :, tokens] += 1
    written, added = x.clone(), x.clone()
    place.put_back(written, taken + 1)
    place.add(added, torch.ones_like(taken))
    assert torch.equal(written, expected) and torch.equal(added, expected)


@pytest.mark.parametrize(
    ("tokens", "even"),
    [([5], slice(5, 6, 1)), ([2, 3, 4], slice(2, 5, 1)), ([1, 8, 15], slice(1, 16, 7)), ([1, 2, 4], None), ([], None)],
)
def test_evenly_spaced_tokens_are_a_slice(tokens: list[int], even: slice | None) -> None:
    assert evenly(np.array(tokens, dtype=np.int64)) == even
