"""Which way a program runs at a length: the fastest by prediction, and what the others would take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache, lru_cache, partial

import torch

from ....compiler.passes.pinned import Pinned
from ....compiler.passes.program import Order, Program
from ..integers import HOST, require_fit
from .kept import Kept
from .lengths.anew import Anew
from .lengths.longer import Longer
from .lengths.ranks import is_roomy
from .lengths.repeatable import repeatable
from .lengths.trim import milestone, shared
from .plan.diagonal import Diagonals
from .plan.effort import Effort
from .plan.route import Longer as LongerPlan
from .plan.route import Route, single_block
from .plan.stage import Biases, Stage, Stages
from .plan.tiles import Mask
from .planning.arranged import arranged
from .planning.pairs import PairTable, pairs_of
from .planning.strips import CERTAIN, strips
from .pricing.price import Price

LONGEST_STRIPS = 8192
"""Strips are found in a table of all pairs. Where sequences are longer, arranged terms are far ahead anyhow."""

MOST_HELD = 64 << 20
"""A route whose masks take more bytes is not taken."""


def routes(program: Program | PairTable, n: int, nk: int, price: Price, dtype: torch.dtype) -> Iterator[Route]:
    """Every way to run n queries against nk keys, as many as there are queries but for a cross program."""
    if isinstance(program, Program):
        require_fit(program, max(n, nk), HOST)
        biases = Biases(dtype)
        stages, effort, numbers = arranged(program, n, nk, price, biases)
        longer = partial(_longer, program, stages, n, price, dtype, numbers)
        route = _route("arranged", n, stages, effort, price, biases, longer)
        yield _of_tokens(route, n, price)
    if max(n, nk) <= LONGEST_STRIPS:
        biases = Biases(dtype)
        table = _pairs(Pinned(program), n, nk)
        stages, effort = strips(table, _orders(program, n), price, biases)
        yield _route("strips", n, stages, effort, price, biases, partial(_longer, program, stages, n, price, dtype))


def _orders(program: Program | PairTable, n: int) -> list[Order]:
    """Orders of queries in classes, each token in one."""
    every = program.orders if isinstance(program, PairTable) else (term.query for term in program.terms)
    found = dict.fromkeys(every)
    return [order for order in found if 1 < order.classes <= n and order.covers_all]


def _route(
    name: str, n: int, stages: Stages, effort: Effort, price: Price, biases: Biases, longer: Callable[[], Longer | None]
) -> Route:
    seconds, python = price.seconds(effort), _python(stages, effort, price)
    covered, one = _covered(stages, _written(stages), n), single_block(stages, n)
    return Route(name, stages, *covered, seconds, python, biases.held, one, longer=cache(longer))


def _of_tokens(route: Route, n: int, price: Price) -> Route:
    """A plan for n tokens without the ranks that have none; cut, it tells the lengths that it would as it is."""
    blocks = (stage for stage in route.stages if isinstance(stage, Stage))
    if not any(is_roomy(stage, n) for stage in blocks):
        return route
    found = shortened(route, n, price)
    assert found is not None
    return replace(found, held=route.held + found.held, masks_of=None, longer=route.longer)


def _longer(
    program: Program | PairTable,
    stages: Stages,
    n: int,
    price: Price,
    dtype: torch.dtype,
    numbers: tuple[int, ...] = (),
) -> Longer | None:
    """A plan to be cut, of sweeps of these ``numbers``, or of strips: these are not cut where some pairs are others at
    every length."""
    if isinstance(program, PairTable) or not (own := shared(Pinned(program)).own):
        return Longer(stages, n, price, dtype)
    return Longer(stages, n, price, dtype, numbers, Anew(program, own, price, dtype)) if numbers else None


def _python(stages: Stages, effort: Effort, price: Price) -> float:
    """Seconds around the calls of blocks and the gathers of keys, and around the operations of a diagonal for one key
    head: more of these are taken together as far as they are few elements."""
    diagonals = [stage for stage in stages if isinstance(stage, Diagonals)]
    batches, steps = effort.batches, 0.0
    if diagonals:
        one = price._replace(heads=price.heads._replace(batch=1, keys=1))
        alone = [one.diagonals(stage) for stage in diagonals]
        batches += sum(each.batches for each in alone) - sum(price.diagonals(stage).batches for stage in diagonals)
        steps = sum(each.steps for each in alone)
    return price.seconds(Effort(batches=batches, launches=effort.launches, steps=steps))


def _covered(stages: Stages, written: int, n: int) -> tuple[bool, bool]:
    """(whether what is fresh writes every one of n rows, whether one kernel call does all of it). ``written``: how many
    rows fresh batches write."""
    if any(isinstance(stage, Diagonals) for stage in stages):
        # Fresh diagonals write all rows. Those that come first in a plan that was cut need not be: what came before
        # them had no row in the shorter sequence.
        first = stages[0]
        return isinstance(first, Diagonals) and first.fresh, False
    alone = len(stages) == 1 and isinstance(stages[0], Stage) and stages[0].runs == 1
    return written == n, alone and written == n


def _written(stages: Stages) -> int:
    return sum(batch.written for stage in stages if not isinstance(stage, Diagonals) for batch in stage.batches)


@lru_cache(maxsize=1)
def _pairs(pinned: Pinned[Program | PairTable], n: int, nk: int) -> Mask:
    """Kept for the other direction, which is planned next."""
    return pairs_of(pinned.program, n, nk)


def takeable(found: Iterable[Route]) -> list[Route]:
    """The routes that may be taken, the one of the shortest predicted time first; a single kernel call comes before
    what is not certain to be faster."""
    first, *others = found
    few = [first, *(route for route in others if route.held <= MOST_HELD)]
    return sorted(few, key=weight)


def weight(route: Route) -> float:
    """By which routes are compared: what is Python counts twice. It takes that long where caches are cold or threads
    take turns, and the probe has both as good as they may be."""
    return certain(route) + (0 if route.alone else route.python)


def certain(route: Route) -> float:
    """Predicted seconds, less where it is a single call."""
    return route.seconds * (CERTAIN if route.alone else 1)


def plan(program: Program | PairTable, n: int, nk: int, price: Price, dtype: torch.dtype) -> Route:
    """The route of the shortest predicted time; computed anew."""
    return takeable(routes(program, n, nk, price, dtype))[0]


def considered(program: Program | PairTable, n: int, price: Price, dtype: torch.dtype) -> list[Route]:
    """The routes for a whole sequence, the one that ``find_route`` takes first; computed anew."""
    planned = milestone(program, n, n)
    found = takeable(routes(program, planned, planned, price, dtype))
    if planned != n and shortened(found[0], n, price) is not None:
        return [shorter for route in found if (shorter := shortened(route, n, price)) is not None]
    return found if planned == n else takeable(routes(program, n, n, price, dtype))


_kept = Kept()


def find_route(program: Program | PairTable, n: int, nk: int, price: Price, dtype: torch.dtype) -> Route:
    """The route that is taken; found once for a program, lengths, machine, kind of heads and data type.

    It is the plan of a milestone, cut to the length, or where the pattern says something else of every length, the plan
    for it."""
    return _kept.find((Pinned(program), n, nk, price, dtype), lambda: _found(program, n, nk, price, dtype))


def _found(program: Program | PairTable, n: int, nk: int, price: Price, dtype: torch.dtype) -> Route:
    planned = milestone(program, n, nk)
    longer = _planned(program, planned, planned, price, dtype) if planned != n else None
    shorter = longer and shortened(longer, n, price)
    return shorter or _planned(program, n, nk, price, dtype)


def _planned(program: Program | PairTable, n: int, nk: int, price: Price, dtype: torch.dtype) -> Route:
    """The plan for a length, of which others may be cut; made once. ``find_route`` may cut it from a longer one."""
    key = ("planned", Pinned(program), n, nk, price, dtype)
    return _kept.find(key, lambda: _repeated(program, n, price, dtype) or plan(program, n, nk, price, dtype))


def _repeated(program: Program | PairTable, n: int, price: Price, dtype: torch.dtype) -> Route | None:
    """The plan for a shorter length with whole periods put in; None where it does not come again."""
    if isinstance(program, PairTable) or not shared(Pinned(program)).asked:  # of the others few lengths are planned
        return None
    tried = repeatable(Pinned(program), LONGEST_STRIPS)
    for way, first in tried.shorter(n):
        key = ("repeated", Pinned(program), first, price, dtype)
        route = _kept.find(key, partial(plan, program, first, first, price, dtype))
        own = route.longer and route.longer()
        longer = own and own.repeated(way.periodic, n)
        tried.note(way, first, repeated=longer is not None)
        if (found := _cut(route, longer, n, price)) is not None:
            return replace(found, longer=partial(_itself, longer))
    return None


def _itself(longer: LongerPlan | None) -> LongerPlan | None:
    return longer


def shortened(route: Route, n: int, price: Price) -> Route | None:
    """A planned route for n tokens, which are fewer; None where it does not tell theirs."""
    assert route.longer is not None
    return _cut(route, route.longer(), n, price)


def _cut(route: Route, longer: LongerPlan | None, n: int, price: Price) -> Route | None:
    """What ``longer``, which has the masks of a route, tells of n tokens."""
    if longer is None or (found := longer.cut(n)) is None:
        return None
    stages, effort, written, held = found
    seconds, python = price.seconds(effort), _python(stages, effort, price)
    covered, one = _covered(stages, written, n), single_block(stages, n)
    return Route(route.name, stages, *covered, seconds, python, held, single=one, masks_of=route)


def forget() -> None:
    """Drop all routes that are kept."""
    _kept.clear()
    _pairs.cache_clear()
    repeatable.cache_clear()
