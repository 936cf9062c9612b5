"""Sets of integer tuples described by Presburger formulas: the only file that talks to isl.

A set has named dimensions; every other name in its formulas is a parameter, standing for any integer. All operations
are exact and return new sets. They are bounded: inside ``budget(k)`` isl stops after k of its operations, at the same
place on every machine, and ``BudgetExceeded`` is raised; the context stays usable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from time import monotonic
from typing import Any

import islpy as isl

from ..ceiling import Heavier, capped
from .closed_form import expression, predicate
from .integer import FALSE, TRUE, Expr, Predicate

_CONTEXT = isl.Context()
_CONTEXT.set_ast_build_detect_min_max(1)
# Off: rewriting floor((n - a - 1) / 5) as a remainder, isl 0.27 printed a % 5 for (a - n) % 5. confirm caught it.
_CONTEXT.set_ast_build_prefer_pdiv(0)

PROOF_OPERATIONS = 300_000
"""The stock proofs need a small part of this; an explosive formula stops after a fraction of a second."""


class BudgetExceeded(Exception):
    """A set computation did not finish within its budget."""


@contextmanager
def budget(operations: int = PROOF_OPERATIONS) -> Iterator[None]:
    """Bound the set computations inside; raises ``BudgetExceeded`` where they run over, ``Heavier`` where a ceiling
    keeps them from going on."""
    outer, allowed = _CONTEXT.get_max_operations(), capped(operations)
    _CONTEXT.reset_operations()
    _CONTEXT.set_max_operations(allowed)
    begun = monotonic()
    try:
        yield
    except (isl.Error, TypeError, AttributeError):  # where isl stops while it prints a number, islpy reads None
        if not _spent():
            raise
        if allowed < operations:
            raise Heavier(f"more than {allowed} operations", monotonic() - begun) from None
        raise BudgetExceeded(f"more than {operations} operations") from None
    finally:
        _CONTEXT.reset_operations()
        _CONTEXT.set_max_operations(outer)


def _spent() -> bool:
    """Whether the budget is used up. The error does not always tell: a text that isl stops reading half way through
    is reported as a syntax error."""
    try:
        isl.Set.read_from_str(_CONTEXT, "{ [i] : i >= 0 }").is_empty()
    except isl.Error:
        return True
    return False


def quote(name: str) -> str:
    """A name as it may stand in a formula: isl reads ``max``, ``mod`` or ``exists`` as keywords, so all are tagged."""
    return f"v_{name}"


# isl's objects are immutable, and the passes ask for the same few renamings and tilings again and again.
@lru_cache(maxsize=4096)
def _map(text: str) -> isl.Map:
    return isl.Map.read_from_str(_CONTEXT, text)


@lru_cache(maxsize=4096)
def _set(text: str) -> isl.Set:
    return isl.Set.read_from_str(_CONTEXT, text)


class IntegerSet:
    """An immutable set of integer tuples over ``dims``, in order. Formulas are isl's text over ``quote``d names."""

    __slots__ = ("__dict__", "_set", "dims")

    def __init__(self, dims: Sequence[str], raw: isl.Set) -> None:
        self.dims = tuple(dims)
        self._set = raw

    @classmethod
    def parse(cls, dims: Sequence[str], formula: str, parameters: Sequence[str] = ()) -> IntegerSet:
        """``{ [dims] : formula }``; names in ``formula`` are quoted (see ``quote``)."""
        return cls(dims, _set(_space(parameters, f"[{_list(dims)}] : {formula or 'true'}")))

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
        text = _space(parameters, f"[{_list(self.dims)}] -> [{target}] : {' and '.join([*equal, f'({formula})'])}")
        return IntegerSet(dims, self._set.apply(_map(text)).coalesce())

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

    def transitive_superset(self) -> IntegerSet:
        """For a set of pairs: a superset of the pairs connected by one or more of them (exact where isl can)."""
        first, second = (
            isl.Map.read_from_str(_CONTEXT, f"{{ [a, b] -> [{dim}] }}").intersect_domain(self._set) for dim in "ab"
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
        lo, hi = raw.dim_min(0), raw.dim_max(0).add_constant_val(isl.Val.one(_CONTEXT))
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


def value(number: int) -> isl.Val:
    """A number as isl's own. For this room only."""
    return isl.Val.int_from_si(_CONTEXT, number)


def function(names: Sequence[str], formula: str) -> isl.PwAff:
    """A raw function of parameters, from isl's text over quoted names. For this room only."""
    return isl.PwAff.read_from_str(_CONTEXT, f"[{_list(names)}] -> {{ [({formula})] }}")


def graph(raw: isl.PwAff) -> isl.Set:
    """The raw set of the values of a raw function of parameters. For this room only."""
    return isl.Set.from_pw_aff(raw)


def code(raw: isl.PwAff, known: isl.Set) -> Any:
    """The syntax tree of a raw function, simplified where the parameters are in ``known``. For this room only."""
    return isl.AstBuild.from_context(known).expr_from_pw_aff(raw.gist_params(known).coalesce())


def _list(names: Sequence[str]) -> str:
    return ", ".join(quote(name) for name in names)


def _space(parameters: Sequence[str], body: str) -> str:
    return f"[{_list(parameters)}] -> {{ {body} }}"


def _extended(bound: isl.PwAff) -> isl.PwAff | None:
    """The same formula without its domain, when it is a single one."""
    pieces = bound.coalesce().get_pieces()
    return isl.PwAff.from_aff(pieces[0][1]) if len(pieces) == 1 else None
