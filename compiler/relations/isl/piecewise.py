"""Raw functions of parameters, as isl has them: linear, piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import islpy as isl

from .context import CONTEXT, listed


def value(number: int) -> isl.Val:
    """A number as isl's own."""
    return isl.Val.int_from_si(CONTEXT, number)


def function(names: Sequence[str], formula: str) -> isl.PwAff:
    """A raw function of parameters, from isl's text over quoted names."""
    return isl.PwAff.read_from_str(CONTEXT, f"[{listed(names)}] -> {{ [({formula})] }}")


def graph(raw: isl.PwAff) -> isl.Set:
    """The raw set of the values of a raw function of parameters."""
    return isl.Set.from_pw_aff(raw)


def code(raw: isl.PwAff, known: isl.Set) -> Any:
    """The syntax tree of a raw function, simplified where the parameters are in ``known``."""
    return isl.AstBuild.from_context(known).expr_from_pw_aff(raw.gist_params(known).coalesce())


def hull(raw: isl.Set, known: isl.Set) -> tuple[Any, Any]:
    """The syntax trees of the least number of a raw set over one dimension, and of the greatest plus 1: lo >= hi where
    there is none. ``known``: the values of its parameters that are asked for."""
    lo, hi = raw.dim_min(0), raw.dim_max(0).add_constant_val(isl.Val.one(CONTEXT))
    nothing = known.subtract(raw.params())
    if not nothing.is_empty():
        # Where there is no number the formulas may already say so by themselves (lo >= hi); else both become 0.
        wide_lo, wide_hi = _extended(lo), _extended(hi)
        if wide_lo is not None and wide_hi is not None and wide_lo.lt_set(wide_hi).is_disjoint(nothing):
            lo, hi = wide_lo, wide_hi
        else:
            zero = isl.PwAff.zero_on_domain(isl.LocalSpace.from_space(nothing.get_space()))
            lo, hi = (bound.union_add(zero.intersect_params(nothing)) for bound in (lo, hi))
    return code(lo, known), code(hi, known)


def _extended(bound: isl.PwAff) -> isl.PwAff | None:
    """The same formula without its domain, when it is a single one."""
    pieces = bound.coalesce().get_pieces()
    return isl.PwAff.from_aff(pieces[0][1]) if len(pieces) == 1 else None
