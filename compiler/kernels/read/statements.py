"""read: statements of a kernel, one after the other, against the forms that they may have."""

from __future__ import annotations

import ast
import math

from ...passes.program import Order
from .forms import kernel
from .integer import refuse
from .source_template import Holes, match_statements, template


class Statements:
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

    def take_head(self, form: str, tiled: str) -> tuple[Order, Holes, kernel.Lengths]:
        """The stationary order, the holes of the next statements, and which lengths they speak of. What exists is
        asked of a tiled order in a way of its own."""
        ways = ((kernel.CROSS, form, False), (kernel.SELF, tiled, True))
        found = next(
            (
                (holes, lengths, box)
                for lengths, way, box in ways
                if (holes := self.accept(lengths.write(way))) is not None
            ),
            None,
        )
        holes, lengths, box = found or (self.take(kernel.SELF.write(form)), kernel.SELF, False)
        order = order_of(holes, integer(holes, "classes"))
        if order.tiled != box:
            raise refuse(self.owner, "what exists is asked in the way of another order")
        return order, holes, lengths

    def accept_loop(self, form: str) -> tuple[Holes, Statements] | None:
        """The holes of the head of a loop, and what it repeats; None, and no step forward, where it is not next."""
        match self.rest:
            case [ast.For(target=target, iter=items, orelse=[]) as loop, *_]:
                head = ast.For(target, items, [ast.Pass()], [])
                holes = match_statements(template(form), [head])
                if holes is not None:
                    del self.rest[0]
                    return holes, Statements(loop, loop.body)
        return None


def order_of(holes: Holes, classes: int) -> Order:
    period, start = integer(holes, "period"), integer(holes, "start")
    match holes["count"]:
        case ast.Tuple(elts=digits) if digits:
            pairs = tuple(_digit(digit) for digit in digits)
            return Order(period, math.prod(extent for extent, _ in pairs), start, classes, pairs)
        case _:
            return Order(period, integer(holes, "count"), start, classes)


def _digit(node: ast.expr) -> tuple[int, int]:
    match node:
        case ast.Tuple(elts=[ast.Constant(value=int(extent)), ast.Constant(value=int(stride))]):
            if extent > 0 and stride > 0:
                return extent, stride
    raise refuse(node, "a digit is a pair (extent, stride)")


def integer(holes: Holes, name: str) -> int:
    match holes[name]:
        case ast.Constant(value=int(value)) if not isinstance(value, bool):
            return value
        case other:
            raise refuse(other, f"the {name} is not an integer")


def name_of(holes: Holes, name: str) -> str:
    match holes[name]:
        case ast.Name(id=found):
            return found
        case other:
            raise refuse(other, f"the {name} is not a function")
