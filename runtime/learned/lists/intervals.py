"""Whether a predicate holds throughout boxes of places, many at once: bounds instead of pairs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from typing import TypeAlias, assert_never

import torch
from torch import Tensor

from ....compiler.relations.integer import All, AnyOf, Binary, Compare, Const, Expr, Predicate, Select, Var, apply

Interval: TypeAlias = tuple[Tensor, Tensor]
"""The least and the greatest value, both included; int64, of shapes that broadcast."""


def always(predicate: Predicate, box: Mapping[str, Interval]) -> Tensor:
    """bool: True only where the predicate holds for every choice of the variables from their intervals. It may be False
    where it does too: bounds forget that a variable occurs twice."""
    match predicate:
        case Compare(operator, left, right):
            low, high = _binary("-", _range(left, box), _range(right, box))
            return {
                "<": high < 0,
                "<=": high <= 0,
                ">": low > 0,
                ">=": low >= 0,
                "==": (low == 0) & (high == 0),
                "!=": (low > 0) | (high < 0),
            }[operator]
        case All(parts):
            found = torch.ones((), dtype=torch.bool, device=_device(box))
            for part in parts:
                found = found & always(part, box)
            return found
        case AnyOf(parts):
            found = torch.zeros((), dtype=torch.bool, device=_device(box))
            for part in parts:
                found = found | always(part, box)
            return found
        case _:
            assert_never(predicate)


def _device(box: Mapping[str, Interval]) -> torch.device:
    return next(iter(box.values()))[0].device


def _range(expr: Expr, box: Mapping[str, Interval]) -> Interval:
    match expr:
        case Const(value):
            constant = torch.full((), value, dtype=torch.int64, device=_device(box))
            return constant, constant
        case Var(name):
            return box[name]
        case Binary("%", left, Const(modulus)):
            low, high = _range(left, box)
            same = low // modulus == high // modulus
            return (low % modulus).where(same, 0), (high % modulus).where(same, modulus - 1)
        case Binary(operator, left, right):
            return _binary(operator, _range(left, box), _range(right, box))
        case Select(_, then, otherwise):
            (low, high), (other_low, other_high) = _range(then, box), _range(otherwise, box)
            return torch.minimum(low, other_low), torch.maximum(high, other_high)
        case _:
            assert_never(expr)


def _binary(operator: str, left: Interval, right: Interval) -> Interval:
    """Each operator takes its extremes at ends of the intervals."""
    ends = [apply(operator, x, y, torch) for x in left for y in right]
    return reduce(torch.minimum, ends), reduce(torch.maximum, ends)
