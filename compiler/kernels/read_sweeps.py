"""read: the loops of the sweeps of a kernel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from ..passes.program import Order
from . import kernel_forms as forms
from .read_integer import ReadError, refuse
from .read_statements import Statements, integer, name_of, order_of
from .source_template import template


@dataclass(frozen=True, slots=True)
class ReadLoop:
    """The names of two bound functions, of the mask where there is one, and of the two bounds of a fan; whether the
    bounds are of diagonals."""

    lo: str
    hi: str
    keep: str | None
    first: str | None = None
    last: str | None = None
    diagonal: bool = False


@dataclass(frozen=True, slots=True)
class ReadSweep:
    """The loops of one term. ``shift`` leads from the stationary to the swept class."""

    order: Order
    shift: int
    loops: tuple[ReadLoop, ...]


@dataclass(frozen=True, slots=True)
class Loops:
    """How the loops over one range are written."""

    masked: str
    full: str


@dataclass(frozen=True, slots=True)
class Forms:
    """How the sweeps of one direction are written."""

    still: str
    swept_class: str
    fan: str
    head: str
    bounds: str
    plain: Loops
    tiled: Loops
    diagonals: Loops


def read_sweeps(statements: Statements, classes: int, written: Forms, end: str) -> tuple[int, tuple[ReadSweep, ...]]:
    """The tile of the swept side and the sweeps up to the end of the kernel."""
    tiles: set[int] = set()
    sweeps: list[ReadSweep] = []
    size = len(template(end))
    while len(statements.rest) > size:
        shift = 0
        if statements.accept(f"{written.swept_class} = c") is None:
            turn = statements.take(f"{written.swept_class} = (c + HOLE_shift) % HOLE_classes")
            shift = integer(turn, "shift")
            if integer(turn, "classes") != classes or not 0 <= shift < classes:
                raise ReadError(f"generated source: a shift by {shift} in {classes} classes")
        head = statements.take(written.head)
        order = order_of(head, classes)
        tiles.add(integer(head, "tile"))
        loops: list[ReadLoop] = []
        while found := _read_loop(statements, order, classes, written):
            tiles |= set() if found[0] is None else {found[0]}
            loops.append(found[1])
        if not loops:
            raise refuse(statements.rest[0] if statements.rest else statements.owner, "a sweep without a loop")
        sweeps.append(ReadSweep(order, shift, tuple(loops)))
    if end:
        statements.take(end)
    if len(tiles) != 1:
        raise ReadError(f"generated source: a kernel's sweeps differ in their tiles, or there are none: {tiles}")
    return tiles.pop(), tuple(sweeps)


_Found: TypeAlias = tuple[int | None, ReadLoop]


def _read_loop(statements: Statements, order: Order, classes: int, written: Forms) -> _Found | None:
    """The tile of the swept side and the next range, a fan or not; None where there is none. Diagonals have no tile."""
    fan = statements.accept_loop(written.fan.format(still=written.still))
    if fan is None:
        return _read_range(statements, order, classes, written, "")
    ends, body = fan
    found = _read_range(body, order, classes, written, forms.STEP)
    if found is None or body.rest:
        raise refuse(body.owner, "a fan is a loop over one range")
    tile, loop = found
    return tile, replace(loop, first=name_of(ends, "first"), last=name_of(ends, "last"))


def _read_diagonals(statements: Statements, written: Forms, step: str) -> _Found | None:
    """The next range of diagonals; None where there is none. In which orders that may be is for ``read`` to say."""
    body, keep = statements.accept(written.diagonals.masked.format(fan=step)), None
    if body is not None:
        keep = name_of(body, "keep")
    elif (body := statements.accept(written.diagonals.full.format(fan=step))) is None:
        return None
    return None, ReadLoop(name_of(body, "lo"), name_of(body, "hi"), keep, diagonal=True)


def _read_range(statements: Statements, order: Order, classes: int, written: Forms, step: str) -> _Found | None:
    bounds = statements.accept(written.bounds.format(step=step))
    if bounds is None:
        return _read_diagonals(statements, written, step)
    keep: str | None = None
    loops = written.tiled if order.tiled else written.plain
    body = statements.accept(loops.masked)
    if body is not None:
        keep = name_of(body, "keep")
    else:
        body = statements.take(loops.full)
    if order_of(body, classes) != order:
        raise ReadError("generated source: a loop loads in another order than it counts")
    return integer(bounds, "tile"), ReadLoop(name_of(bounds, "lo"), name_of(bounds, "hi"), keep)
