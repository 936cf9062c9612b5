"""One softmax over positional programs and lists, forward and backward.

The parts share no pair. Each adds to (out, lse) in turn; backward calls each with the final (out, lse), which are all
that is kept beside the inputs: the sum over parts is the exact gradient of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..differentiable import once
from ..precision import as_given
from .lists.key_lists import KeyLists
from .plain import check_plain
from .positional import Positional
from .pricing.dispatch import DENSE, LISTED, Dispatch, choose
from .running import densely, gathered
from .running.gathered import Rows
from .running.products import Scores


@dataclass(frozen=True, slots=True, eq=False)
class Parts:
    """What one call attends to."""

    positional: tuple[Positional, ...]
    lists: tuple[KeyLists, ...]
    scores: Scores
    engine: str  # that the lists run under
    dispatch: Dispatch = LISTED  # of the lists, in the direction that is computed

    def learned(self) -> list[Tensor]:
        """The tensors of all parts that have a gradient."""
        return [
            *(tensor for part in self.positional for tensor in part.learned().values()),
            *(tensor for lists in self.lists for tensor in lists.learned().values()),
        ]

    def having(self, learned: Iterator[Tensor]) -> Parts:
        """The same with these tensors, in the order of ``learned``."""
        positional = tuple(part.having({name: next(learned) for name in part.learned()}) for part in self.positional)
        lists = tuple(part.having({name: next(learned) for name in part.learned()}) for part in self.lists)
        return replace(self, positional=positional, lists=lists)


def attend(parts: Parts, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """out [B, Hq, Nq, D], of q's data type, and lse [B, Hq, Nq], at least float32. Differentiable, once, in q, k, v,
    gates and summaries. A query without a key has out 0 and lse -inf."""
    if not torch.is_grad_enabled():
        with as_given(q.device):
            return _add_all(parts, q, k, v)[:2]
    out, lse = _Softmax.apply(parts, q, k, v, *parts.learned())  # type: ignore[no-untyped-call]
    return out, lse


def _add_all(parts: Parts, q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
    """(out, lse, what positional parts with a gate gave by themselves)."""
    wide = torch.promote_types(q.dtype, torch.float32)
    out = torch.zeros(q.shape, dtype=wide, device=q.device)
    lse = torch.full(q.shape[:3], -torch.inf, dtype=wide, device=q.device)
    kept: list[Tensor] = []
    for part in parts.positional:
        own = part.add(q, k, v, out, lse)
        kept += own if part.head_gate is not None else ()
    add_lists(parts, q, k, v, out, lse)
    return out.to(q.dtype), lse, kept


def add_lists(parts: Parts, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor) -> None:
    """Merge the pairs of the lists into out and lse, in place; of the engine triton out may be as q."""
    if parts.dispatch.way == DENSE:
        densely.add(parts.lists, q, k, v, out, lse, parts.scores)
    else:
        for lists in parts.lists:
            _engine(parts).add(lists, q, k, v, out, lse, parts.scores)


def add_gradients(
    parts: Parts,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    whole: Rows,
    sums: tuple[Tensor, Tensor, Tensor],
    asked: Sequence[bool],
) -> Iterator[Tensor]:
    """Add what the lists give to ``sums``, the gradients of q, k and v, while the gradients of what they learn are
    read; ``asked``: of which lists those of gates are, which one attention under a mask does not give."""
    if parts.dispatch.way == DENSE:
        for slopes in densely.gradients(parts.lists, q, k, v, whole, sums, parts.scores):
            yield from slopes.values()
        return
    for lists, gates in zip(parts.lists, asked, strict=True):
        yield from _engine(parts).gradients(lists, q, k, v, whole, sums, parts.scores, gates=gates).values()


class _Softmax(torch.autograd.Function):
    """Under autocast too, forward and backward, products are made in the data types that are written here."""

    @staticmethod
    def forward(ctx: Any, parts: Parts, q: Tensor, k: Tensor, v: Tensor, *learned: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        with as_given(q.device):
            return _Softmax._forward(ctx, parts, q, k, v, *learned)

    @staticmethod
    def _forward(ctx: Any, parts: Parts, q: Tensor, k: Tensor, v: Tensor, *learned: Tensor) -> tuple[Tensor, Tensor]:
        out, lse, kept = _add_all(parts, q, k, v)
        ctx.parts = parts.having(iter([torch.empty(0)] * len(learned)))
        ctx.save_for_backward(q, k, v, out, lse, *learned, *kept)
        ctx.count = len(learned)
        return out, lse

    @staticmethod
    @once
    def backward(
        ctx: Any, saved: tuple[Tensor, ...], grad_out: Tensor | None, grad_lse: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        if grad_out is None and grad_lse is None:
            return (None,) * (4 + int(ctx.count))
        given = grad_lse if grad_out is None else grad_out
        assert given is not None
        check_plain(given, ())
        with as_given(given.device):
            return _Softmax._backward(ctx, saved, grad_out, grad_lse)

    @staticmethod
    def _backward(
        ctx: Any, saved: tuple[Tensor, ...], grad_out: Tensor | None, grad_lse: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        q, k, v, out, lse, *rest = saved
        count: int = ctx.count
        learned, kept = rest[:count], iter(rest[count:])
        parts: Parts = ctx.parts.having(iter(learned))
        grad_out = torch.zeros_like(out) if grad_out is None else grad_out
        whole = Rows.of(grad_out, grad_lse, out, lse)
        dq, dk, dv = (torch.zeros(x.shape, dtype=lse.dtype, device=x.device) for x in (q, k, v))
        sums = (dq, dk, dv)
        found: list[Tensor] = []
        final = (out, lse, grad_out, grad_lse)
        for part in parts.positional:
            own = None if part.head_gate is None else (next(kept), next(kept))
            found += part.gradients(q, k, v, final, whole, own, sums).values()
        asked = _gates_asked(parts, ctx.needs_input_grad[4 + len(found) :])
        way = LISTED if any(asked) else choose(parts.lists, q, k, parts.scores, parts.engine, backward=True)
        found += add_gradients(replace(parts, dispatch=way), q, k, v, whole, sums, asked)
        gradients: list[Tensor] = [
            gradient.to(x.dtype) for gradient, x in zip((*sums, *found), (q, k, v, *learned), strict=True)
        ]
        return (None, *gradients)


def _gates_asked(parts: Parts, needed: Sequence[bool]) -> list[bool]:
    """For each list, whether the gradient of some gate of it is asked for; ``needed``: of all that lists learn."""
    left = iter(needed)
    by_list = [[(name, next(left)) for name in lists.learned()] for lists in parts.lists]
    return [any(wanted for name, wanted in each if "gate" in name) for each in by_list]


def _engine(parts: Parts) -> Any:
    """What computes lists: ``add`` and ``gradients``."""
    if parts.engine != "triton":
        return gathered
    from .kernels import launch  # triton is heavy

    return launch
