"""As many elements of a batch as fit axis 1 of a grid, and what lists say of these."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from functools import partial
from typing import Any, TypeVar

from torch import Tensor

from ...errors import EngineError
from ..lists.key_lists import Bounds, KeyLists
from ..running.gathered import Rows
from .tables import Shape

LARGEST_GRID_Y = 65535

_BY_ELEMENT = ("entries", "since", "until", "rows", "gate", "row_gate", "keys", "values", "log_size")
"""Of lists, what has an element of the batch, or one for all, first."""

DataT = TypeVar("DataT")


def shares(lists: KeyLists, q: Tensor, k: Tensor) -> Iterator[tuple[slice, KeyLists]]:
    """Elements of the batch, in order, and the lists for these. Raises EngineError where one element has too many heads
    for a grid."""
    batch, heads, key_heads = q.shape[0], q.shape[1], k.shape[1]
    rows = q.shape[2] if lists.rows is None else lists.rows.shape[-1]
    bundles = Shape.of(lists, heads, key_heads, rows).bundles(heads, key_heads)
    if bundles > LARGEST_GRID_Y:
        raise EngineError(f"{bundles} heads of one batch element are over {LARGEST_GRID_Y}: give fewer heads")
    step = LARGEST_GRID_Y // max(1, bundles)
    if batch <= step:
        yield slice(0, batch), lists
        return
    for start in range(0, batch, step):
        elements = slice(start, min(batch, start + step))
        yield elements, lists.once(("elements", start, step), partial(_of, lists, elements, batch))


def rows_of(whole: Rows, elements: slice) -> Rows:
    given = None if whole.grad_lse is None else whole.grad_lse[elements]
    return Rows(whole.out[elements], whole.grad[elements], whole.delta[elements], whole.lse[elements], given)


def add_share(found: dict[str, Tensor], part: dict[str, Tensor], elements: slice, batch: int) -> None:
    """Add what some elements give to what the lists learn: to what is their own, or to what all share."""
    for name, slope in part.items():
        own = name in _BY_ELEMENT and found[name].shape[0] == batch
        (found[name][elements] if own else found[name]).add_(slope)


def _of(lists: KeyLists, elements: slice, batch: int) -> KeyLists:
    given: dict[str, Tensor | None] = {name: getattr(lists, name) for name in _BY_ELEMENT}
    cut: dict[str, Any] = {name: _cut(x, elements, batch) for name, x in given.items() if x is not None}
    made: dict[Any, Any] | None = None if lists.made is None else {}
    return replace(lists, bounds=_bounds(lists.bounds, elements, batch), made=made, **cut)


def _bounds(bounds: Bounds, elements: slice, batch: int) -> Bounds:
    earlier = (replace(each, held=_tensors(each.held, elements, batch)) for each in bounds.earlier)
    return replace(
        bounds,
        queries=bounds.queries[elements],
        keys=bounds.keys[elements],
        lengths={name: length[elements] for name, length in bounds.lengths.items()},
        earlier=tuple(earlier),
    )


def _tensors(data: DataT, elements: slice, batch: int) -> DataT:
    """With each tensor of a dataclass cut."""
    values = ((each.name, getattr(data, each.name)) for each in fields(data))  # type: ignore[arg-type]
    cut: dict[str, Any] = {name: _cut(x, elements, batch) for name, x in values if isinstance(x, Tensor)}
    return replace(data, **cut)  # type: ignore[type-var]


def _cut(x: Tensor, elements: slice, batch: int) -> Tensor:
    return x[elements] if x.shape[0] == batch else x
