"""read: the statements of one kernel."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, replace
from typing import TypeAlias

from ..passes.program import Order, Tile
from . import kernel_forms as forms
from .read_integer import ReadError, refuse
from .source_template import Holes, match_statements, same_arguments, template


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
class ReadKernel:
    """A kernel as its text has it."""

    tile: Tile
    order: Order
    sweeps: tuple[ReadSweep, ...]
    lengths: tuple[str, ...]


class _Statements:
    """A place in a list of statements."""

    def __init__(self, owner: ast.AST, statements: list[ast.stmt]) -> None:
        self.owner, self.rest = owner, list(statements)

    def accept(self, form: str) -> Holes | None:
        """The holes of the next statements, or None, and no step forward, where they are not of this form."""
        pattern = template(form)
        holes = match_statements(pattern, self.rest[: len(pattern)])
        if holes is not None:
            del self.rest[: len(pattern)]
        return holes

    def take(self, form: str) -> Holes:
        """The holes of the next statements, which must be of this form."""
        holes = self.accept(form)
        if holes is None:
            # Name the first statement that is not as expected.
            for place, expected in enumerate(template(form)):
                if not self.rest[place:] or match_statements((expected,), self.rest[place : place + 1]) is None:
                    found = self.rest[place] if self.rest[place:] else self.owner
                    raise refuse(found, f"expected {ast.unparse(expected).splitlines()[0]!r}")
            raise refuse(self.owner, "the constants of these statements contradict each other")
        return holes

    def take_head(self, form: str, tiled: str) -> tuple[Order, Holes, forms.Lengths]:
        """The stationary order, the holes of the next statements, and which lengths they speak of. What exists is
        asked of a tiled order in a way of its own."""
        ways = ((forms.CROSS, form, False), (forms.SELF, tiled, True))
        found = next(
            (
                (holes, lengths, box)
                for lengths, way, box in ways
                if (holes := self.accept(lengths.write(way))) is not None
            ),
            None,
        )
        holes, lengths, box = found or (self.take(forms.SELF.write(form)), forms.SELF, False)
        order = _order(holes, _integer(holes, "classes"))
        if order.tiled != box:
            raise refuse(self.owner, "what exists is asked in the way of another order")
        return order, holes, lengths

    def accept_loop(self, form: str) -> tuple[Holes, _Statements] | None:
        """The holes of the head of a loop, and what it repeats; None, and no step forward, where it is not next."""
        match self.rest:
            case [ast.For(target=target, iter=items, orelse=[]) as loop, *_]:
                head = ast.For(target, items, [ast.Pass()], [])
                holes = match_statements(template(form), [head])
                if holes is not None:
                    del self.rest[0]
                    return holes, _Statements(loop, loop.body)
        return None


def read_query_kernel(function: ast.FunctionDef, first: bool) -> ReadKernel:
    """A ``forward_k`` or ``backward_query_k``. ``first``: whether it must start afresh, or resume."""
    kind = "forward" if function.name.startswith("forward") else "backward_query"
    if kind == "forward":
        _check_signature(function, "q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, spans_ptr, owner_ptr", ("q", "k", "v", "o"))
        middle, end = forms.FORWARD_HEAD.format(start=forms.FRESH if first else forms.RESUME), forms.FORWARD_END
    else:
        pointers = "q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dq_ptr, spans_ptr, owner_ptr"
        _check_signature(function, pointers, ("q", "k", "v", "do"))
        middle, end = forms.GRADIENT_HEAD, forms.GRADIENT_END.format(add=not first)
    statements = _Statements(function, function.body)
    order, head, lengths = statements.take_head(forms.QUERY_HEAD, forms.TILED_QUERY_HEAD)
    statements.take(middle)
    step = forms.STEPS[kind]
    plain, tiled = (
        _Loops(
            lengths.write(masked).format(load=load.format("j", False), step=step.format("kept", "keep, ")),
            full.format(
                load_whole=load.format("j", True),
                step_whole=step.format("full", ""),
                load_last=load.format(last, False),
                step_last=step.format("kept", kept),
            ),
        )
        for masked, full, load, last, kept in (
            (forms.KEYS_MASKED, forms.KEYS_FULL, forms.LOAD, "whole", "present(whole, count, BLOCK_K)[None, :], "),
            (forms.TILED_KEYS_MASKED, forms.TILED_KEYS_FULL, forms.TILED_LOAD, "j", forms.TILED_STEP_LAST),
        )
    )
    fan, keys, bounds = (lengths.write(form) for form in (forms.FAN, forms.KEYS, forms.KEY_BOUNDS))
    way, mask, taken = lengths.write(forms.KEY_DIAGONALS), lengths.write(forms.KEY_MASK), forms.DIAGONAL_STEPS[kind]
    diagonals = _Loops(*(way.format(mask=each, step=taken, fan="{fan}") for each in (mask, "")))
    written = _Forms("I", "kc", fan, keys, bounds, plain, tiled, diagonals)
    tile, sweeps = _read_sweeps(statements, order.classes, written, end)
    return ReadKernel(Tile(_integer(head, "tile"), tile), order, sweeps, lengths.names)


def read_backward_key(function: ast.FunctionDef) -> ReadKernel:
    """A ``backward_key_k``. Whether it stores its gradients or adds to them is for the launch to say."""
    pointers = "q_ptr, k_ptr, v_ptr, do_ptr, lse_ptr, delta_ptr, dk_ptr, dv_ptr, spans_ptr, owner_ptr"
    _check_signature(function, pointers, ("q", "k", "v", "do"))
    statements = _Statements(function, function.body)
    order, head, lengths = statements.take_head(forms.KEY_HEAD, forms.TILED_KEY_HEAD)
    match statements.rest:
        case [ast.For(target=ast.Name("member"), iter=turns, orelse=[]) as loop, *_] if _is_range_of_group(turns):
            del statements.rest[0]
        case _:
            raise refuse(function, "expected the loop over the query heads of a group")
    statements.take(forms.KEY_END)
    if statements.rest:
        raise refuse(statements.rest[0], "unexpected statement")
    inner = _Statements(loop, loop.body)
    inner.take(lengths.write(forms.MEMBER_HEAD))
    plain, tiled = (
        _Loops(lengths.write(masked), lengths.write(full))
        for masked, full in (
            (forms.QUERIES_MASKED, forms.QUERIES_FULL),
            (forms.TILED_QUERIES_MASKED, forms.TILED_QUERIES_FULL),
        )
    )
    fan, queries, bounds = (lengths.write(form) for form in (forms.FAN, forms.QUERIES, forms.QUERY_BOUNDS))
    way, mask = lengths.write(forms.QUERY_DIAGONALS), lengths.write(forms.QUERY_MASK)
    diagonals = _Loops(*(way.format(mask=each, fan="{fan}") for each in (mask, "")))
    written = _Forms("J", "qc", fan, queries, bounds, plain, tiled, diagonals)
    tile, sweeps = _read_sweeps(inner, order.classes, written, "")
    return ReadKernel(Tile(tile, _integer(head, "tile")), order, sweeps, lengths.names)


def _is_range_of_group(turns: ast.expr) -> bool:
    return ast.unparse(turns) == "range(group)"


@dataclass(frozen=True, slots=True)
class _Loops:
    """How the loops over one range are written."""

    masked: str
    full: str


@dataclass(frozen=True, slots=True)
class _Forms:
    """How the sweeps of one direction are written."""

    still: str
    swept_class: str
    fan: str
    head: str
    bounds: str
    plain: _Loops
    tiled: _Loops
    diagonals: _Loops


def _read_sweeps(statements: _Statements, classes: int, written: _Forms, end: str) -> tuple[int, tuple[ReadSweep, ...]]:
    """The tile of the swept side and the sweeps up to the end of the kernel."""
    tiles: set[int] = set()
    sweeps: list[ReadSweep] = []
    size = len(template(end))
    while len(statements.rest) > size:
        shift = 0
        if statements.accept(f"{written.swept_class} = c") is None:
            turn = statements.take(f"{written.swept_class} = (c + HOLE_shift) % HOLE_classes")
            shift = _integer(turn, "shift")
            if _integer(turn, "classes") != classes or not 0 <= shift < classes:
                raise ReadError(f"generated source: a shift by {shift} in {classes} classes")
        head = statements.take(written.head)
        order = _order(head, classes)
        tiles.add(_integer(head, "tile"))
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


def _read_loop(statements: _Statements, order: Order, classes: int, written: _Forms) -> _Found | None:
    """The tile of the swept side and the next range, a fan or not; None where there is none. Diagonals have no tile."""
    fan = statements.accept_loop(written.fan.format(still=written.still))
    if fan is None:
        return _read_range(statements, order, classes, written, "")
    ends, body = fan
    found = _read_range(body, order, classes, written, forms.STEP)
    if found is None or body.rest:
        raise refuse(body.owner, "a fan is a loop over one range")
    tile, loop = found
    return tile, replace(loop, first=_name(ends, "first"), last=_name(ends, "last"))


def _read_diagonals(statements: _Statements, written: _Forms, step: str) -> _Found | None:
    """The next range of diagonals; None where there is none. In which orders that may be is for ``read`` to say."""
    body, keep = statements.accept(written.diagonals.masked.format(fan=step)), None
    if body is not None:
        keep = _name(body, "keep")
    elif (body := statements.accept(written.diagonals.full.format(fan=step))) is None:
        return None
    return None, ReadLoop(_name(body, "lo"), _name(body, "hi"), keep, diagonal=True)


def _read_range(statements: _Statements, order: Order, classes: int, written: _Forms, step: str) -> _Found | None:
    bounds = statements.accept(written.bounds.format(step=step))
    if bounds is None:
        return _read_diagonals(statements, written, step)
    keep: str | None = None
    loops = written.tiled if order.tiled else written.plain
    body = statements.accept(loops.masked)
    if body is not None:
        keep = _name(body, "keep")
    else:
        body = statements.take(loops.full)
    if _order(body, classes) != order:
        raise ReadError("generated source: a loop loads in another order than it counts")
    return _integer(bounds, "tile"), ReadLoop(_name(bounds, "lo"), _name(bounds, "hi"), keep)


def _check_signature(function: ast.FunctionDef, pointers: str, tensors: tuple[str, ...]) -> None:
    strides = ", ".join(f"{name}_{axis}" for name in tensors for axis in "bhnd")
    [wanted] = template(f"def f({forms.PARAMETERS.format(pointers=pointers, strides=strides)}): pass")
    assert isinstance(wanted, ast.FunctionDef)
    decorators = [ast.unparse(item) for item in function.decorator_list]
    if decorators != [forms.DECORATOR] or not same_arguments(wanted, function) or function.returns:
        raise refuse(function, "unexpected signature")


def _order(holes: Holes, classes: int) -> Order:
    period, start = _integer(holes, "period"), _integer(holes, "start")
    match holes["count"]:
        case ast.Tuple(elts=digits) if digits:
            pairs = tuple(_digit(digit) for digit in digits)
            return Order(period, math.prod(extent for extent, _ in pairs), start, classes, pairs)
        case _:
            return Order(period, _integer(holes, "count"), start, classes)


def _digit(node: ast.expr) -> tuple[int, int]:
    match node:
        case ast.Tuple(elts=[ast.Constant(value=int(extent)), ast.Constant(value=int(stride))]):
            if extent > 0 and stride > 0:
                return extent, stride
    raise refuse(node, "a digit is a pair (extent, stride)")


def _integer(holes: Holes, name: str) -> int:
    match holes[name]:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return value
        case other:
            raise refuse(other, f"the {name} is not an integer")


def _name(holes: Holes, name: str) -> str:
    match holes[name]:
        case ast.Name(id=found):
            return found
        case other:
            raise refuse(other, f"the {name} is not a function")
