"""read: a program, back from the text of its kernels.

``confirm`` proves that generated source equals its pattern. For that the source is read here as what it *does*: which
blocks its loops visit, what their masks keep, in which orders. Every statement of a kernel must be the one expected at
its place or a ReadError is raised; what is free (bounds, masks, the constants of orders, tiles, shifts) is read. The
library that kernels call (runtime/engines/triton/tiles.py) is taken at its word. No code is shared with emit.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field, replace

from ..passes.program import NATURAL, Fan, Kernel, Order, Program, Range, Sweep, Term, Tile
from ..relations.integer import TRUE, Expr, Predicate
from .kernel_forms import CROSS, SELF
from .read_integer import ReadError, read_expr, read_mask, refuse
from .read_kernel import ReadKernel, read_backward_key, read_query_kernel
from .read_statements import Statements, name_of
from .read_sweeps import ReadLoop, ReadSweep
from .source_template import dotted, same_arguments, template

__all__ = ["ReadError", "read"]

_IMPORTS = ("import triton", "import triton.language as tl")
_LIBRARY = "patternc.runtime.engines.triton.tiles"
_KERNEL = re.compile(r"(forward|backward_query|backward_key)_(\d+)")
_BOUND = re.compile(r"term(\d+)_\w*?(\d*)")
_CHOICE = re.compile(r"ranges\w+")
_MASK = re.compile(r"keep(\d+)")


def read(source: str) -> Program:
    """The program that ``source`` computes. A term that no loop masks is read with ``keep`` true.

    Raises ReadError where the source is not of the form that emit writes, or contradicts itself.
    """
    try:
        module = ast.parse(source)
    except SyntaxError as error:
        raise ReadError(f"generated source is not Python: {error}") from error
    functions = _functions(module)
    chains: dict[str, list[ReadKernel]] = {"forward": [], "backward_query": [], "backward_key": []}
    for name, function in functions.items():
        if found := _KERNEL.fullmatch(name):
            kind, index = found.group(1), int(found.group(2))
            if index != len(chains[kind]):
                raise refuse(function, f"kernel {name} is out of order")
            if kind == "backward_key":
                chains[kind].append(read_backward_key(function))
            else:
                chains[kind].append(read_query_kernel(function, first=index == 0))
    for forward, backward in zip(chains["forward"], chains["backward_query"], strict=False):
        if forward != backward:
            raise ReadError("generated source: a forward kernel and the query gradient visit different tiles")
    if len(chains["forward"]) != len(chains["backward_query"]):
        raise ReadError("generated source: forward kernels and query gradients differ in number")
    return _Assembly(functions, ast.get_docstring(module) or "").program(chains["forward"], chains["backward_key"])


def _functions(module: ast.Module) -> dict[str, ast.FunctionDef]:
    """The functions of a module that holds nothing else but its docstring and the imports."""
    functions: dict[str, ast.FunctionDef] = {}
    for index, statement in enumerate(module.body):
        match statement:
            case ast.FunctionDef(name=name):
                if name in functions or not any(form.fullmatch(name) for form in (_KERNEL, _BOUND, _CHOICE, _MASK)):
                    raise refuse(statement, f"unexpected function {name}")
                functions[name] = statement
            case ast.Expr(value=ast.Constant(value=str())) if index == 0:
                pass
            case ast.Import() if ast.unparse(statement) in _IMPORTS:
                pass
            case ast.ImportFrom(module=source, level=0, names=names) if source == _LIBRARY:
                if any(item.asname is not None or _BOUND.fullmatch(item.name) for item in names):
                    raise refuse(statement, "renamed import")
            case _:
                raise refuse(statement, "unexpected statement")
    return functions


@dataclass
class _Assembly:
    """Terms as the kernels of both directions show them; both must show the same."""

    functions: dict[str, ast.FunctionDef]
    docstring: str
    terms: dict[int, tuple[Order, Order, int, Tile]] = field(default_factory=dict)
    keeps: dict[int, str] = field(default_factory=dict)
    tile: Tile = Tile(16, 16)  # noqa: RUF009 - a frozen value
    lengths: tuple[str, ...] = SELF.names

    def program(self, forward: list[ReadKernel], backward: list[ReadKernel]) -> Program:
        kind = re.search(r"^(causal|not causal|cross);", self.docstring, re.MULTILINE)
        cross = kind is not None and kind.group(1) == "cross"
        self.lengths = (CROSS if cross else SELF).names
        if any(kernel.lengths != self.lengths for kernel in (*forward, *backward)):
            raise ReadError(
                "generated source: a kernel attends within one sequence, or across two, as its file does not"
            )
        if size := re.search(r"; tiles of (\d+) queries x (\d+) keys\.$", self.docstring, re.MULTILINE):
            self.tile = Tile(int(size.group(1)), int(size.group(2)))
        chains = [
            tuple(self._kernel(kernel, side) for kernel in kernels)
            for side, kernels in (("I", forward), ("J", backward))
        ]
        if sorted(self.terms) != list(range(len(self.terms))):
            raise ReadError(f"generated source: the terms are {sorted(self.terms)}, some are missing")
        name = re.match(r"Kernels of the pattern (.*), generated by patternc", self.docstring)
        return Program(
            name=name.group(1) if name else "",
            causal=kind is not None and kind.group(1) == "causal",
            cross=cross,
            tile=self.tile,
            terms=tuple(self._term(index) for index in range(len(self.terms))),
            forward=chains[0],
            backward=chains[1],
            table=_table(forward, backward),
        )

    def _term(self, index: int) -> Term:
        query, key, shift, tile = self.terms[index]
        label = re.search(rf"^\s*term {index}, line (\d+): (.*)$", self.docstring, re.MULTILINE)
        line, text = (int(label.group(1)), label.group(2)) if label else (0, "")
        return Term(text, line, query, key, shift, self._keep(index), None if tile == self.tile else tile)

    def _kernel(self, kernel: ReadKernel, stationary: str) -> Kernel:
        sweeps = [one for sweep in kernel.sweeps for one in self._by_term(sweep, stationary)]
        return Kernel(kernel.order, tuple(self._sweep(kernel, sweep, stationary) for sweep in sweeps))

    def _by_term(self, sweep: ReadSweep, stationary: str) -> list[ReadSweep]:
        """The loops over its ranges, each by itself, of one term after the other."""
        loops: dict[int, list[ReadLoop]] = {}
        for loop in sweep.loops:
            for one in self._one_by_one(loop, stationary):
                loops.setdefault(self._index(one.lo), []).append(one)
        return [
            replace(sweep, loops=tuple(sorted(loops[index], key=lambda loop: _number(loop.lo))))
            for index in sorted(loops)
        ]

    def _one_by_one(self, loop: ReadLoop, stationary: str) -> list[ReadLoop]:
        """The ranges of a loop that walks several."""
        if not loop.ranges:
            return [loop]
        fan = loop.first is not None
        lo, hi = (self._chosen(name, loop.ranges, stationary, "d, " if fan else "") for name in (loop.lo, loop.hi))
        if loop.first is None or loop.last is None:
            return [replace(loop, lo=low, hi=high, ranges=0) for low, high in zip(lo, hi, strict=True)]
        first, last = (self._chosen(name, loop.ranges, stationary, "") for name in (loop.first, loop.last))
        return [
            replace(loop, lo=low, hi=high, first=one, last=end, ranges=0)
            for low, high, one, end in zip(lo, hi, first, last, strict=True)
        ]

    def _chosen(self, name: str, ranges: int, stationary: str, step: str) -> list[str]:
        """The names of the bounds among which a function chooses."""
        given = f"{stationary}, c, {step}T, {', '.join(self.lengths)}"
        function = self._function(name, f"r, {given}")
        rows = []
        for at in range(ranges):
            rows.append("else:" if at == ranges - 1 else f"{'elif' if at else 'if'} r == {at}:")
            rows.append(f"    bound = HOLE_{at}({given})")
        body = Statements(function, function.body)
        holes = body.take("\n".join([*rows, "return bound"]))
        if body.rest:
            raise refuse(function, f"{name} goes on after its choice")
        return [name_of(holes, str(at)) for at in range(ranges)]

    def _sweep(self, kernel: ReadKernel, sweep: ReadSweep, stationary: str) -> Sweep:
        names = [(loop.lo, loop.hi, loop.first, loop.last) for loop in sweep.loops]
        indices = {self._index(name) for ends in names for name in ends if name is not None}
        if len(indices) != 1:
            raise ReadError(f"generated source: a sweep mixes the bounds of terms {sorted(indices)}")
        index = indices.pop()
        if stationary == "I":
            shown = (kernel.order, sweep.order, sweep.shift, Tile(kernel.held, sweep.tile))
            widest = self.tile.key
        else:
            shown = (
                sweep.order,
                kernel.order,
                -sweep.shift % kernel.order.classes,
                Tile(sweep.tile, kernel.held),
            )
            widest = self.tile.query
        diagonals = {loop.diagonal for loop in sweep.loops}
        if len(diagonals) > 1 or (True in diagonals and shown != (NATURAL, NATURAL, 0, self.tile)):
            raise ReadError(f"generated source: term {index} is not all diagonals, in natural orders and whole tiles")
        # A launch chooses blocks that divide the tile of the program, and of no other.
        if sweep.tile != widest and not all(loop.whole for loop in sweep.loops):
            raise ReadError(f"generated source: term {index} walks a tile of {sweep.tile} in blocks of one of {widest}")
        if self.terms.setdefault(index, shown) != shown:
            raise ReadError(f"generated source: kernels differ in the orders, the shift or the tile of term {index}")
        for loop in sweep.loops:
            if loop.keep is not None and self.keeps.setdefault(index, loop.keep) != loop.keep:
                raise ReadError(f"generated source: loops of term {index} differ in their masks")
        return Sweep(index, tuple(self._range(loop, stationary, index) for loop in sweep.loops))

    def _range(self, loop: ReadLoop, stationary: str, index: int) -> Range:
        masked, names = loop.keep is not None, (stationary, "c", "T", *self.lengths)
        if loop.first is None or loop.last is None:
            return Range(self._bound(loop.lo, names), self._bound(loop.hi, names), masked, diagonal=loop.diagonal)
        row = re.search(rf"^\s*term {index}, .*\n.*; by rows of (\d+)$", self.docstring, re.MULTILINE)
        rows = 0 if loop.diagonal else int(row.group(1)) if row else 1
        fan = Fan(self._bound(loop.first, names), self._bound(loop.last, names), rows)
        by_step = (stationary, "c", "d", "T", *self.lengths)
        return Range(self._bound(loop.lo, by_step), self._bound(loop.hi, by_step), masked, fan, loop.diagonal)

    def _index(self, name: str) -> int:
        found = _BOUND.fullmatch(name)
        if found is None:
            raise ReadError(f"generated source: {name} is no bound of a term")
        return int(found.group(1))

    def _bound(self, name: str, names: tuple[str, ...]) -> Expr:
        return read_expr(self._result(name, names), frozenset(names))

    def _keep(self, index: int) -> Predicate:
        if index not in self.keeps:
            return TRUE
        names = ("c", "a", "b", *self.lengths)
        return read_mask(self._result(self.keeps[index], names), frozenset(names))

    def _result(self, name: str, parameters: tuple[str, ...]) -> ast.expr:
        """What a one-line function returns."""
        function = self._function(name, ", ".join(parameters))
        match function.body:
            case [ast.Return(value=value)] if value is not None:
                return value
        raise refuse(function, f"{name} does not return one expression")

    def _function(self, name: str, parameters: str) -> ast.FunctionDef:
        """The function of that name, which takes these parameters."""
        if name not in self.functions:
            raise ReadError(f"generated source: no function {name}")
        function = self.functions[name]
        [wanted] = template(f"def f({parameters}): pass")
        assert isinstance(wanted, ast.FunctionDef)
        decorators = [dotted(each) for each in function.decorator_list]
        if decorators != ["triton.jit"] or not same_arguments(wanted, function):
            raise refuse(function, f"{name} is not a function of ({parameters})")
        return function


def _table(*chains: list[ReadKernel]) -> int:
    """The blocks that the first kernel of each chain takes beside its sweeps, and no other."""
    found = {chain[0].table if chain else 0 for chain in chains}
    if len(found) > 1 or any(kernel.table for chain in chains for kernel in chain[1:]):
        raise ReadError("generated source: lists of blocks are not taken by the first kernel of each chain alone")
    return found.pop()


def _number(name: str) -> int:
    """Which of the ranges of a term a bound is of."""
    found = _BOUND.fullmatch(name)
    return int(found.group(2) or 0) if found else 0
