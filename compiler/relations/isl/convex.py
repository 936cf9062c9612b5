"""Raw convex pieces of sets, as isl has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import islpy as isl

from ..divided import Divided, Linear


def basics(raw: isl.Set) -> list[isl.BasicSet]:
    """The pieces of a raw set; they may overlap."""
    found = raw.get_basic_set_list()
    return [found.get_at(k) for k in range(found.n_basic_set())]


def denominators(raw: isl.Set) -> set[int]:
    """Of all integer divisions in the pieces of a raw set."""
    return {
        basic.get_div(div).get_denominator_val().to_python()
        for basic in basics(raw.compute_divs())
        for div in range(basic.dim(isl.dim_type.div))
    }


def divided(raw: isl.BasicSet, dims: Sequence[str]) -> Divided:
    """A raw convex piece, by its divisions and its constraints."""
    params = [raw.get_dim_name(isl.dim_type.param, at) for at in range(raw.dim(isl.dim_type.param))]
    quotients = range(raw.dim(isl.dim_type.div))
    names = [*(name.removeprefix("v_") for name in params), *dims, *quotients]

    def linear(found: Any, own: isl.dim_type, rest: int) -> Linear:
        kinds = ((isl.dim_type.param, len(params)), (own, len(dims)), (isl.dim_type.div, len(quotients)))
        places = [(kind, at) for kind, count in kinds for at in range(count)]
        factors = (found.get_coefficient_val(*place).to_python() for place in places)
        used = tuple((name, factor) for name, factor in zip(names, factors, strict=True) if factor)
        return Linear(used, found.get_constant_val().to_python(), rest)

    divisions = [(raw.get_div(k), raw.get_div(k).get_denominator_val()) for k in quotients]
    return Divided(
        tuple(linear(each.scale_val(by), isl.dim_type.in_, by.to_python()) for each, by in divisions),
        tuple(linear(each, isl.dim_type.set, int(each.is_equality())) for each in raw.get_constraints()),
    )
