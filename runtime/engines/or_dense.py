"""What ``auto`` runs on a GPU: generated kernels, or dense attention where the pattern is everything at this length.

There torch's flash kernel computes exactly the pattern, in one launch where kernels for sweeps take several, and with
fewer products backward: by the rates of ``compiler/explain/roofline.py`` it is faster at every length, so that nothing
else is asked. Where the pattern leaves out a pair, dense attention would need a mask of n * n numbers and a slower
kernel, and is not taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ...compiler.passes.pinned import Pinned
from ...compiler.relations.integer import Predicate, evaluate, length_values
from ...patterns_dsl.syntax import Direction
from . import dense, guard
from .dense import Dense, Three
from .engine import Call, Engine, Meaning


@dataclass(frozen=True, slots=True)
class OrDense:
    """A program of the engine, and the pattern that it computes."""

    program: Any
    meaning: Meaning

    def whole(self, n: int, nk: int) -> bool:
        """Whether the pattern is everything for n queries and nk keys, both positive. Proved for every length at the
        first question."""
        return _whole(Pinned(self), n, nk)


@lru_cache(maxsize=1024)
def _whole(pinned: Pinned[OrDense], n: int, nk: int) -> bool:
    return bool(evaluate(_lengths(pinned), length_values(n, nk)))


@lru_cache(maxsize=256)
def _lengths(pinned: Pinned[OrDense]) -> Predicate:
    from ...compiler.lowering.whole import whole_lengths

    return whole_lengths(pinned.program.meaning.expression, pinned.program.meaning.direction)


class OrDenseEngine:
    """See :class:`~patternc.runtime.engines.engine.Engine`; ``engine`` runs what dense attention does not: padding,
    packed documents, some queries of a causal pattern but for the last one, caps, gradients of lse, numbers that are
    not finite where they are asked for, and what torch's kernel does not take."""

    def __init__(self, engine: Engine[Any]) -> None:
        self._engine = engine

    @property
    def name(self) -> str:
        return self._engine.name

    @torch.no_grad()
    def forward(self, program: OrDense, q: Tensor, k: Tensor, v: Tensor, call: Call) -> tuple[Tensor, Tensor]:
        """(out, lse)."""
        if (taken := _taken(program, q, k, v, call)) is not None:
            found = taken.kernel.forward(q, k, v, causal=taken.causal, scale=call.scale)
            # A query or a value that is not finite shows in the result, a key does unless all its scores are -inf.
            if not call.check_finite or guard.finite(k, *found):
                return found
        return self._engine.forward(program.program, q, k, v, call)

    @torch.no_grad()
    def backward(
        self,
        program: OrDense,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        lse: Tensor,
        call: Call,
    ) -> Three:
        """(dq, dk, dv)."""
        taken = _taken(program, q, k, v, call) if grad_lse is None else None
        if taken is not None:
            grad = grad_out.to(q.dtype)
            found = taken.kernel.backward(grad, q, k, v, out, lse, causal=taken.causal, scale=call.scale)
            # dS = P (dO V - D) is not finite where one of its factors is not, and dq and dk are products of it.
            if not call.check_finite or guard.finite(*found):
                return found
        return self._engine.backward(program.program, grad_out, grad_lse, q, k, v, out, lse, call)


@dataclass(frozen=True, slots=True)
class _Taken:
    kernel: Dense
    causal: bool


def _taken(program: OrDense, q: Tensor, k: Tensor, v: Tensor, call: Call) -> _Taken | None:
    """How dense attention computes a call; None where it does not."""
    plain = call.spans is None and call.documents is None and call.softcap is None and call.scale > 0
    if not plain or q.numel() == 0 or k.numel() == 0 or (kernel := dense.kernel_for(q.device)) is None:
        return None
    rows, nk, direction = q.shape[2], k.shape[2], program.meaning.direction
    if direction is Direction.CAUSAL and rows != nk and (rows, call.query_offset) != (1, nk - 1):
        return None
    causal = direction is Direction.CAUSAL and rows > 1  # the last query reads every key
    n = rows if direction is Direction.CROSS else nk
    return _Taken(kernel, causal) if program.whole(n, nk) and kernel.takes(q, k, v, causal=causal) else None
