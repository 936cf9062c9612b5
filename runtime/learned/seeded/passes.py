"""Forward and backward of a pattern with seeded tables: what is positional by its engine, then the lists in the same
softmax.

Kernels merge into out, and add to dq, dk and dv, as the engine left them: on a GPU a pass over wider ones would take
longer than the lists. What is gathered piece by piece is added up in a wider data type.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from ....compiler.lowering.learned import LearnedProgram
from ...engines.compose.running.pieces import Tensors
from ...engines.engine import Call, Engine
from ..kernels.tables import Shape
from ..pricing.dispatch import predicted
from ..running.gathered import Rows
from ..softmax import Parts, add_gradients, add_lists
from .parts import parts_of
from .threads import by_heads

if TYPE_CHECKING:
    from ...engines.triton.engine import TritonEngine

Three = tuple[Tensor, Tensor, Tensor]


def forward(
    engine: Engine[Any], program: LearnedProgram, q: Tensor, k: Tensor, v: Tensor, call: Call
) -> tuple[Tensor, Tensor]:
    """As ``Engine.forward``, of finite numbers."""
    parts, standing, listed = parts_of(program, engine.name, q, k, call)
    if program.positional is None:
        out, lse = nothing(q)
    else:
        out, lse = engine.forward(program.positional, q, k, v, replace(call, listed=listed))
    if not parts.lists or listed is not None:
        return out, lse
    wide = out if engine.name == "triton" else out.to(lse.dtype)
    own_q, own_out, own_lse = (standing.queries(x) for x in (q, wide, lse))
    own_k, own_v = standing.tokens(k), standing.tokens(v)
    parts = _dispatched(parts, own_q, own_k)

    def add(queries: Tensors, keys: Tensors) -> None:
        query, *into = queries
        add_lists(parts, query, *keys, *into)

    by_heads(parts.dispatch, (own_q, own_out, own_lse), (own_k, own_v), add)
    return standing.queries_back(own_out).to(q.dtype), standing.queries_back(own_lse, -torch.inf)


def backward(
    engine: Engine[Any],
    program: LearnedProgram,
    grad_out: Tensor,
    grad_lse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    call: Call,
) -> Three:
    """As ``Engine.backward``, of finite numbers."""
    parts, standing, listed = parts_of(program, engine.name, q, k, call)
    known = None
    if engine.name == "triton":
        from ...engines.triton.delta import row_delta  # triton is heavy
        from ...engines.triton.engine import row_numbers

        # Of a positional part its first kernel may find them, before any list is read.
        if program.positional is None:
            known = row_delta(grad_out, out, lse, grad_lse)
        else:
            known = row_numbers(program.positional, grad_out, out, lse, grad_lse, call)
    if program.positional is None:
        sums = _zeros((q, k, v), q.dtype)
    elif known is not None:
        sums = cast("TritonEngine", engine).backward_of_rows(
            program.positional, grad_out, known, q, k, v, replace(call, listed=listed)
        )
    else:
        sums = engine.backward(program.positional, grad_out, grad_lse, q, k, v, out, lse, call)
    if not parts.lists or listed is not None:
        return sums
    own_q, own_grad, own_out, own_lse = (standing.queries(x) for x in (q, grad_out, out, lse))
    own = own_q, standing.tokens(k), standing.tokens(v)
    if known is not None:
        finite = own_lse.masked_fill(own_lse.isneginf(), 0.0).contiguous()[..., None]
        whole = Rows(own_out, own_grad, standing.queries(known.delta).contiguous()[..., None], finite, None)
    else:
        given = None if grad_lse is None else standing.queries(grad_lse)
        whole = Rows.of(own_grad, given, own_out, own_lse)
    if not standing.plain:
        found = _zeros(own, lse.dtype)
        _add(parts, own, whole, found)
        back = standing.queries_back(found[0]), standing.tokens_back(found[1]), standing.tokens_back(found[2])
        sums = _three(x + y for x, y in zip(back, sums, strict=True))
    else:
        sums = sums if _in_place(parts, q, k) else _three(x.to(lse.dtype) for x in sums)
        _add(parts, own, whole, sums)
    return _three(x.to(q.dtype) for x in sums)


def nothing(q: Tensor) -> tuple[Tensor, Tensor]:
    """(out, lse) of no pair."""
    wide = torch.promote_types(q.dtype, torch.float32)
    lse = torch.full(q.shape[:3], -torch.inf, dtype=wide, device=q.device)
    return torch.zeros(q.shape, dtype=q.dtype, device=q.device), lse


def _add(parts: Parts, own: Three, whole: Rows, sums: Three) -> None:
    parts = _dispatched(parts, *own[:2], backward=True)

    def add(queries: Tensors, keys: Tensors) -> None:
        q, dq, out, grad, delta, lse, *grad_lse = queries
        k, v, dk, dv = keys
        rows = Rows(out, grad, delta, lse, grad_lse[0] if grad_lse else None)
        for _ in add_gradients(parts, q, k, v, rows, (dq, dk, dv), [False] * len(parts.lists)):
            raise AssertionError("tables learn nothing")

    (q, k, v), (dq, dk, dv) = own, sums
    rows = whole.out, whole.grad, whole.delta, whole.lse, *(() if whole.grad_lse is None else (whole.grad_lse,))
    by_heads(parts.dispatch, (q, dq, *rows), (k, v, dk, dv), add)


def _dispatched(parts: Parts, q: Tensor, k: Tensor, *, backward: bool = False) -> Parts:
    """With the way that the lists run; kernels read them as lists, and nothing is predicted for these."""
    if parts.engine != "compose":
        return parts
    return replace(parts, dispatch=predicted(parts.lists, q, k, parts.scores, backward=backward))


def _in_place(parts: Parts, q: Tensor, k: Tensor) -> bool:
    """Whether each number of a gradient is added to but once by a list."""
    if parts.engine != "triton":
        return False
    shapes = [Shape.of(each, q.shape[1], k.shape[1], q.shape[2]) for each in parts.lists]
    return all(shape.held and shape.alone(q.shape[1], k.shape[1]) for shape in shapes)


def _zeros(like: Three, dtype: torch.dtype) -> Three:
    return _three(torch.zeros(x.shape, dtype=dtype, device=x.device) for x in like)


def _three(found: Any) -> Three:
    one, two, three = found
    return one, two, three
