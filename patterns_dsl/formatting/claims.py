"""The pieces of claims."""

from __future__ import annotations

from typing import assert_never

from .. import syntax
from .expressions import opening
from .pieces import Pieces, Place, listed


def claim(node: syntax.Claim | syntax.PlanClaim) -> Pieces:
    at = () if node.at is None else (" at ", *listed((f"{name} = ", Place(length)) for name, length in node.at.lengths))
    said = _of_plan(node) if isinstance(node, syntax.PlanClaim) else _of_pattern(node)
    return "prove ", *said, *at


def _of_pattern(node: syntax.Claim) -> Pieces:
    match node:
        case syntax.Nonempty():
            return ("nonempty",)
        case syntax.Causal():
            return ("causal",)
        case syntax.Symmetric():
            return ("symmetric",)
        case syntax.Reach(steps, negated, any_order):
            within = () if steps is None else (" in ", Place(steps), _counted(steps, " step"))
            return _reach(negated), *within, *([" in any layer order"] if any_order else [])
        case syntax.Subset(left, right):
            return *_left(left, ("keys", "cache", "density")), " <= ", Place(right)
        case syntax.Equal(left, right):
            return *_left(left, ()), " = ", Place(right)
        case syntax.Disjoint(left, right):
            return "disjoint(", Place(left), ", ", Place(right), ")"
        case syntax.Keys(most):
            return "keys <= ", Place(most)
        case syntax.Cache(most):
            return "cache <= ", Place(most)
        case syntax.Density(most):
            return "density <= ", Place(most)
        case _:
            assert_never(node)


def _of_plan(node: syntax.PlanClaim) -> Pieces:
    match node:
        case syntax.PlanReach(layers, negated, any_run):
            if layers is None:
                return (_reach(negated),)
            # `in any layers` is every run of `layers` layers: a number that is called `any` goes into parentheses.
            number: Pieces = (Place(layers),)
            if not any_run and opening(layers) in ("any", "any("):
                number = ("(", *number, ")")
            return _reach(negated), " in any " if any_run else " in ", *number, _counted(layers, " layer")
        case syntax.PlanCache(most):
            return "cache <= ", Place(most)
        case _:
            assert_never(node)


def _reach(negated: bool) -> str:
    return "not reach" if negated else "reach"


def _counted(number: syntax.Term, noun: str) -> str:
    return noun if isinstance(number, syntax.Integer) and number.value == 1 else f"{noun}s"


def _left(relation: syntax.Expression, words: tuple[str, ...]) -> Pieces:
    """The left side of a claim, in parentheses where it would be read as a claim of another kind: `keys <= r`."""
    first = opening(relation)
    if first == "disjoint(" or (first in words and relation == syntax.Call(first, span=relation.span)):
        return "(", Place(relation), ")"
    return (Place(relation),)
