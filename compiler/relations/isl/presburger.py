"""Sets of integer tuples described by Presburger formulas.

A set has named dimensions; every other name in its formulas is a parameter, standing for any integer. All operations
are exact, return new sets, and are bounded by the budgets of ``context.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, reduce

import islpy as isl

from ..closed_form import expression, predicate
from ..divided import Divided
from ..integer import FALSE, TRUE, Expr, Predicate
from .context import CONTEXT, listed, parsed_map, parsed_set, quote, space
from .convex import basics, denominators, divided
from .piecewise import hull


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
        kept = [dim for dim in self.dims if dim in dims]
        if kept != [dim for dim in dims if dim in self.dims]:
            return self.image(dims, "true")
        raw = self._set
        for place in reversed(range(len(self.dims))):
            if self.dims[place] not in dims:
                raw = raw.project_out(isl.dim_type.set, place, 1)
        if len(kept) < len(self.dims):
            raw = raw.coalesce()
        for place, dim in enumerate(dims):
            if dim not in self.dims:
                raw = raw.insert_dims(isl.dim_type.set, place, 1)
        return IntegerSet(dims, raw)

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
        return tuple(IntegerSet(self.dims, isl.Set.from_basic_set(basic)) for basic in basics(self._set))

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
        changed = (isl.Set.from_basic_set(change(basic)) for basic in basics(self._set))
        return IntegerSet(self.dims, reduce(isl.Set.union, changed, isl.Set.empty(self._set.get_space())))

    def hull(self) -> IntegerSet:
        """A convex superset of a set in which nothing is quantified: what its pieces all keep to, up to a constant."""
        return IntegerSet(self.dims, isl.Set.from_basic_set(self._set.simple_hull()))

    def constraints(self) -> tuple[tuple[dict[str, int], int, bool], ...]:
        """Of the hull of a set in which nothing is quantified: (factors, constant, whether it is 0, not only >= 0)."""
        found = divided(self._set.remove_divs().simple_hull(), self.dims).constraints
        return tuple(({str(name): by for name, by in each.factors}, each.constant, bool(each.by)) for each in found)

    def divided(self) -> tuple[Divided, ...]:
        """Convex pieces, each by its divisions and its constraints."""
        return tuple(divided(piece, self.dims) for piece in basics(self._set.compute_divs()))

    def transitive_closure(self) -> IntegerSet:
        """For a set of pairs: about the pairs connected by one or more of them. Exact where isl can; mostly a superset
        where not, but of some sets with strides isl leaves out pairs, even of the set itself."""
        first, second = (
            isl.Map.read_from_str(CONTEXT, f"{{ [a, b] -> [{dim}] }}").intersect_domain(self._set) for dim in "ab"
        )
        closure, _exact = first.reverse().apply_range(second).transitive_closure()
        return IntegerSet(self.dims, closure.wrap().flatten())

    def pieces(self) -> tuple[IntegerSet, ...]:
        """Disjoint convex pieces (up to strides)."""
        return IntegerSet(self.dims, self._set.coalesce().make_disjoint().coalesce()).disjuncts()

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
        return tuple(sorted(denominators(self._set) - {1}))

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
        known = context.onto(others).as_parameters(others).params()
        lo, hi = hull(self.as_parameters(others), known)
        return expression(lo), expression(hi)

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
