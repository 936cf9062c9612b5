"""The engine of patterns with seeded tables, around one that runs programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from ....compiler.lowering.learned import LearnedProgram
from ....compiler.passes.program import Program
from ...engines import exact, guard
from ...engines.by_heads import ByHeads, Run, runs
from ...engines.compose.planning.pairs import PairTable
from ...engines.engine import Call, Engine
from ...errors import ArgumentError
from . import passes
from .passes import Three, nothing
from .weighed import taken

One: TypeAlias = Program | LearnedProgram
Way: TypeAlias = One | PairTable
"""How one of them runs."""


def has_tables(program: object) -> bool:
    if isinstance(program, ByHeads):
        return any(map(has_tables, program.programs))
    return isinstance(program, LearnedProgram)


class TabledEngine:
    """See :class:`~patternc.runtime.engines.engine.Engine`; ``engine`` runs what is positional. Packed documents, each
    of which would have tables of its own, are refused: ArgumentError."""

    def __init__(self, engine: Engine[Any]) -> None:
        self._engine = engine

    @property
    def name(self) -> str:
        return self._engine.name

    @torch.no_grad()
    def forward(
        self, program: One | ByHeads[One], q: Tensor, k: Tensor, v: Tensor, call: Call
    ) -> tuple[Tensor, Tensor]:
        """(out, lse)."""
        if call.documents is not None:
            remedy = "give each document a row of the batch, and what exists of it as spans"
            raise ArgumentError("documents", "given to a pattern with a seeded table, which draws for each", remedy)
        own = replace(call, check_finite=False)
        way = self._way(program, q, k, call)
        if isinstance(way, PairTable):
            return self._forward(way, call, q, k, v)
        if not call.check_finite or guard.finite(q, k, v):
            found = self._forward(way, own, q, k, v)
            if not self._may_overflow(call, q) or guard.sound(*found):
                return found
        out, lse = nothing(q)
        guard.forward(self._filling(way, own), q, k, v, out, lse)
        return out, lse

    @torch.no_grad()
    def backward(
        self,
        program: One | ByHeads[One],
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
        own, grad_out = replace(call, check_finite=False), grad_out.to(q.dtype)
        way = self._way(program, q, k, call, backward=True)
        if isinstance(way, PairTable):
            return self._backward(way, call, grad_lse, (grad_out, q, out, lse), (k, v))
        looked_at = (grad_out, q, out, k, v) if grad_lse is None else (grad_out, grad_lse, q, out, k, v)
        if not call.check_finite or guard.finite(*looked_at):
            found = self._backward(way, own, grad_lse, (grad_out, q, out, lse), (k, v))
            if not self._may_overflow(call, q) or (guard.sound(found[0], lse) and guard.finite(*found[1:])):
                return found
        grad_out, grad_lse = guard.in_one(grad_out, grad_lse)
        dq, dk, dv = (torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
        forward = self._filling(way, own)
        run: guard.Backward = partial(self._add, way, own, grad_lse)
        if self.name == "compose":
            run = exact.backward(run, forward)
        guard.backward(run, forward, (grad_out, q, out, lse, dq), (k, v, dk, dv))
        return dq, dk, dv

    def _way(
        self, program: One | ByHeads[One], q: Tensor, k: Tensor, call: Call, *, backward: bool = False
    ) -> Way | ByHeads[One]:
        """What runs: the program and its lists, or the table of all pairs."""
        if isinstance(program, LearnedProgram) and self.name == "compose":
            return taken(program, q, k, call, backward=backward) or program
        return program

    def _may_overflow(self, call: Call, q: Tensor) -> bool:
        """Whether a result of finite numbers is to be looked at, for scores that overflowed beside it."""
        return call.check_finite and self.name == "compose" and q.dtype != torch.float64

    def _filling(self, way: Way | ByHeads[One], call: Call) -> guard.Forward:
        """Fills out and lse. Kernels choose by a mask, and take no doubles; what is added to scores may meet an inf."""
        run = partial(self._fill, way, call)
        return exact.forward(run) if self.name == "compose" else run

    def _fill(
        self, program: Way | ByHeads[One], call: Call, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor
    ) -> None:
        for target, found in zip((out, lse), self._forward(program, call, q, k, v), strict=True):
            target.copy_(found)

    def _add(
        self,
        program: Way | ByHeads[One],
        call: Call,
        grad_lse: Tensor | None,
        queries: guard.Queries,
        keys: guard.Keys,
    ) -> None:
        *given, dq = queries
        k, v, dk, dv = keys
        found = self._backward(program, call, grad_lse, given, (k, v))
        for target, part in zip((dq, dk, dv), found, strict=True):
            target.add_(part)

    def _forward(
        self, program: Way | ByHeads[One], call: Call, q: Tensor, k: Tensor, v: Tensor
    ) -> tuple[Tensor, Tensor]:
        if isinstance(program, Program | PairTable):
            found: tuple[Tensor, Tensor] = self._engine.forward(program, q, k, v, call)
            return found
        if isinstance(program, LearnedProgram):
            return passes.forward(self._engine, program, q, k, v, call)
        out, lse = nothing(q)
        for one, run in _shares(program, q, k):
            own_q, own_k, own_v = q[:, run.query], k[:, run.key], v[:, run.key]
            way = self._way(one, own_q, own_k, call)
            out[:, run.query], lse[:, run.query] = self._forward(way, call, own_q, own_k, own_v)
        return out, lse

    def _backward(
        self,
        program: Way | ByHeads[One],
        call: Call,
        grad_lse: Tensor | None,
        queries: Sequence[Tensor],
        keys: Sequence[Tensor],
    ) -> Three:
        """``queries``: the gradient of out, q, out and lse; ``keys``: k and v."""
        (grad, q, out, lse), (k, v) = queries, keys
        if isinstance(program, Program | PairTable):
            found: Three = self._engine.backward(program, grad, grad_lse, q, k, v, out, lse, call)
            return found
        if isinstance(program, LearnedProgram):
            return passes.backward(self._engine, program, grad, grad_lse, q, k, v, out, lse, call)
        dq, dk, dv = (torch.zeros(x.shape, dtype=lse.dtype, device=x.device) for x in (q, k, v))
        for one, run in _shares(program, q, k):
            given = None if grad_lse is None else grad_lse[:, run.query]
            own = [x[:, run.query] for x in queries], [x[:, run.key] for x in keys]
            way = self._way(one, own[0][1], own[1][0], call, backward=True)
            parts = self._backward(way, call, given, *own)
            for target, part in zip((dq[:, run.query], dk[:, run.key], dv[:, run.key]), parts, strict=True):
                target.add_(part)
        return dq.to(q.dtype), dk.to(k.dtype), dv.to(v.dtype)


def _shares(program: ByHeads[One], q: Tensor, k: Tensor) -> Iterator[tuple[One, Run]]:
    """Each program with heads of its own, as slices."""
    for at, one in enumerate(program.programs):
        yield from ((one, run) for run in runs(program.heads(at), q.shape[1] // k.shape[1]))
