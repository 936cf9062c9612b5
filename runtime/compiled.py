"""A compiled pattern: what ``patternc.compile`` returns and a model calls."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack, overload

import torch
from torch import Tensor

from ..compiler.lowering.learned import LearnedProgram
from ..compiler.passes.program import Program
from ..patterns_dsl.syntax import Direction
from .arguments import check_placement, check_tensors, count_of, scale_of, softcap_of
from .eager import attend
from .engines.engine import Call, Meaning, check_dtype
from .engines.or_dense import OrDense
from .errors import EngineError
from .op import is_registered, register

if TYPE_CHECKING:
    from ..compiler.explain.prediction import Prediction
from .sinks import check_sinks, join_sinks


class Options(TypedDict, total=False):
    """What a call may say beside its tensors."""

    scale: float | None
    spans: Tensor | None
    query_offset: int
    documents: Tensor | None
    max_seqlen: int | None
    softcap: float | None
    sinks: Tensor | None
    check_finite: bool | None


@dataclass(frozen=True)
class Compiled:
    """Attention over the pairs of one pattern, or of one of its steps. Differentiable; safe under torch.compile.

    ``program`` is None for the reference engine, which evaluates ``meaning`` itself. Of a pattern with seeded tables it
    is a LearnedProgram, which learns nothing: programs, and what each table may draw. With ``or_dense`` dense attention
    is taken on a GPU where the pattern is everything (``engines/or_dense.py``). Raises EngineError for a dtype that the
    engine does not compute in.
    """

    name: str
    meaning: Meaning
    program: Program | LearnedProgram | None
    engine: str
    head_dim: int
    dtype: torch.dtype
    or_dense: bool = False
    key: str = field(init=False, repr=False)
    _subject: object = field(init=False, repr=False, compare=False)  # what the key stands for

    def __post_init__(self) -> None:
        check_dtype(self.engine, self.dtype)
        if self.engine != "reference" and self.program is None:
            raise EngineError(f"engine {self.engine!r} needs a lowered program; use patternc.compile")
        subject: object = self.meaning if self.engine == "reference" else self.program
        if self.or_dense:
            subject = OrDense(subject, self.meaning)
        self._stand_for(subject)

    def _stand_for(self, subject: object) -> None:
        object.__setattr__(self, "_subject", subject)
        object.__setattr__(self, "key", register(self.engine, subject))

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A copy, in this process or, pickled, in another one, which may not know the program yet."""
        self.__dict__.update(state)
        if not is_registered(self.key):
            self._stand_for(self._subject)

    def by_heads(self, subject: object) -> Compiled:
        """A call like this one's, of several programs by heads; they share launches, and none gives way to dense
        attention."""
        other = copy(self)
        object.__setattr__(other, "or_dense", False)
        other._stand_for(subject)
        return other

    def with_dtype(self, dtype: torch.dtype) -> Compiled:
        """The same program for another data type."""
        if dtype == self.dtype:
            return self
        check_dtype(self.engine, dtype)
        other = copy(self)  # with its key, which is a hash of all the program: no dtype is part of it
        object.__setattr__(other, "dtype", dtype)
        return other

    def dense_at(self, n: int) -> bool:
        """Whether dense attention is what a GPU runs of whole sequences of n tokens, where its kernel takes them."""
        from ..compiler.lowering.whole import is_whole

        return self.or_dense and n > 0 and is_whole(self.meaning.expression, self.meaning.direction, n)

    def predict(self, n: int, *, batch: int = 1, heads: int = 1, key_heads: int | None = None) -> Prediction:
        """Seconds that a call is predicted to take here, forward and backward, beside dense attention, and why the
        engine takes the way it takes: q [batch, heads, n, D], k and v [batch, key_heads, n, D].

        For the engine ``compose``. Raises EngineError for another one.
        """
        from .engines.compose.pricing.price import Heads
        from .prediction import predict

        if self.engine != "compose" or self.program is None:
            remedy = "only engine 'compose' is; of a GPU `patternc explain --device` tells"
            raise EngineError(f"what engine {self.engine!r} takes is not predicted; {remedy}")
        keys = heads if key_heads is None else key_heads
        if batch < 1:
            raise EngineError(f"a batch of {batch}; give at least 1")
        if keys < 1 or heads < 1 or heads % keys:
            raise EngineError(f"{heads} query heads are not a multiple of {keys} key heads")
        return predict(self.program, n, Heads(batch, keys, heads // keys, self.head_dim), self.dtype)

    @overload
    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, return_lse: Literal[False] = False, **options: Unpack[Options]
    ) -> Tensor: ...

    @overload
    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, return_lse: Literal[True], **options: Unpack[Options]
    ) -> tuple[Tensor, Tensor]: ...

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        scale: float | None = None,
        spans: Tensor | None = None,
        query_offset: int = 0,
        documents: Tensor | None = None,
        max_seqlen: int | None = None,
        softcap: float | None = None,
        sinks: Tensor | None = None,
        check_finite: bool | None = None,
        return_lse: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """out [B, Hq, Nq, D], contiguous; with ``return_lse`` also lse [B, Hq, Nq] (float32, natural logarithm).

        q [B, Hq, Nq, D], k and v [B, Hkv, Nk, D], any strides, Hq a multiple of Hkv. ``scale`` multiplies the
        scores, by default head_dim ** -0.5; with ``softcap`` a score s becomes softcap * tanh(s / softcap). ``spans``
        int32 [B, 2] holds the half-open range of keys that exist (padding); positions and the length of the pattern
        count from its start. Query row r stands at key position ``query_offset + r``. Rows outside their span or
        without a key give out 0 and lse -inf, and no gradient. Of a cross pattern all queries are a sequence of their
        own, of any length; spans are of the keys alone.

        ``sinks`` [Hq] is one logit per head that joins the softmax of each of its queries and yields nothing (gpt-oss);
        lse counts it.

        ``documents`` int32 [docs + 1] (flash attention's ``cu_seqlens``) packs documents into a batch of one, without
        padding: document d is tokens documents[d] .. documents[d + 1] - 1, and a sequence of its own; some may be
        empty. ``max_seqlen``, if known, is at least the length of the longest, and keeps a GPU from looking for more.
        Patterns with seeded tables, which draw for each length anew, take none but under the reference engine.

        What q, k and v hold outside a span has no influence on anything, NaN and infinity included. Inside, a row whose
        query is not finite, or that attends to such a key or value, becomes NaN, its part of the gradients too, and no
        other does. For that the numbers are summed up, which on a GPU would wait for it: there they are taken to be
        finite unless ``check_finite`` is True, and nowhere looked at if it is False. Raises ArgumentError.
        """
        check_tensors(q, k, v, head_dim=self.head_dim, dtype=self.dtype)
        check = q.is_cpu if check_finite is None else bool(check_finite)
        offset, longest = count_of("query_offset", query_offset), max_seqlen
        if longest is not None:
            longest = count_of("max_seqlen", longest)
        scale = scale_of(scale, self.head_dim)
        call = Call(scale, spans, offset, documents, longest, softcap_of(softcap), check)
        check_placement(q, k, call, cross=self.meaning.direction is Direction.CROSS)
        out, lse = attend(q, k, v, self.key, call)
        if sinks is not None:
            check_sinks(q, sinks)
            out, lse = join_sinks(out, lse, sinks)
        return (out, lse) if return_lse else out
