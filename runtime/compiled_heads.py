"""Several compiled patterns as one call, each for some of the query heads."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Unpack, overload

import torch
from torch import Tensor

from .compile import compile
from .compiled import Compiled, Options
from .engines.by_heads import NOBODY, ByHeads
from .errors import ArgumentError, EngineError

if TYPE_CHECKING:
    from ..compiler.pattern import Pattern


@dataclass(frozen=True)
class CompiledHeads:
    """Attention in which query head h runs ``parts[owners[h]]``; with owner -1 its out is 0 and its lse -inf.

    Differentiable, and safe under torch.compile, as each part is. Head h reads key head ``h // (Hq // Hkv)``, also
    where several parts share that. No tensor is copied for a part: on a GPU the parts are branches of one kernel, or
    launches on the same tensors where the branches do not fit its shared memory; elsewhere each writes its slice of one
    output.
    """

    parts: tuple[Compiled, ...]
    owners: tuple[int, ...]
    _joined: Compiled = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first = self.parts[0]
        for name in ("engine", "head_dim", "dtype"):
            values = {getattr(part, name) for part in self.parts}
            if len(values) > 1:
                raise EngineError(f"one call has one {name}, and its parts have {', '.join(map(str, values))}")
        directions = {part.meaning.direction for part in self.parts}
        if "cross" in directions and len(directions) > 1:
            raise EngineError("patterns between two sequences and within one cannot be heads of one call")
        own = [part.meaning if first.engine == "reference" else part.program for part in self.parts]
        object.__setattr__(self, "_joined", first.by_heads(ByHeads(tuple(own), self.owners)))

    @property
    def engine(self) -> str:
        return self.parts[0].engine

    @property
    def key(self) -> str:
        return self._joined.key

    def with_dtype(self, dtype: torch.dtype) -> CompiledHeads:
        """The same programs for another data type."""
        if dtype == self._joined.dtype:
            return self
        other = copy(self)
        object.__setattr__(other, "parts", tuple(part.with_dtype(dtype) for part in self.parts))
        object.__setattr__(other, "_joined", self._joined.with_dtype(dtype))
        return other

    @overload
    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, return_lse: Literal[False] = False, **options: Unpack[Options]
    ) -> Tensor: ...

    @overload
    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, return_lse: Literal[True], **options: Unpack[Options]
    ) -> tuple[Tensor, Tensor]: ...

    def __call__(
        self, q: Tensor, k: Tensor, v: Tensor, *, return_lse: bool = False, **options: Unpack[Options]
    ) -> Tensor | tuple[Tensor, Tensor]:
        """As :class:`Compiled` is called, with as many query heads as there are owners. Raises ArgumentError."""
        if isinstance(q, Tensor) and q.dim() == 4 and q.shape[1] != len(self.owners):
            remedy = f"compile_heads(..., heads={q.shape[1]}) says how many there are"
            raise ArgumentError("q", f"{q.shape[1]} heads, but patterns for {len(self.owners)}", remedy)
        return self._joined(q, k, v, return_lse=return_lse, **options)  # type: ignore[no-any-return, call-overload]


def join_heads(groups: Iterable[tuple[Sequence[int], Compiled]], heads: int) -> CompiledHeads:
    """Compiled patterns in one call over so many query heads. Heads that no group names have no pattern.

    Raises ArgumentError for a head that does not exist or is named twice, EngineError for parts that differ in more
    than their patterns.
    """
    parts: list[Compiled] = []
    owners = [NOBODY] * heads
    for mine, compiled in groups:
        at = next((at for at, part in enumerate(parts) if part.key == compiled.key), len(parts))
        parts += [compiled] if at == len(parts) else []
        for head in mine:
            if not 0 <= head < heads:
                remedy = f"the heads are 0..{heads - 1}" if heads else "heads count from 0"
                raise ArgumentError("groups", f"head {head}", remedy)
            if owners[head] != NOBODY:
                raise ArgumentError("groups", f"head {head} twice", "name each head once")
            owners[head] = at
    if not parts:
        raise ArgumentError("groups", "no group", "give at least one")
    return CompiledHeads(tuple(parts), tuple(owners))


def compile_heads(
    groups: Sequence[tuple[Iterable[int], Pattern]],
    *,
    heads: int | None = None,
    head_dim: int = 64,
    dtype: torch.dtype = torch.float32,
    engine: str = "auto",
    device: torch.device | str | None = None,
) -> CompiledHeads:
    """One call in which each query head runs a pattern of its own, the union of its steps.

        program = pc.compile_heads([(range(4), streaming), (range(4, 8), fixed)], head_dim=128)
        out = program(q, k, v)                        # q [B, 8, N, 128], k and v [B, 8 or 4 or 2 or 1, N, 128]

    ``heads`` is the number of query heads, by default one more than the last that is named; heads that no group names
    have out 0. The rest is as in :func:`~patternc.runtime.compile.compile`. Raises what it raises, and ArgumentError
    for heads that do not exist or are named twice.
    """
    named = [(_heads(mine), pattern) for mine, pattern in groups]
    count = 1 + max((head for mine, _ in named for head in mine), default=-1) if heads is None else heads
    each = (
        (mine, compile(pattern, head_dim=head_dim, dtype=dtype, engine=engine, device=device))
        for mine, pattern in named
    )
    return join_heads(each, count)


def _heads(mine: Iterable[int]) -> list[int]:
    heads = list(mine) if isinstance(mine, Iterable) else [mine]
    if not isinstance(mine, Iterable) or not all(isinstance(head, int) for head in heads):
        raise ArgumentError("groups", f"heads {mine!r}", "give pairs of head numbers and a pattern: ([0, 1], pattern)")
    return sorted(heads)
