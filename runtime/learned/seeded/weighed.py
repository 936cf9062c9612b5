"""How a pattern with seeded tables runs on a CPU: its program and its lists one after the other, or all of its pairs as
one table. What is predicted to be faster is taken, for each length and direction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ....compiler.explain.prediction import Way
from ....compiler.lowering.learned import LearnedProgram
from ....compiler.passes.pinned import Pinned
from ...engines.compose import routes
from ...engines.compose.plan.route import Route
from ...engines.compose.planning.pairs import PairTable
from ...engines.compose.pricing.machine import price_of
from ...engines.compose.pricing.price import Price
from ...engines.compose.routes import certain, find_route, weight
from ...engines.engine import Call
from ..pricing.dispatch import LISTS, predicted
from ..pricing.effort import Speeds
from ..pricing.speeds import these_speeds
from .pairs import table_of
from .parts import parts_of

APART = 0.9
"""A program and its lists are taken where they are predicted to take less than this part of the time of all pairs as
one table: threads share their short calls out worse than is predicted."""


@dataclass(frozen=True, slots=True)
class Weighed:
    """``lists``: what tables are predicted to take beside a program, each way that they may run. ``whole``: the same of
    all pairs as one table, None where none is made. ``faster``: whether that is taken."""

    lists: Way
    whole: Way | None
    faster: bool


def taken(program: LearnedProgram, q: Tensor, k: Tensor, call: Call, *, backward: bool = False) -> PairTable | None:
    """The table of all pairs where it runs a call; None where program and lists do: where some queries are given,
    padding makes lengths differ, or a cap keeps torch's kernel away, and where they are faster."""
    n, nk = q.shape[2], k.shape[2]
    table = table_of(Pinned(program))
    alike = table.cross or (n == nk and call.query_offset == 0)
    if not alike or _padded(call, nk) or call.softcap is not None or q.numel() == 0 or k.numel() == 0:
        return None
    # In a low precision compose computes gradients in a wide one.
    dtype = torch.promote_types(q.dtype, torch.float32) if backward else q.dtype
    price = price_of(q, k, dtype, backward=backward)
    return table if weigh(program, n, nk, price, dtype).faster else None


def _padded(call: Call, nk: int) -> bool:
    """Whether some key of some element does not exist; spans are looked at, on a CPU."""
    return call.spans is not None and any(span != [0, nk] for span in call.spans.tolist())


def weigh(program: LearnedProgram, n: int, nk: int, price: Price, dtype: torch.dtype) -> Weighed:
    """Of n queries and nk keys, all that there are."""
    return _weigh(Pinned(program), n, nk, price, dtype, these_speeds(dtype))


@lru_cache(maxsize=256)
def _weigh(
    pinned: Pinned[LearnedProgram], n: int, nk: int, price: Price, dtype: torch.dtype, _speeds: Speeds
) -> Weighed:
    program, (lists, python) = pinned.program, _lists(pinned.program, n, nk, price, dtype)
    if max(n, nk) > routes.LONGEST_STRIPS or lists.seconds == 0:
        return Weighed(lists, None, faster=False)
    apart = lists.seconds + python  # which counts twice, as between routes
    if program.positional is not None:
        apart += weight(find_route(program.positional, n, nk, price, dtype))
    whole = find_route(table_of(pinned), n, nk, price, dtype)
    faster = (whole.masks_of or whole).held <= routes.MOST_HELD and APART * certain(whole) < apart
    return Weighed(lists, Way(_name(whole), whole.seconds), faster)


def _lists(program: LearnedProgram, n: int, nk: int, price: Price, dtype: torch.dtype) -> tuple[Way, float]:
    """The tables of whole sequences, and the seconds that are Python's."""
    heads = price.heads
    one = torch.zeros((), dtype=dtype)  # of tensors the shape counts
    q = one.expand(heads.batch, heads.keys * heads.group, n, heads.dim)
    k = one.expand(heads.batch, heads.keys, nk, heads.dim)
    parts, *_ = parts_of(program, "compose", q, k, Call(1.0))
    found = predicted(parts.lists, q, k, parts.scores, backward=price.backward)
    seconds = found.lists if found.way == LISTS else found.dense
    assert seconds is not None
    return Way("lists" if found.way == LISTS else "a mask", seconds), found.python


def _name(route: Route) -> str:
    if not route.alone:
        return "strips of the whole"
    return "dense under a mask" if route.masked else "dense"
