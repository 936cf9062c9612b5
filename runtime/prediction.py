"""What a compiled pattern is predicted to take on this machine, and which way it will run."""

from __future__ import annotations

import torch

from ..compiler.explain.prediction import Choice, Prediction, Way
from ..compiler.lowering.learned import LearnedProgram
from ..compiler.passes.program import Program
from ..patterns_dsl.syntax import Direction
from .engines.compose.plan.tiles import Tiles
from .engines.compose.pricing.machine import price_here, this_machine
from .engines.compose.pricing.price import Heads, Price
from .engines.compose.routes import considered
from .errors import EngineError
from .learned.seeded.weighed import weigh

MEASURED = "from rates that a short probe measured"


def predict(program: Program | LearnedProgram, n: int, heads: Heads, dtype: torch.dtype) -> Prediction:
    """Of the compose engine, for a whole sequence of length n: every route is planned, none is run. The lists of seeded
    tables come on top of each, beside which all pairs as one table are a way of their own."""
    if not isinstance(n, int) or n < 1:
        raise EngineError(f"a prediction needs a length of at least 1, an integer, not {n}")
    # The backward pass of a low precision runs in float32.
    forward, backward = (
        _choice(program, n, price_here(heads, kind, backward=back), kind)
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
    weighed = weigh(program, n, n, price, dtype)
    lists = weighed.lists
    apart: tuple[Way, ...] = (lists,)
    if program.positional is None:
        dense = dense_seconds(n, price, program.parts.direction is Direction.CAUSAL)
    else:
        own = _choice(program.positional, n, price, dtype)
        apart = tuple(Way(f"{way.name} and {lists.name}", way.seconds + lists.seconds) for way in own.ways)
        dense = own.dense
    whole = () if weighed.whole is None else (weighed.whole,)
    return Choice((*whole, *apart) if weighed.faster else (*apart, *whole), dense)


def dense_seconds(n: int, price: Price, causal: bool) -> float:
    """Of torch's attention over every pair, or every earlier one."""
    return price.seconds(price.tiles(Tiles(0, n, 0, 0, n, 0, 1), triangle=causal, fresh=True))


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
