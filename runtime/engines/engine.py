"""What an engine is, and which there are.

Every engine computes the same function: softmax attention over exactly the pairs of a pattern. ``program`` is what the
engine runs: a lowered ``Program``, or for ``reference`` the ``Meaning`` itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor

from ...patterns_dsl.syntax import Direction, Expression
from ..errors import EngineError
from .listed import Listed

ProgramT = TypeVar("ProgramT", contravariant=True)


@dataclass(frozen=True, slots=True)
class Meaning:
    """A relation as the source states it: a core-form expression and the direction of its pattern."""

    expression: Expression
    direction: Direction


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """What a call says beside q, k and v. ``runtime/op.py`` takes it apart into an operator's arguments and back.

    ``scale`` multiplies the scores. ``spans`` is int32 [B, 2], the half-open range [start, end) of the keys of each
    batch element that exist; None means all. Query row r stands at physical position ``query_offset + r`` of the key
    axis (decode, chunked prefill).

    ``documents`` is int32 [docs + 1], where packed documents begin in a batch of one, and the end of the last: each is
    a sequence of its own, of the length that the pattern sees. None is longer than ``max_seqlen``, where that is given.

    With ``softcap`` a score s, scaled, becomes ``softcap * tanh(s / softcap)`` (Gemma 2). Without ``check_finite`` the
    numbers of q, k, v and of the gradients are finite, and an engine may multiply by 0 what a pattern leaves out.

    ``listed``: for the engine triton, and a program with a table; within a whole sequence (``learned/seeded``).
    """

    scale: float
    spans: Tensor | None = None
    query_offset: int = 0
    documents: Tensor | None = None
    max_seqlen: int | None = None
    softcap: float | None = None
    check_finite: bool = True
    listed: Listed | None = None


class Engine(Protocol[ProgramT]):
    """Forward and backward of one program.

    Shapes: q, out, grad_out [B, Hq, Nq, D]; k, v [B, Hkv, Nk, D] with Hq a multiple of Hkv (query head h reads
    key head ``h // (Hq // Hkv)``); lse, grad_lse [B, Hq, Nq], float32 (float64 for float64 inputs), natural
    logarithm. Any strides. Any lengths, 0 and 1 included.

    Of a cross pattern (``Program.cross``, ``Meaning.direction``) the queries are a sequence of their own, all of it: it
    sees their number as nq and the length of the span as nk, and ``query_offset`` and ``documents`` are not given.

    The pattern sees length ``n = end - start`` of a span and positions counted from ``start``, so left and right
    padding do not shift it. A row outside its span, or without a key, has out 0, lse -inf and no gradient. Rows of q,
    k and v outside the span have no influence, whatever they hold, NaN included. With ``check_finite`` neither have
    they inside, on rows that do not attend to them: those that do become NaN, and their part of the gradients.
    """

    @property
    def name(self) -> str: ...

    def forward(self, program: ProgramT, q: Tensor, k: Tensor, v: Tensor, call: Call) -> tuple[Tensor, Tensor]:
        """(out, lse)."""
        ...

    def backward(
        self,
        program: ProgramT,
        grad_out: Tensor,
        grad_lse: Tensor | None,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        out: Tensor,
        lse: Tensor,
        call: Call,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(dq, dk, dv), from the gradients of out and, where it has one, of lse."""
        ...


ENGINES: dict[str, tuple[str, str]] = {
    "reference": (".reference", "ReferenceEngine"),
    "compose": (".compose.engine", "ComposeEngine"),
    "triton": (".triton.engine", "TritonEngine"),
}
"""Engine name -> module of this package, class in it. Imported on first use: triton is heavy."""


def find_engine(name: str) -> Engine[Any]:
    """The engine of that name. Raises :class:`EngineError`, listing the choices, when there is none."""
    if name not in ENGINES:
        raise EngineError(f"unknown engine {name!r}; choose one of {', '.join([*ENGINES, 'auto'])}")
    module, kind = ENGINES[name]
    try:
        home = import_module(module, package=__package__)
    except ImportError as error:
        raise EngineError(f"engine {name!r} cannot be loaded here ({error}); use engine='compose'") from error
    return cast("Engine[Any]", getattr(home, kind)())


def choose_engine(name: str, device: torch.device | str | None = None) -> str:
    """``auto`` resolved: triton on a CUDA or ROCm device, compose elsewhere. ``device`` None: where torch would run."""
    if name == "auto":
        kind = torch.device(device).type if device is not None else ("cuda" if torch.cuda.is_available() else "cpu")
        return "triton" if kind == "cuda" else "compose"
    if name not in ENGINES:
        raise EngineError(f"unknown engine {name!r}; choose one of {', '.join([*ENGINES, 'auto'])}")
    return name


_DTYPES = (torch.float32, torch.bfloat16, torch.float16)


def check_dtype(engine: str, dtype: torch.dtype) -> None:
    """Raise EngineError unless the engine computes in the dtype; float64 is for the CPU engines alone."""
    if dtype not in _DTYPES and not (dtype == torch.float64 and engine != "triton"):
        choices = ", ".join(map(str, (*_DTYPES, torch.float64)[: 3 if engine == "triton" else 4]))
        raise EngineError(f"engine {engine!r} does not compute in {dtype}; use one of {choices}")


LARGEST_HEAD_DIM = 256
"""Of the engine triton: a block of wider rows leaves no room for another one."""


def check_head_dim(engine: str, head_dim: int) -> None:
    """Raise EngineError unless the engine takes heads of this width."""
    if engine == "triton" and head_dim > LARGEST_HEAD_DIM:
        remedy = "engine='compose' takes any"
        raise EngineError(f"head dimension {head_dim} is over {LARGEST_HEAD_DIM} for engine 'triton'; {remedy}")
