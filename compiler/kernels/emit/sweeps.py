"""What the loops of a kernel over blocks of the side that is swept have in common, be they keys or queries.

What a loop does with a block is a step of the fixed library. Of most blocks every rank exists, and they are loaded
without a mask; the others, at most one at each end of a sequence, are taken by one piece of text at the end of a group.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...passes.program import Order, Program, Turn
from .ranges import Group, Run
from .spell import one_line

STEP = "score_scale, SOFTCAP{}"
PRODUCTS = ", PRECISION"
"""The last argument of a step that multiplies matrices."""


def constants_of(order: Order) -> str:
    return f"{order.period}, {order.digits or order.count}, {order.start}"


def turned(turn: Turn, classes: int) -> str:
    """The class that is swept, of the stationary class c."""
    if classes == 1:
        return "c"
    start = "c" if turn.factor == 1 else f"{turn.factor} * c"
    return f"({start} + {turn.shift % classes}) % {classes}"


def exist_of(order: Order, cls: str) -> str:
    """Which keys exist."""
    return f"exists({cls}, b, n, {constants_of(order)})" if order.tiled else "b < count"


def block_of(tile: int, widest: int, block: str) -> str:
    """The ranks of a block that is swept: those of the launch; a narrow tile is taken whole."""
    return block if tile == widest else str(tile)


def comments(program: Program, group: Group) -> Iterator[str]:
    yield ""
    for sweep in group.sweeps:
        term = program.terms[sweep.term]
        yield f"# term {sweep.term}, line {term.line}: {one_line(term.label)}"


def ragged(group: Group) -> bool:
    """Whether ragged blocks are taken apart. Of an order with digits what exists is asked of every block."""
    return not group.order.tiled and any(not run.diagonal for run in group.runs)


def walked(group: Group, run: Run) -> bool:
    """Whether the ranges of a run are one walk, by one loop."""
    return run.walk and not group.order.tiled


def visited(group: Group, flags: str, mask: str) -> str:
    """The pairs of a ragged block that are kept; empty where all are. ``flags``: of one range, whether it has the
    block; ``mask``: of one term."""
    masks = {run.flag: None if run.masked is None else mask.format(run.masked) for run in group.runs}
    if len(masks) == 1:
        return next(iter(masks.values())) or ""
    parts = [f"({flags.format(flag)} & {kept})" if kept else flags.format(flag) for flag, kept in masks.items()]
    return " | ".join(parts)
