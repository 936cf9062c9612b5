"""The ranges of a kernel: which are walked in one loop, and the functions that bound them.

Compiling a loop takes long, so a kernel has few. Sweeps in a row that read in one order form a *group*. Where a group
has many unmasked ranges, or many under the mask of one term, these are one *run*: one loop walks them one after the
other, so that it waits for its first block but once; fans are the steps r of a loop around it. Unmasked ranges come
first: where one begins at the end of a masked range that was just walked, ptxas (CUDA 12.8) mixes up the two loops and
waits for every single product of matrices.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from ...passes.program import Kernel, Order, Program, Range, Sweep, Tile, Turn
from ...relations.integer import Expr

_MANY = 3
"""So many ranges share a loop. It takes registers, which kernels of fewer ranges would rather keep for their blocks."""


@dataclass(frozen=True, slots=True)
class Loop:
    """One range of a sweep and what the names of its bound functions have in common."""

    range: Range
    name: str

    def functions(self) -> Iterator[tuple[str, str, Expr]]:
        """The bound functions: name, further parameters, value."""
        step = "d, " if self.range.fan else ""
        yield self.name.format("lo"), step, self.range.lo
        yield self.name.format("hi"), step, self.range.hi
        if self.range.fan:
            yield self.name.format("first"), "", self.range.fan.first
            yield self.name.format("last"), "", self.range.fan.last


def loops(side: str, kernels: tuple[Kernel, ...], at_kernel: int, at_sweep: int) -> Iterator[Loop]:
    """The loops of a sweep. Bounds are named after their term, and numbered where there are several."""
    sweep = kernels[at_kernel].sweeps[at_sweep]
    visits = sum(other.term == sweep.term for kernel in kernels for other in kernel.sweeps)
    prefix = f"term{sweep.term}" + ("_query" if side == "backward" else "")
    prefix += "" if visits == 1 else f"_{at_kernel}_{at_sweep}"
    for index, item in enumerate(sweep.ranges):
        suffix = str(index) if len(sweep.ranges) > 1 else ""
        yield Loop(item, f"{prefix}_{{}}{suffix}")


@dataclass(frozen=True, slots=True)
class Run:
    """Ranges that one loop walks, fans or none. ``masked``: the term whose mask they are under. ``name``: of the
    functions that choose among their bounds."""

    loops: tuple[Loop, ...]
    masked: int | None
    name: str

    @property
    def flag(self) -> str:
        """The variable that says whether a ragged block is in one of the ranges."""
        return "full" if self.masked is None else f"kept{self.masked}"

    @property
    def fan(self) -> bool:
        return self.loops[0].range.fan is not None

    @property
    def diagonal(self) -> bool:
        return self.loops[0].range.diagonal

    def call(self, end: str, still: str, lengths: str) -> str:
        """The value of a bound, in a kernel."""
        step = "d, " if self.fan and end in ("lo", "hi") else ""
        given = f"{still}, c, {step}T, {lengths}"
        if len(self.loops) == 1:
            return f"{self.loops[0].name.format(end)}({given})"
        return f"{self.name.format(end)}(r, {given})"

    @property
    def walk(self) -> bool:
        """Whether it is several plain ranges."""
        return len(self.loops) > 1 and not self.fan

    def walked(self, bounds: Iterable[str]) -> Iterator[str]:
        """The walk over its ranges, which ``bounds`` takes one by one."""
        yield "walk = ()"
        yield f"for r in tl.static_range(0, {len(self.loops)}):"
        yield from (f"    {row}" for row in bounds)
        yield "    walk = and_then(walk, lo, hi)"

    def repeat(self, still: str, lengths: str, body: Iterable[str]) -> Iterator[str]:
        """The body of a range, once for each range and each step of its fan."""
        heads = [f"for r in range(0, {len(self.loops)}):"] if len(self.loops) > 1 else []
        if self.fan:
            first, last = (self.call(end, still, lengths) for end in ("first", "last"))
            heads.append(f"for d in range({first}, {last}):")
        for depth, head in enumerate(heads):
            yield "    " * depth + head
        yield from ("    " * len(heads) + row for row in body)

    def choosers(self, still: str, lengths: str) -> Iterator[str]:
        """The functions that choose a bound by r."""
        if len(self.loops) == 1:
            return
        for end in ("lo", "hi", "first", "last") if self.fan else ("lo", "hi"):
            step = "d, " if self.fan and end in ("lo", "hi") else ""
            rows = [f"@triton.jit\ndef {self.name.format(end)}(r, {still}, c, {step}T, {lengths}):"]
            for at, loop in enumerate(self.loops):
                rows.append("    else:" if at == len(self.loops) - 1 else f"    {'elif' if at else 'if'} r == {at}:")
                rows.append(f"        bound = {loop.name.format(end)}({still}, c, {step}T, {lengths})")
            yield "\n".join([*rows, "    return bound"])


@dataclass(frozen=True, slots=True)
class Group:
    """Sweeps of one kernel that read the other side in one order, in tiles of one size."""

    sweeps: tuple[Sweep, ...]
    order: Order
    turn: Turn
    tile: Tile
    runs: tuple[Run, ...]

    @property
    def flags(self) -> list[str]:
        return list(dict.fromkeys(run.flag for run in self.runs))


def groups(program: Program, side: str, at_kernel: int) -> Iterator[Group]:
    """The groups of a kernel of one side, ``forward`` or ``backward``, in their order."""
    kernels = program.forward if side == "forward" else program.backward
    kernel = kernels[at_kernel]

    def kind(at: int) -> tuple[Order, Turn, Tile, bool]:
        sweep = kernel.sweeps[at]
        term = program.terms[sweep.term]
        return term.key if side == "forward" else term.query, term.turn, program.tile_of(sweep), sweep.diagonal

    made = 0
    for (order, turn, tile, diagonal), found in groupby(range(len(kernel.sweeps)), kind):
        alike: dict[object, list[tuple[int | None, Loop]]] = {}
        members = list(found)
        for at in members:
            for loop in loops(side, kernels, at_kernel, at):
                term = kernel.sweeps[at].term if loop.range.masked else None
                alone = loop.name if diagonal else ""
                alike.setdefault((term, loop.range.fan is None, alone), []).append((term, loop))
        runs = []
        for each in sorted(alike.values(), key=lambda each: each[0][0] is not None):
            prefix = "ranges" if side == "forward" else "ranges_query"
            size = len(each) if len(each) >= _MANY else 1
            for start in range(0, len(each), size):
                ranges = tuple(loop for _, loop in each[start : start + size])
                runs.append(Run(ranges, each[start][0], f"{prefix}{at_kernel}_{made}_{{}}"))
            made += size > 1
        yield Group(tuple(kernel.sweeps[at] for at in members), order, turn, tile, tuple(runs))
