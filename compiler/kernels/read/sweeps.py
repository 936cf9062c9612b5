"""read: the loops of the sweeps of a kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from ...passes.order import Order, Turn
from .forms import kernel
from .forms.edges import Edges
from .forms.walks import WALK, WALKED, of_walk
from .integer import ReadError, refuse
from .source_template import Holes, template
from .statements import Statements, integer, name_of, order_of
from .turn import read_turn


@dataclass(frozen=True, slots=True)
class ReadLoop:
    """The names of two bound functions, of the mask where there is one, and of the two bounds of a fan; whether the
    bounds are of diagonals, or its blocks are ``whole`` tiles. ``ranges``: how many it walks, whose bounds these
    functions choose; 0: the one that they bound. ``flag`` is set where one of them has a ragged block."""

    lo: str
    hi: str
    keep: str | None
    first: str | None = None
    last: str | None = None
    diagonal: bool = False
    whole: bool = False
    ranges: int = 0
    flag: str | None = None


@dataclass(frozen=True, slots=True)
class ReadSweep:
    """The loops of one term, or of several in the same orders. ``turn`` leads from the stationary to the swept class;
    ``tile``: ranks of a swept one."""

    order: Order
    turn: Turn
    tile: int
    loops: tuple[ReadLoop, ...]


@dataclass(frozen=True, slots=True)
class Loops:
    """How the loops over one range are written."""

    masked: str
    full: str

    def of_whole_tiles(self, block: str, tile: int) -> Loops:
        """The same where a block is a tile."""
        return Loops(self.masked.replace(block, str(tile)), self.full.replace(block, str(tile)))


@dataclass(frozen=True, slots=True)
class Forms:
    """How the sweeps of one direction are written. ``block``: the name of the ranks of a swept block."""

    still: str
    block: str
    swept_class: str
    fan: str
    head: str
    edges: Edges
    bounds: str
    plain: Loops
    tiled: Loops
    diagonals: Loops

    def of_whole_tiles(self, tile: int) -> Forms:
        """The same where a block is a tile. Diagonals have no blocks of the swept side."""
        bounds = self.bounds.replace(self.block, str(tile))
        plain, tiled = (loops.of_whole_tiles(self.block, tile) for loops in (self.plain, self.tiled))
        edges = self.edges.of_whole_tiles(self.block, tile)
        return replace(self, edges=edges, bounds=bounds, plain=plain, tiled=tiled)


def read_sweeps(statements: Statements, classes: int, written: Forms, end: str) -> tuple[ReadSweep, ...]:
    """The sweeps up to the end of the kernel."""
    sweeps: list[ReadSweep] = []
    size = len(template(end))
    while len(statements.rest) > size:
        turn = read_turn(statements, written.swept_class, classes)
        head = statements.take(written.head)
        order = order_of(head, classes)
        tile = integer(head, "tile")
        ways: _Ways = (written, written.of_whole_tiles(tile))
        apart = next((way for way in ways if statements.accept(way.edges.window) is not None), None)
        flags = _flags(statements, apart.edges.flag) if apart else []
        ways = (apart,) if apart else ways
        loops: list[ReadLoop] = []
        while found := _read_loop(statements, order, classes, ways):
            if found[0] not in (None, tile):
                raise ReadError(f"generated source: a loop over tiles of {found[0]} in a sweep of tiles of {tile}")
            whole = apart is not None and apart is not written
            loops.append(replace(found[1], whole=found[1].whole or whole))
        if not loops:
            raise refuse(statements.rest[0] if statements.rest else statements.owner, "a sweep without a loop")
        if {loop.flag for loop in loops} != (set(flags) if apart else {None}):
            raise ReadError("generated source: ragged blocks are not taken of the ranges that are without them")
        if apart:
            last = statements.take(apart.edges.end(_masks(flags, loops)))
            if order_of(last, classes) != order:
                raise ReadError("generated source: ragged blocks are loaded in another order than they are counted")
        sweeps.append(ReadSweep(order, turn, tile, tuple(loops)))
    if end:
        statements.take(end)
    if not sweeps:
        raise ReadError("generated source: a kernel without a sweep")
    return tuple(sweeps)


def _flags(statements: Statements, form: str) -> list[str]:
    """The names that are set to 0."""
    flags: list[str] = []
    while (found := statements.accept(form)) is not None:
        flags.append(name_of(found, "flag"))
    return flags


def _masks(flags: list[str], loops: list[ReadLoop]) -> dict[str, str | None]:
    """The mask of the ranges that set each flag, or none."""
    masks: dict[str, str | None] = {}
    for flag in flags:
        found = {loop.keep for loop in loops if loop.flag == flag}
        if len(found) != 1:
            raise ReadError(f"generated source: {flag} is of ranges under the masks {found}")
        masks[flag] = found.pop()
    return masks


_Found: TypeAlias = tuple[int | None, ReadLoop]
_Ways: TypeAlias = tuple[Forms, ...]
"""In blocks of a launch, in whole tiles, or in either."""


def _read_loop(statements: Statements, order: Order, classes: int, ways: _Ways) -> _Found | None:
    """The tile of the swept side and the next loop, over one range or several in turn; None where there is none.
    Diagonals have no tile."""
    if statements.accept(WALK) is not None:
        return _read_walk(statements, order, classes, ways)
    several = statements.accept_loop(kernel.RANGES)
    if several is None:
        return _read_fan(statements, order, classes, ways, "")
    holes, body = several
    found = _read_fan(body, order, classes, ways, kernel.TURN)
    if found is None or body.rest or integer(holes, "ranges") < 1:
        raise refuse(body.owner, "a loop over ranges holds one of each in turn")
    return found[0], replace(found[1], ranges=integer(holes, "ranges"))


def _read_walk(statements: Statements, order: Order, classes: int, ways: _Ways) -> _Found:
    """The loop that walks several ranges one after the other."""
    several = statements.accept_loop(WALKED)
    if several is None or order.tiled:
        raise refuse(statements.owner, "a walk is over several ranges, in an order without digits")
    holes, each = several
    for written in ways:
        if (bounds := each.accept(written.bounds.format(turn=kernel.TURN, step=""))) is None:
            continue
        head, masked = of_walk(written.plain.masked)
        cut = each.take(head)
        body, keep = statements.accept(masked), None
        if body is not None:
            keep = name_of(body, "keep")
        else:
            body = statements.take(of_walk(written.plain.full)[1])
        if order_of(body, classes) != order:
            raise ReadError("generated source: a loop loads in another order than it counts")
        if name_of(cut, "before") != name_of(cut, "flag"):
            raise refuse(cut["before"], f"{name_of(cut, 'flag')} is not added to")
        if each.rest or integer(holes, "ranges") < 1:
            raise refuse(each.owner, "a walk over ranges takes one of each in turn")
        loop = ReadLoop(name_of(bounds, "lo"), name_of(bounds, "hi"), keep, flag=name_of(cut, "flag"))
        whole = written is not ways[0]
        return integer(bounds, "tile"), replace(loop, whole=whole, ranges=integer(holes, "ranges"))
    raise refuse(each.owner, "a walk over ranges without bounds")


def _read_fan(statements: Statements, order: Order, classes: int, ways: _Ways, turn: str) -> _Found | None:
    """A range, a fan or not. ``turn``: what its bounds are given first."""
    written = ways[0]
    fan = statements.accept_loop(written.fan.format(still=written.still, turn=turn))
    if fan is None:
        return _read_range(statements, order, classes, ways, turn, "")
    ends, body = fan
    found = _read_range(body, order, classes, ways, turn, kernel.STEP)
    if found is None or body.rest:
        raise refuse(body.owner, "a fan is a loop over one range")
    tile, loop = found
    return tile, replace(loop, first=name_of(ends, "first"), last=name_of(ends, "last"))


def _read_range(statements: Statements, order: Order, classes: int, ways: _Ways, turn: str, step: str) -> _Found | None:
    for written in ways:
        if (bounds := statements.accept(written.bounds.format(turn=turn, step=step))) is not None:
            return _read_tiles(statements, order, classes, written, bounds, whole=written is not ways[0])
    return None if turn else _read_diagonals(statements, ways[0], step)


def _read_diagonals(statements: Statements, written: Forms, step: str) -> _Found | None:
    """The next range of diagonals; None where there is none. In which orders that may be is for ``read`` to say."""
    body, keep = statements.accept(written.diagonals.masked.format(fan=step)), None
    if body is not None:
        keep = name_of(body, "keep")
    elif (body := statements.accept(written.diagonals.full.format(fan=step))) is None:
        return None
    return None, ReadLoop(name_of(body, "lo"), name_of(body, "hi"), keep, diagonal=True)


def _read_tiles(
    statements: Statements, order: Order, classes: int, written: Forms, bounds: Holes, *, whole: bool
) -> _Found:
    """The loop over the tiles within bounds."""
    keep: str | None = None
    loops = written.tiled if order.tiled else written.plain
    body = statements.accept(loops.masked)
    if body is not None:
        keep = name_of(body, "keep")
    else:
        body = statements.take(loops.full)
    if order_of(body, classes) != order:
        raise ReadError("generated source: a loop loads in another order than it counts")
    flag = None if order.tiled else name_of(body, "flag")
    if flag is not None and name_of(body, "before") != flag:
        raise refuse(body["before"], f"{flag} is not added to")
    return integer(bounds, "tile"), ReadLoop(name_of(bounds, "lo"), name_of(bounds, "hi"), keep, whole=whole, flag=flag)
