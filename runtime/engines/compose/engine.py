"""The compose engine: a program as views and gathered tokens through torch's flash attention, merged by LSE.

It needs no compiler and no GPU, and trains on a CPU. Of the ways to run a whole sequence (``routes.py``), the one that
is predicted to be fastest on this machine is taken, for some heads on each thread (``pieces.py``); queries of a part of
a sequence run by ``rows.py``.
"""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from ....compiler.passes.program import Program
from ...errors import EngineError
from .. import exact, guard
from ..by_heads import ALL_HEADS, ByHeads, Run, is_cross, runs
from ..engine import Call
from .plan.route import Route
from .planning.pairs import PairTable
from .pricing.machine import price_of
from .routes import find_route
from .running import single
from .running.adapted import carry_lse_gradient, positive_scale
from .running.pieces import Job, Tensors, run_jobs
from .running.rows import rows_backward, rows_forward
from .running.sequences import EVERY, Sequence, sequences
from .running.stages import stages_backward, stages_forward

One: TypeAlias = Program | PairTable


class ComposeEngine:
    """See ``patternc.runtime.engines.engine.Engine`` for the contract. Runs on CPU tensors. A table of pairs runs whole
    sequences of up to ``routes.LONGEST_STRIPS`` tokens, without ``documents``."""

    name = "compose"

    def forward(
        self, program: One | ByHeads[Program], q: Tensor, k: Tensor, v: Tensor, call: Call
    ) -> tuple[Tensor, Tensor]:
        """(out, lse). Programs of some heads write into their slice of one output."""
        _require_cpu(q)
        if isinstance(program, Program) and (found := single.row(program, q, k, v, call)) is not None:
            return found
        q, call, _ = positive_scale(q, call)
        shares = _shares(program, q, k, call)
        every = _route_of_all(shares, q, k)
        if every is not None and every.single is not None:
            keys = shares[0].part.keys
            if (found := single.forward(every.single, q, keys(k), keys(v), call)) is not None:
                return found
        wide = torch.promote_types(q.dtype, torch.float32)
        out, lse = torch.empty(q.shape, dtype=wide), torch.empty(q.shape[:-1], dtype=wide)
        if every is None and sum(share.queries(lse).numel() for share in shares) < lse.numel():
            _clear(out, lse)
        jobs = []
        for share in shares:
            query, own_out, own_lse = map(share.queries, (q, out, lse))
            key, value = map(share.keys, (k, v))
            if share.part.whole:
                route = every or _route(share.program, query, key)
                tensors = (query, own_out, own_lse), (key, value)
                jobs.append(Job(route, *tensors, partial(_whole_forward, share.program, route, call)))
            else:
                _clear(own_out, own_lse)
                rows_forward(_lowered(share.program), share.part, query, key, value, own_out, own_lse, call)
        run_jobs(jobs, apart=True)
        return out.to(q.dtype), lse

    def backward(
        self,
        program: One | ByHeads[Program],
        grad_out: Tensor,
        grad_lse: Tensor | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        lse: Tensor,
        call: Call,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(dq, dk, dv)."""
        _require_cpu(q)
        dtype, wide = q.dtype, torch.promote_types(q.dtype, torch.float32)
        if dtype != wide:
            # In a low precision torch's kernel rounds dk and dv after every block of queries: a sum of 148 rows was a
            # third off.
            q, k, v, out, grad_out = (x.to(wide) for x in (q, k, v, out, grad_out))
        q, call, factor = positive_scale(q, call)
        shares = _shares(program, q, k, call)
        every, found = _route_of_all(shares, q, k, backward=True), None
        # A key of which no query is there has a gradient too.
        if every is not None and every.single is not None and grad_lse is None and shares[0].part.length == k.shape[2]:
            found = single.backward(every.single, (grad_out, q, k, v, out), lse, call)
        # Programs that share a key head add to the same gradient.
        apart = not (isinstance(program, ByHeads) and program.mixed(q.shape[1] // k.shape[1]))
        dq, dk, dv = found or _sum_of_parts(shares, every, grad_out, grad_lse, q, k, v, out, lse, call, apart=apart)
        if factor != 1:
            dq.mul_(factor)
        return dq.to(dtype), dk.to(dtype), dv.to(dtype)


class _Share(NamedTuple):
    """A program, and the heads of a sequence that it runs."""

    part: Sequence
    program: One
    run: Run

    def queries(self, x: Tensor) -> Tensor:
        """Of a tensor [B, Hq, Nq, ...]."""
        return self.part.queries(self.run.queries(x))

    def keys(self, x: Tensor) -> Tensor:
        """Of a tensor [B, Hkv, Nk, ...]."""
        return self.part.keys(self.run.keys(x))


def _sum_of_parts(
    shares: list[_Share],
    every: Route | None,
    grad: Tensor,
    grad_lse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    call: Call,
    *,
    apart: bool,
    guarded: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """(dq, dk, dv), to which each share adds its own; ``apart``: none where another one does. Without ``guarded`` only
    the result is looked at, and if it is not finite, all of it is computed again."""
    given, width = (shares, every, grad, grad_lse, q, k, v, out, lse, call), q.shape[-1]
    # A row without keys has lse -inf; its probabilities exp(s - lse) must come out as 0, not as inf.
    lse = lse.masked_fill(lse == -math.inf, 0.0)
    if grad_lse is not None:
        grad, q, k, v, out = carry_lse_gradient(grad, grad_lse, q, k, v, out)
    dq, dk, dv = (torch.zeros(x.shape, dtype=x.dtype) for x in (q, k, v))
    jobs = []
    for share in shares:
        rows, tokens = share.queries, share.keys
        queries = (rows(grad), rows(q), rows(out), rows(lse), rows(dq))
        keys = (tokens(k), tokens(v), tokens(dk), tokens(dv))
        if share.part.whole:
            route = every or _route(share.program, queries[1], keys[0], backward=True)
            jobs.append(Job(route, queries, keys, partial(_whole_backward, share.program, route, call, guarded)))
        else:
            rows_backward(_lowered(share.program), share.part, queries, keys, call)
    run_jobs(jobs, apart=apart)
    # dS = P (dO V - D) is not finite where one of its factors is not, and dq and dk are products of it; dO is in dv.
    if call.check_finite and not guarded and not guard.finite(lse, dq, dk, dv):
        return _sum_of_parts(*given, apart=apart, guarded=True)
    return dq[..., :width], dk[..., :width], dv[..., :width]


def _shares(program: One | ByHeads[Program], q: Tensor, k: Tensor, call: Call) -> list[_Share]:
    """Each sequence of a call with each program."""
    if not isinstance(program, ByHeads):
        return [_Share(part, program, ALL_HEADS) for part in sequences(q, k, call, cross=program.cross)]
    group = q.shape[1] // k.shape[1]
    each = [(one, run) for at, one in enumerate(program.programs) for run in runs(program.heads(at), group)]
    return [_Share(part, *own) for part in sequences(q, k, call, cross=is_cross(program)) for own in each]


def _route_of_all(shares: list[_Share], q: Tensor, k: Tensor, *, backward: bool = False) -> Route | None:
    """The route of a call that is one program for all queries, those of whole sequences; None where it is more."""
    if len(shares) != 1:
        return None
    [(part, program, run)] = shares
    every = part.whole and part.batch == EVERY and part.rows == q.shape[2] and run is ALL_HEADS
    return _route(program, q, part.keys(k), backward=backward) if every else None


def _whole_forward(program: One, route: Route, call: Call, queries: Tensors, keys: Tensors) -> None:
    """Fill the last two of (q, out, lse), where all queries are there, from (k, v)."""
    (q, out, lse), (k, v) = queries, keys
    # A value that is not finite shows in the result; a query and a key may have scores of -inf.
    if not call.check_finite or guard.finite(q, k):
        _routed_forward(route, call, q, k, v, out, lse)
        if not call.check_finite or guard.sound(out, lse):
            return
    guard.forward(exact.forward(_forward_of(program, call)), q, k, v, out, lse)


def _routed_forward(route: Route, call: Call, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor) -> None:
    if not route.covers:
        _clear(out, lse)
    stages_forward(route.stages, q, k, v, (out, lse), call)


def _whole_backward(
    program: One, route: Route, call: Call, guarded: bool, queries: guard.Queries, keys: guard.Keys
) -> None:
    """Add to dq, dk and dv, the last of each side."""
    if not guarded:
        stages_backward(route.stages, queries, keys, call)
        return

    def run(queries: guard.Queries, keys: guard.Keys) -> None:
        stages_backward(_route(program, queries[1], keys[0], backward=True).stages, queries, keys, call)

    forward = exact.forward(_forward_of(program, call))
    guard.backward(exact.backward(run, forward), forward, queries, keys)


def _forward_of(program: One, call: Call) -> guard.Forward:
    """By the route of whatever is given."""

    def run(q: Tensor, k: Tensor, *rest: Tensor) -> None:
        _routed_forward(_route(program, q, k), call, q, k, *rest)

    return run


def _route(program: One, q: Tensor, k: Tensor, *, backward: bool = False) -> Route:
    return find_route(program, q.shape[2], k.shape[2], price_of(q, k, q.dtype, backward=backward), q.dtype)


def _lowered(program: One) -> Program:
    if isinstance(program, PairTable):
        raise EngineError("a table of pairs runs whole sequences; run its parts where only some queries are given")
    return program


def _clear(out: Tensor, lse: Tensor) -> None:
    out.zero_()
    lse.fill_(-math.inf)


def _require_cpu(q: Tensor) -> None:
    if not q.is_cpu:
        raise EngineError(f"engine 'compose' runs on cpu tensors, not on {q.device}; use engine='triton' there")
