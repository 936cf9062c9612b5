"""What a compiled pattern is predicted to take on this machine, and which way it will run."""

from __future__ import annotations

import torch

from ..compiler.explain.prediction import Choice, Prediction, Way
from ..compiler.lower_learned import LearnedProgram
from ..compiler.passes.program import Program
from ..patterns_dsl.syntax import Direction
from .engines.engine import Call
from .engines.machine import this_machine
from .engines.masks import Tiles
from .engines.price import Heads, Price
from .engines.routes import considered
from .errors import EngineError
from .learned.dispatch import DENSE, LISTS, predicted
from .learned.table_parts import parts_of

MEASURED = "from rates that a short probe measured"


def predict(program: Program | LearnedProgram, n: int, heads: Heads, dtype: torch.dtype) -> Prediction:
    """Of the compose engine, for a whole sequence of length n: every route is planned, none is run. The lists of seeded
    tables come on top of each."""
    if n < 1:
        raise EngineError(f"a prediction needs a length of at least 1, not {n}")
    # The backward pass of a low precision runs in float32.
    forward, backward = (
        _choice(program, n, _price(heads, kind, backward=back), kind)
        for kind, back in ((dtype, False), (torch.promote_types(dtype, torch.float32), True))
    )
    threads = torch.get_num_threads()
    machine = f"{this_machine(_name(dtype)).name}, {threads} thread{'s' * (threads > 1)}"
    return Prediction(
        machine, MEASURED, _name(dtype), n, heads.batch, heads.keys * heads.group, heads.dim, forward, backward
    )


def _choice(program: Program | LearnedProgram, n: int, price: Price, dtype: torch.dtype) -> Choice:
    if isinstance(program, Program):
        found = considered(program, n, price, dtype)
        return Choice(tuple(Way(route.name, route.seconds) for route in found), dense_seconds(n, price, program.causal))
    lists = _lists(program, n, price, dtype)
    if program.positional is None:
        return Choice((lists,), dense_seconds(n, price, program.parts.direction is Direction.CAUSAL))
    own = _choice(program.positional, n, price, dtype)
    return Choice(
        tuple(Way(f"{way.name} and {lists.name}", way.seconds + lists.seconds) for way in own.ways), own.dense
    )


def _lists(program: LearnedProgram, n: int, price: Price, dtype: torch.dtype) -> Way:
    """The tables of a whole sequence, whichever way they run."""
    heads = price.heads
    one = torch.zeros((), dtype=dtype)  # of tensors the shape counts
    q, k = (one.expand(heads.batch, count, n, heads.dim) for count in (heads.keys * heads.group, heads.keys))
    parts, _ = parts_of(program, "compose", q, k, Call(1.0))
    found = predicted(parts.lists, q, k, parts.scores, backward=price.backward)
    seconds = found.dense if found.way == DENSE else found.lists
    assert seconds is not None
    return Way("lists" if found.way == LISTS else "a mask", seconds)


def dense_seconds(n: int, price: Price, causal: bool) -> float:
    """Of torch's attention over every pair, or every earlier one."""
    return price.seconds(price.tiles(Tiles(0, n, 0, 0, n, 0, 1), triangle=causal, fresh=True))


def _price(heads: Heads, dtype: torch.dtype, *, backward: bool) -> Price:
    return Price(this_machine(_name(dtype)), heads, torch.get_num_threads(), backward)


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
