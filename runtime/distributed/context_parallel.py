"""Attention over a sequence whose tokens are divided among the processes of a group (context parallelism)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from zlib import crc32

import torch
import torch.distributed as dist
from torch import Tensor

from ...compiler.lowering.learned import LearnedProgram, depends_on_length
from ...patterns_dsl.syntax import Direction
from ..arguments import count_of
from ..compiled import Compiled
from ..compiled_heads import CompiledHeads
from ..engines.engine import Meaning
from ..errors import ArgumentError, EngineError
from .exchange import Exchange, fetch, plan

_OWN = {"scale", "softcap", "sinks", "check_finite"}


class ContextParallel:
    """What :func:`context_parallel` returns."""

    def __init__(self, program: Compiled | CompiledHeads, group: dist.ProcessGroup | None = None) -> None:
        parts = program.parts if isinstance(program, CompiledHeads) else (program,)
        self.program, self.group = program, group
        self.meanings = tuple(dict.fromkeys(part.meaning for part in parts))
        self.later = any(
            meaning.direction is not Direction.CAUSAL
            or depends_on_length(meaning.expression, meaning.direction)
            or isinstance(part.program, LearnedProgram)
            for meaning, part in zip((part.meaning for part in parts), parts, strict=True)
        )

    def with_dtype(self, dtype: torch.dtype) -> ContextParallel:
        """The same for another data type."""
        return ContextParallel(self.program.with_dtype(dtype), self.group)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        sizes: Sequence[int] | None = None,
        return_lse: bool = False,
        **options: Any,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """out [B, Hq, N, D] of this process's N tokens, from their q [B, Hq, N, D], k and v [B, Hkv, N, D].

        The tokens of process r stand behind those of process r - 1; N may differ, and may be 0. ``sizes`` are the N of
        all processes, where they are known, which spares a message. ``return_lse``, ``scale``, ``softcap``, ``sinks``
        and ``check_finite`` as in :meth:`~patternc.runtime.compiled.Compiled.__call__`; of ``sinks`` each process has
        the gradient of its own queries. All processes of the group call together, forward and backward. Raises
        ArgumentError.
        """
        own = {name: options.pop(name) for name in _OWN & options.keys()}
        for name, value in options.items():
            if value is not None and (name, value) != ("query_offset", 0):
                remedy = "each row is one sequence, without padding (leave attention_mask out), documents or a cache"
                raise ArgumentError(name, "given to a sequence that is divided among processes", remedy)
        _check(q, k, v)
        known = self._gathered(q, k) if sizes is None else self._given(q, sizes)
        exchange = exchange_of(self.meanings, known, dist.get_rank(self.group))
        count = exchange.total if self.later else exchange.begin + q.shape[2]
        keys, values = fetch(k, v, exchange, count, self.group)
        return self.program(q, keys, values, query_offset=exchange.begin, return_lse=return_lse, **own)  # type: ignore[no-any-return, call-overload]

    def _gathered(self, q: Tensor, k: Tensor) -> tuple[int, ...]:
        """The tokens of each process. Raises ArgumentError, in all of them, where they do not call alike."""
        alike = {
            "batch": q.shape[0], "query heads": q.shape[1], "key heads": k.shape[1], "head_dim": q.shape[3],
            "data type": crc32(str(q.dtype).encode()), "pattern": crc32(self.program.key.encode()),
        }  # fmt: skip
        mine = torch.tensor([q.shape[2], *alike.values()], device=q.device)
        every = [torch.empty_like(mine) for _ in range(dist.get_world_size(self.group))]
        dist.all_gather(every, mine, group=self.group)
        sizes, *others = torch.stack(every, 1).tolist()
        for name, values in zip(alike, others, strict=True):
            if len(set(values)) > 1:
                raise ArgumentError("q", f"the processes differ in their {name}", "call alike in all of them")
        return tuple(sizes)

    def _given(self, q: Tensor, given: Sequence[int]) -> tuple[int, ...]:
        sizes = tuple(count_of("sizes", size) for size in given)
        rank, world = dist.get_rank(self.group), dist.get_world_size(self.group)
        if len(sizes) != world or min(sizes) < 0 or sizes[rank] != q.shape[2]:
            found = f"{list(sizes)} for {world} processes, of which number {rank} has {q.shape[2]} tokens"
            raise ArgumentError("sizes", found, "give the number of tokens of each process, in their order")
        return sizes


def _check(q: Tensor, k: Tensor, v: Tensor) -> None:
    for name, tensor in (("q", q), ("k", k), ("v", v)):
        if not isinstance(tensor, Tensor) or tensor.dim() != 4:
            raise ArgumentError(name, "not a tensor of four dimensions", "pass [batch, heads, tokens, head_dim]")
    if not q.shape[2] == k.shape[2] == v.shape[2]:
        found = f"{q.shape[2]} queries, {k.shape[2]} keys, {v.shape[2]} values"
        raise ArgumentError("q", found, "each process passes all three of its own tokens")


@lru_cache(maxsize=64)
def exchange_of(meanings: tuple[Meaning, ...], sizes: tuple[int, ...], rank: int) -> Exchange:
    return plan(meanings, sizes, rank)


def context_parallel(program: Compiled | CompiledHeads, group: dist.ProcessGroup | None = None) -> ContextParallel:
    """A compiled pattern over a sequence that is divided among the processes of ``group``, by default all.

        parallel = pc.context_parallel(pc.compile(pattern, head_dim=64))
        out = parallel(q, k, v)  # each process with its own tokens; differentiable

    A process is sent the keys that its queries read, and no others: for a window those at its border, for
    ``fixed_factorized`` one column in 16. Which these are is derived from the pattern, and every process knows what the
    others need. Raises EngineError for what is no compiled pattern of one sequence, or without a process group.
    """
    given: object = program
    if not isinstance(given, Compiled | CompiledHeads):
        kind = type(given).__name__
        raise EngineError(
            f"a {kind} does not run divided; pass what pc.compile returns for a pattern that learns nothing"
        )
    parts = program.parts if isinstance(program, CompiledHeads) else (program,)
    if any(part.meaning.direction is Direction.CROSS for part in parts):
        raise EngineError("a pattern between two sequences does not run divided; divide the queries, and pass all keys")
    if not dist.is_available() or not dist.is_initialized():
        raise EngineError("no process group; call torch.distributed.init_process_group first")
    return ContextParallel(program, group)
