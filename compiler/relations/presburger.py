"""Sets of integer tuples described by Presburger formulas.

A set has named dimensions; every other name in its formulas is a parameter, standing for any integer. All operations
are exact, return new sets, and are bounded by the budgets of ``context.py``. Only these two files talk to isl.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, reduce
from typing import Any

import islpy as isl

from .closed_form import expression, predicate
from .context import CONTEXT, listed, parsed_map, parsed_set, quote, space
from .divided import Divided, Linear
from .integer import FALSE, TRUE, Expr, Predicate


class IntegerSet:
    """An immutable set of integer tuples over ``dims``, in order. Formulas are isl's text over ``quote``d names."""

    __slots__ = ("__dict__", "_set", "dims")

    def __init__(self, dims: Sequence[str], raw: isl.Set) -> None:
        self.dims = tuple(dims)
        self._set = raw

    @classmethod
    def parse(cls, dims: Sequence[str], formula: str, parameters: Sequence[str] = ()) -> IntegerSet:
        """``{ [dims] : formula }``; names in ``formula`` are quoted (see ``quote``)."""
        return cls(dims, parsed_set(space(parameters, f"[{listed(dims)}] : {formula or 'true'}")))

    @classmethod
    def from_parameters(cls, dims: Sequence[str], raw: isl.Set) -> IntegerSet:
        """The inverse of ``as_parameters``, for a raw set of parameters alone."""
        raw = raw.from_params()
        for place, dim in enumerate(dims):
            position = raw.find_dim_by_name(isl.dim_type.param, quote(dim))
            if position < 0:
                raw = raw.insert_dims(isl.dim_type.set, place, 1)
            else:
                raw = raw.move_dims(isl.dim_type.set, place, isl.dim_type.param, position, 1)
        return cls(dims, raw)

    # --- algebra; operands are aligned by the names of their dimensions ---

    def __and__(self, other: IntegerSet) -> IntegerSet:
        return IntegerSet(self.dims, self._set & other.onto(self.dims)._set)

    def __or__(self, other: IntegerSet) -> IntegerSet:
        return IntegerSet(self.dims, (self._set | other.onto(self.dims)._set).coalesce())

    def __sub__(self, other: IntegerSet) -> IntegerSet:
        return IntegerSet(self.dims, (self._set - other.onto(self.dims)._set).coalesce())

    def __le__(self, other: IntegerSet) -> bool:
        return bool(self._set.is_subset(other.onto(self.dims)._set))

    def equals(self, other: IntegerSet) -> bool:
        """Whether both hold the same tuples, for every value of the parameters."""
        return bool(self._set.is_equal(other.onto(self.dims)._set))

    def disjoint(self, other: IntegerSet) -> bool:
        return bool(self._set.is_disjoint(other.onto(self.dims)._set))

    @cached_property
    def empty(self) -> bool:
        return bool(self._set.is_empty())

    def onto(self, dims: Sequence[str]) -> IntegerSet:
        """Keep, reorder or add dimensions: dropped ones are projected out, new ones unconstrained."""
        if tuple(dims) == self.dims:
            return self
        return self.image(dims, "true")

    def image(self, dims: Sequence[str], formula: str, parameters: Sequence[str] = ()) -> IntegerSet:
        """``{ dims : exists the other dimensions of this set, formula }``: rename, substitute, quantify."""
        equal = [f"{quote(dim)}' = {quote(dim)}" for dim in dims if dim in self.dims]
        target = ", ".join(quote(dim) + "'" if dim in self.dims else quote(dim) for dim in dims)
        text = space(parameters, f"[{listed(self.dims)}] -> [{target}] : {' and '.join([*equal, f'({formula})'])}")
        return IntegerSet(dims, self._set.apply(parsed_map(text)).coalesce())

    def rename(self, names: Mapping[str, str]) -> IntegerSet:
        """The same set under other dimension names."""
        return IntegerSet([names.get(dim, dim) for dim in self.dims], self._set)

    def for_some(self, *parameters: str) -> IntegerSet:
        """The tuples that are in the set for at least one value of the parameters."""
        raw = self._set
        for name in parameters:
            position = raw.find_dim_by_name(isl.dim_type.param, quote(name))
            if position >= 0:
                raw = raw.project_out(isl.dim_type.param, position, 1)
        return IntegerSet(self.dims, raw)

    def complement(self) -> IntegerSet:
        return IntegerSet(self.dims, self._set.complement())

    def simplify(self, context: IntegerSet) -> IntegerSet:
        """A set with a shorter description that agrees with this one within ``context``."""
        return IntegerSet(self.dims, self._set.coalesce().gist(context.onto(self.dims)._set).coalesce())

    def disjuncts(self) -> tuple[IntegerSet, ...]:
        """Convex pieces, up to strides; they may overlap."""
        basic = self._set.get_basic_set_list()
        return tuple(IntegerSet(self.dims, isl.Set.from_basic_set(basic.get_at(k))) for k in range(basic.n_basic_set()))

    def without(self, dims: Sequence[str]) -> IntegerSet:
        """A superset that leaves these dimensions open: eliminated over the rationals, one by one."""
        return self._each(lambda piece: reduce(self._open, dims, piece))

    def _open(self, piece: isl.BasicSet, dim: str) -> isl.BasicSet:
        return piece.eliminate(isl.dim_type.set, self.dims.index(dim), 1)

    def unquantified(self) -> IntegerSet:
        """A superset in which nothing is quantified: those numbers are eliminated over the rationals."""
        return self._each(lambda piece: piece.remove_divs())

    @classmethod
    def union(cls, parts: Sequence[IntegerSet]) -> IntegerSet:
        """Of several sets, at least one, over the same dims."""
        return cls(parts[0].dims, reduce(isl.Set.union, (part._set for part in parts)).coalesce())

    def _each(self, change: Callable[[isl.BasicSet], isl.BasicSet]) -> IntegerSet:
        basic = self._set.get_basic_set_list()
        changed = (isl.Set.from_basic_set(change(basic.get_at(k))) for k in range(basic.n_basic_set()))
        return IntegerSet(self.dims, reduce(isl.Set.union, changed, isl.Set.empty(self._set.get_space())))

    def hull(self) -> IntegerSet:
        """A convex superset of a set in which nothing is quantified: what its pieces all keep to, up to a constant."""
        return IntegerSet(self.dims, isl.Set.from_basic_set(self._set.simple_hull()))

    def constraints(self) -> tuple[tuple[dict[str, int], int, bool], ...]:
        """Of the hull of a set in which nothing is quantified: (factors, constant, whether it is 0, not only >= 0)."""
        basic = self._set.remove_divs().simple_hull()
        names = [
            (kind, place, basic.get_dim_name(kind, place) or self.dims[place])
            for kind in (isl.dim_type.param, isl.dim_type.set)
            for place in range(basic.dim(kind))
        ]
        found = []
        for each in basic.get_constraints():
            factors = {name: each.get_coefficient_val(kind, place).to_python() for kind, place, name in names}
            used = {name.removeprefix("v_"): factor for name, factor in factors.items() if factor}
            found.append((used, each.get_constant_val().to_python(), bool(each.is_equality())))
        return tuple(found)

    def divided(self) -> tuple[Divided, ...]:
        """Convex pieces, each by its divisions and its constraints."""
        raw = self._set.compute_divs()
        pieces = map(raw.get_basic_set_list().get_at, range(raw.n_basic_set()))
        return tuple(divided(piece, self.dims) for piece in pieces)

    def transitive_superset(self) -> IntegerSet:
        """For a set of pairs: a superset of the pairs connected by one or more of them (exact where isl can)."""
        first, second = (
            isl.Map.read_from_str(CONTEXT, f"{{ [a, b] -> [{dim}] }}").intersect_domain(self._set) for dim in "ab"
        )
        closure, _exact = first.reverse().apply_range(second).transitive_closure()
        return IntegerSet(self.dims, closure.wrap().flatten())

    def pieces(self) -> tuple[IntegerSet, ...]:
        """Disjoint convex pieces (up to strides)."""
        basic = self._set.coalesce().make_disjoint().coalesce().get_basic_set_list()
        return tuple(IntegerSet(self.dims, isl.Set.from_basic_set(basic.get_at(k))) for k in range(basic.n_basic_set()))

    # --- questions ---

    def involves(self, parameter: str) -> bool:
        """Whether the description depends on a parameter."""
        raw = self._set.remove_redundancies()
        position = raw.find_dim_by_name(isl.dim_type.param, quote(parameter))
        return position >= 0 and bool(raw.involves_dims(isl.dim_type.param, position, 1))

    def smallest(self, parameters: Sequence[str]) -> dict[str, int] | None:
        """The lexicographically smallest (parameters..., dims...) of a set whose parameters are bounded below."""
        raw = self._set
        for name in reversed(parameters):
            position = raw.find_dim_by_name(isl.dim_type.param, quote(name))
            if position >= 0:
                raw = raw.move_dims(isl.dim_type.set, 0, isl.dim_type.param, position, 1)
            else:
                raw = raw.insert_dims(isl.dim_type.set, 0, 1)
        point = raw.lexmin().sample_point()
        if point.is_void():
            return None
        names = (*parameters, *self.dims)
        values = [point.get_coordinate_val(isl.dim_type.set, k).to_python() for k in range(len(names))]
        return dict(zip(names, values, strict=True))

    def greatest(self) -> int | None:
        """The greatest number of a set over one dimension without parameters; None where there is none."""
        found = self._set.dim_max_val(0)
        return found.to_python() if found.is_int() else None

    @cached_property
    def moduli(self) -> tuple[int, ...]:
        """The denominators of the integer divisions in the description, ascending: the periods it speaks of."""
        found: set[int] = set()
        basics = self._set.compute_divs().get_basic_set_list()
        for k in range(basics.n_basic_set()):
            basic = basics.get_at(k)
            for div in range(basic.dim(isl.dim_type.div)):
                found.add(basic.get_div(div).get_denominator_val().to_python())
        return tuple(sorted(found - {1}))

    def bounded(self, dim: str) -> bool:
        """Whether ``dim`` has an upper bound in terms of the other dims and the parameters."""
        if self.empty:
            return True
        try:
            self.as_parameters([d for d in self.dims if d != dim]).dim_max(0)
        except isl.Error as error:
            # isl's own dim_has_upper_bound counts bounds through existential variables that bound nothing.
            if "unbounded" not in str(error):
                raise
            return False
        return True

    # --- closed forms ---

    def interval(self, dim: str, context: IntegerSet) -> tuple[Expr, Expr]:
        """``lo, hi`` in the other dims and the parameters, with lo <= dim < hi the hull; lo >= hi where there is none.

        ``context`` (over the other dims) says which values of those are asked for.
        """
        others = [d for d in self.dims if d != dim]
        raw = self.as_parameters(others)
        known = context.onto(others).as_parameters(others).params()
        lo, hi = raw.dim_min(0), raw.dim_max(0).add_constant_val(isl.Val.one(CONTEXT))
        nothing = known.subtract(raw.params())
        if not nothing.is_empty():
            # Where no tile is touched the formulas may already say so by themselves (lo >= hi); else both become 0.
            wide_lo, wide_hi = _extended(lo), _extended(hi)
            if wide_lo is not None and wide_hi is not None and wide_lo.lt_set(wide_hi).is_disjoint(nothing):
                lo, hi = wide_lo, wide_hi
            else:
                zero = isl.PwAff.zero_on_domain(isl.LocalSpace.from_space(nothing.get_space()))
                lo, hi = (bound.union_add(zero.intersect_params(nothing)) for bound in (lo, hi))
        lo, hi = (expression(code(bound, known)) for bound in (lo, hi))
        return lo, hi

    def predicate(self, context: IntegerSet) -> Predicate:
        """Membership as a predicate over the dims and parameters, exact within ``context``."""
        raw = self.simplify(context).as_parameters(self.dims)
        known = context.onto(self.dims).as_parameters(self.dims).params()
        params = raw.params()
        if params.is_empty():
            return FALSE
        if known.is_subset(params):
            return TRUE
        return predicate(isl.AstBuild.from_context(known).expr_from_set(params))

    def as_parameters(self, dims: Sequence[str]) -> isl.Set:
        """The raw set with ``dims`` turned into parameters; what stays is in the old order. For this room only."""
        raw = self._set
        remaining = list(self.dims)
        for dim in dims:
            position = remaining.index(dim)
            raw = raw.set_dim_name(isl.dim_type.set, position, quote(dim))
            raw = raw.move_dims(isl.dim_type.param, raw.dim(isl.dim_type.param), isl.dim_type.set, position, 1)
            remaining.pop(position)
        return raw

    def __repr__(self) -> str:
        return f"IntegerSet({str(self._set).replace('v_', '')})"


def divided(raw: isl.BasicSet, dims: Sequence[str]) -> Divided:
    """A raw convex piece, by its divisions and its constraints. For this room only."""
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


def value(number: int) -> isl.Val:
    """A number as isl's own. For this room only."""
    return isl.Val.int_from_si(CONTEXT, number)


def function(names: Sequence[str], formula: str) -> isl.PwAff:
    """A raw function of parameters, from isl's text over quoted names. For this room only."""
    return isl.PwAff.read_from_str(CONTEXT, f"[{listed(names)}] -> {{ [({formula})] }}")


def graph(raw: isl.PwAff) -> isl.Set:
    """The raw set of the values of a raw function of parameters. For this room only."""
    return isl.Set.from_pw_aff(raw)


def code(raw: isl.PwAff, known: isl.Set) -> Any:
    """The syntax tree of a raw function, simplified where the parameters are in ``known``. For this room only."""
    return isl.AstBuild.from_context(known).expr_from_pw_aff(raw.gist_params(known).coalesce())


def _extended(bound: isl.PwAff) -> isl.PwAff | None:
    """The same formula without its domain, when it is a single one."""
    pieces = bound.coalesce().get_pieces()
    return isl.PwAff.from_aff(pieces[0][1]) if len(pieces) == 1 else None
