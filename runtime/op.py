"""The op boundary: what torch sees of a compiled program.

One operator pair serves every program; the program travels as a string, the key of a process-wide registry, because
an operator's arguments must be tensors and plain values. The key is a hash of the content, so that a graph captured
by torch.compile never meets another program under the same name.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .arguments import check_values
from .engines.engine import Call, Engine, find_engine
from .engines.or_dense import OrDense, OrDenseEngine
from .learned.seeded.engine import TabledEngine, has_tables
from .precision import as_given


@dataclass(frozen=True, slots=True)
class Registered:
    """What a key stands for."""

    engine: Engine[Any]
    program: Any


_REGISTRY: dict[str, Registered] = {}
"""Kept as long as the process: a captured graph may call any program by its key. An entry takes a few kilobytes."""


def register(engine: str, program: object) -> str:
    """The key of a program (a Program, a LearnedProgram whose choices are seeded tables, or the Meaning that the
    reference engine runs; one of them or dense attention; or several of them by heads) under an engine.

    Equal programs share a key. The key hashes ``repr``: the program's nodes are dataclasses whose repr holds every
    field that takes part in equality.
    """
    digest = hashlib.sha256(f"{engine}\n{program!r}".encode()).hexdigest()
    key = f"{engine}:{digest}"
    known = _REGISTRY.get(key)
    if known is None:
        _REGISTRY[key] = Registered(_engine_of(engine, program), program)
    elif known.program != program:
        raise RuntimeError(f"two programs share the key {key}: a field that matters is missing from a repr")
    return key


def is_registered(key: str) -> bool:
    """Whether this process knows what a key stands for."""
    return key in _REGISTRY


def _engine_of(name: str, program: object) -> Engine[Any]:
    """The engine of that name; around it what reads seeded tables where a program has some, and what may take dense
    attention in its place."""
    if isinstance(program, OrDense):
        return OrDenseEngine(_engine_of(name, program.program))
    engine = find_engine(name)
    return TabledEngine(engine) if has_tables(program) else engine


def _resolve(key: str) -> Registered:
    try:
        return _REGISTRY[key]
    except KeyError:
        raise RuntimeError(
            f"no program {key!r} in this process; before running a graph that was saved elsewhere,"
            " compile the pattern here"
        ) from None


def run(key: str, q: Tensor, k: Tensor, v: Tensor, call: Call) -> tuple[Tensor, Tensor]:
    """(out, lse) by the engine of a registered program, contiguous. Raises ArgumentError for what spans and documents
    hold."""
    entry = _resolve(key)
    check_values(k, call)
    with as_given(q.device):
        out, lse = entry.engine.forward(entry.program, q, k, v, call)
    return out.contiguous(), lse.contiguous()


def run_backward(
    key: str,
    grad_out: Tensor,
    grad_lse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    call: Call,
) -> tuple[Tensor, Tensor, Tensor]:
    """(dq, dk, dv), contiguous."""
    entry = _resolve(key)
    with as_given(q.device):
        gradients = entry.engine.backward(entry.program, grad_out, grad_lse, q, k, v, out, lse, call)
    dq, dk, dv = (gradient.contiguous() for gradient in gradients)
    return dq, dk, dv


@torch.library.custom_op("patternc::attention", mutates_args=())
def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    spans: Tensor | None,
    documents: Tensor | None,
    program: str,
    scale: float,
    query_offset: int,
    max_seqlen: int | None,
    softcap: float | None,
    check_finite: bool,
) -> tuple[Tensor, Tensor]:
    """(out [B, Hq, Nq, D], lse [B, Hq, Nq]), both contiguous. Arguments as in ``Engine.forward`` and ``Call``."""
    return run(program, q, k, v, Call(scale, spans, query_offset, documents, max_seqlen, softcap, check_finite))


@attention.register_fake
def _(q: Tensor, k: Tensor, v: Tensor, *call: Any) -> tuple[Tensor, Tensor]:
    wide = torch.float64 if q.dtype == torch.float64 else torch.float32
    return q.new_empty(q.shape), q.new_empty(q.shape[:3], dtype=wide)


@torch.library.custom_op("patternc::attention_backward", mutates_args=())
def attention_backward(
    grad_out: Tensor,
    grad_lse: Tensor | None,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    spans: Tensor | None,
    documents: Tensor | None,
    program: str,
    scale: float,
    query_offset: int,
    max_seqlen: int | None,
    softcap: float | None,
    check_finite: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """(dq, dk, dv), contiguous. Arguments as in ``Engine.backward`` and ``Call``."""
    call = Call(scale, spans, query_offset, documents, max_seqlen, softcap, check_finite)
    return run_backward(program, grad_out, grad_lse, q, k, v, out, lse, call)


@attention_backward.register_fake
def _(
    grad_out: Tensor, grad_lse: Tensor | None, q: Tensor, k: Tensor, v: Tensor, *rest: Any
) -> tuple[Tensor, Tensor, Tensor]:
    return q.new_empty(q.shape), k.new_empty(k.shape), v.new_empty(v.shape)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.program, ctx.scale, ctx.query_offset, ctx.max_seqlen, ctx.softcap, ctx.check = inputs
    ctx.save_for_backward(*tensors, *output)
    # A loss seldom uses lse: its gradient then stays None, and the engine skips a pass over it.
    ctx.set_materialize_grads(False)


def _differentiate(ctx: Any, grad_out: Tensor | None, grad_lse: Tensor | None) -> tuple[Tensor | None, ...]:
    q, k, v, spans, documents, out, lse = ctx.saved_tensors
    rest = (spans, documents, ctx.program, ctx.scale, ctx.query_offset, ctx.max_seqlen, ctx.softcap, ctx.check)
    if grad_out is None and grad_lse is None:
        return (None,) * (3 + len(rest))
    if grad_out is None:
        grad_out = torch.zeros_like(out)
    gradients = torch.ops.patternc.attention_backward(grad_out, grad_lse, q, k, v, out, lse, *rest)
    return (*gradients, *(None for _ in rest))


attention.register_autograd(_differentiate, setup_context=_save)
