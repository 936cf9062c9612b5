"""Integer functions of positions and lengths: piecewise linear, with ``div`` and ``mod`` by constants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .closed_form import expression
from .integer import Expr
from .isl.piecewise import code, function, graph, value
from .isl.presburger import IntegerSet


class IntegerFunction:
    """An immutable function of the named dims and of parameters, defined on a set of them. All operations are exact.

    A sum, minimum or comparison of two is defined where both are.
    """

    __slots__ = ("_raw", "dims")

    def __init__(self, dims: Sequence[str], raw: Any) -> None:
        self.dims = tuple(dims)
        self._raw = raw  # isl.PwAff over parameters, the dims among them

    @classmethod
    def parse(cls, dims: Sequence[str], formula: str, parameters: Sequence[str] = ()) -> IntegerFunction:
        """A formula of isl over quoted names."""
        return cls(dims, function((*dims, *parameters), formula))

    def __add__(self, other: IntegerFunction | int) -> IntegerFunction:
        if isinstance(other, int):
            return IntegerFunction(self.dims, self._raw.add_constant_val(value(other)))
        return IntegerFunction(self.dims, self._raw.add(other._raw))

    def __sub__(self, other: IntegerFunction) -> IntegerFunction:
        return IntegerFunction(self.dims, self._raw.sub(other._raw))

    def __mul__(self, factor: int) -> IntegerFunction:
        return IntegerFunction(self.dims, self._raw.scale_val(value(factor)))

    def __floordiv__(self, divisor: int) -> IntegerFunction:
        return IntegerFunction(self.dims, self._raw.scale_down_val(value(divisor)).floor())

    def __mod__(self, modulus: int) -> IntegerFunction:
        return IntegerFunction(self.dims, self._raw.mod_val(value(modulus)))

    def plus(self, other: IntegerFunction) -> IntegerFunction:
        """The sum, where a function that is not defined counts as 0."""
        return IntegerFunction(self.dims, self._raw.union_add(other._raw).coalesce())

    def minimum(self, other: IntegerFunction) -> IntegerFunction:
        return IntegerFunction(self.dims, self._raw.min(other._raw).coalesce())

    def within(self, domain: IntegerSet) -> IntegerFunction:
        """The same function, defined on less."""
        known = domain.onto(self.dims).as_parameters(self.dims).params()
        return IntegerFunction(self.dims, self._raw.intersect_params(known))

    def above(self, other: IntegerFunction) -> IntegerSet:
        """Where this function is greater."""
        return IntegerSet.from_parameters(self.dims, self._raw.gt_set(other._raw).params())

    def equal_to(self, number: int) -> IntegerSet:
        """Where this function has a value."""
        known = function(self.dims, str(number))
        return IntegerSet.from_parameters(self.dims, self._raw.sub(known).zero_set().params())

    def values(self, most: int) -> tuple[int, ...] | None:
        """The values that occur at some length, ascending; None where they are more than ``most``, or negative."""
        rest = IntegerSet(("value",), graph(self._raw)).for_some(*self.dims, "n", "nq", "nk")
        rest = rest & IntegerSet.parse(("value",), "v_value >= 0")
        found: list[int] = []
        while not rest.empty:
            if len(found) == most:
                return None
            point = rest.smallest(())
            assert point is not None
            found.append(point["value"])
            rest = rest & IntegerSet.parse(("value",), f"v_value > {point['value']}")
        return tuple(found)

    @property
    def moduli(self) -> tuple[int, ...]:
        """The periods that the description speaks of, ascending."""
        return IntegerSet(("value",), graph(self._raw)).moduli

    def greatest(self, dim: str) -> IntegerFunction:
        """The greatest value over a dim, as a function of the others."""
        rest = tuple(name for name in self.dims if name != dim)
        values = IntegerSet(("value",), graph(self._raw)).for_some(dim)
        return IntegerFunction(rest, values.as_parameters(()).coalesce().dim_max(0).coalesce())

    def closed_form(self, domain: IntegerSet) -> Expr:
        """The value as an expression, for dims and parameters in ``domain``."""
        return expression(code(self._raw, domain.onto(self.dims).as_parameters(self.dims).params()))


def least(numbers: IntegerSet, dim: str) -> IntegerFunction:
    """The least value of a dim, as a function of the others; defined where there is one. The dim is bounded below."""
    others = [name for name in numbers.dims if name != dim]
    return IntegerFunction(others, numbers.as_parameters(others).dim_min(0))


def greatest(numbers: IntegerSet, dim: str) -> IntegerFunction:
    """The greatest value of a dim, as a function of the others; defined where there is one. It is bounded above."""
    others = [name for name in numbers.dims if name != dim]
    return IntegerFunction(others, numbers.as_parameters(others).dim_max(0))
