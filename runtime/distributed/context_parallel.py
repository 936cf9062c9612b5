"""Attention over a sequence whose tokens are divided among the processes of a group (context parallelism)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Unpack
from zlib import crc32

import torch
import torch.distributed as dist
from torch import Tensor

from ...compiler.lowering.learned import LearnedProgram, depends_on_length
from ...patterns_dsl.syntax import Direction
from ..arguments import check_placement, check_tensors, count_of, flag_of, scale_of, softcap_of
from ..compiled import Compiled, Options
from ..compiled_heads import CompiledHeads
from ..engines.engine import Call, Meaning
from ..errors import ArgumentError, EngineError
from ..sinks import check_sinks
from .division import Division, check_group
from .exchange import Exchange, fetch, plan
from .messages import check_alike, heard, refuse

_ALIKE = (
    "order (zigzag)", "batch", "query heads", "key heads", "head_dim", "data type", "pattern", "need of a gradient"
)  # fmt: skip


class ContextParallel:
    """What :func:`context_parallel` returns."""

    def __init__(
        self, program: Compiled | CompiledHeads, group: dist.ProcessGroup | None = None, *, zigzag: bool = False
    ) -> None:
        parts = program.parts if isinstance(program, CompiledHeads) else (program,)
        self.program, self.group, self.zigzag, self.part = program, group, zigzag, parts[0]
        self.meanings = tuple(dict.fromkeys(part.meaning for part in parts))
        self.later = any(
            part.meaning.direction is not Direction.CAUSAL
            or depends_on_length(part.meaning.expression, part.meaning.direction)
            or isinstance(part.program, LearnedProgram)
            for part in parts
        )

    def with_dtype(self, dtype: torch.dtype) -> ContextParallel:
        """The same for another data type."""
        if dtype == self.part.dtype:
            return self
        return ContextParallel(self.program.with_dtype(dtype), self.group, zigzag=self.zigzag)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        *,
        sizes: Sequence[int] | None = None,
        return_lse: bool = False,
        **options: Unpack[Options],
    ) -> Tensor | tuple[Tensor, Tensor]:
        """out [B, Hq, N, D] of this process's N tokens, from their q [B, Hq, N, D], k and v [B, Hkv, N, D].

        Where these stand says :func:`context_parallel`; N may differ, and may be 0. ``sizes`` are the N of all
        processes, where they are known: it spares a message, and with it the look whether all call alike.
        ``return_lse``, ``scale``, ``softcap``, ``sinks`` and ``check_finite`` as in
        :meth:`~patternc.runtime.compiled.Compiled.__call__`; of ``sinks`` each process has the gradient of its own
        queries. All processes of the group call together, forward and backward. Raises ArgumentError, in all of them.
        """
        wrong: ArgumentError | None = None
        try:
            self._check(q, k, v, options)
        except ArgumentError as error:
            wrong = error
        if sizes is None:
            sizes = self._agreed(q, k, v, wrong)
        elif wrong is not None:
            raise wrong
        division = Division.of(self._counted(q, sizes), zigzag=self.zigzag)
        exchange = exchange_of(self.meanings, division, dist.get_rank(self.group), q.device)
        keys, values = fetch(k, v, exchange, self._read(exchange, exchange.runs[-1]), self.group)
        options["spans"] = options["documents"] = options["max_seqlen"] = None
        found, first = [], 0
        for run in [run for run in exchange.runs if run] or exchange.runs[:1]:
            own, count = q[:, :, first : first + len(run)], self._read(exchange, run)
            options["query_offset"], first = run.start, first + len(run)
            result: Any = self.program(own, keys[:, :, :count], values[:, :, :count], return_lse=return_lse, **options)  # type: ignore[call-overload]
            found.append(result)
        return _joined(found, return_lse=return_lse)

    def starts(self, count: int) -> tuple[int, ...]:
        """Of ``count`` tokens of a process those with which its runs begin."""
        ((*before, _),) = Division.of((count,), zigzag=self.zigzag).runs
        return (0, *map(len, before))

    def refuse(self, device: torch.device) -> None:
        """Tell the other processes that this one refuses its call, which then all of them do."""
        refuse(self.group, device)

    def _read(self, exchange: Exchange, run: range) -> int:
        """How many tokens, from the first on, hold all that queries of a run read."""
        return exchange.total if self.later else run.stop

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def check_positions(self, position_ids: Tensor | None) -> None:
        """Raises ArgumentError, in all processes, unless their position_ids [B or 1, N] go on from one to the next.
        Models that hand on none cannot be looked at."""
        if position_ids is None:
            return
        count = position_ids.shape[1]
        firsts = [int(position_ids[0, start]) if start < count else 0 for start in self.starts(count)]
        every = heard([self.zigzag, count, *firsts], self.group, position_ids.device)
        check_alike(_ALIKE[:1], [said[:1] for said in every])
        division = Division.of([size for _, size, *_ in every], zigzag=self.zigzag)
        found = [
            (run, first, rank)
            for rank, (runs, (_, _, *own)) in enumerate(zip(division.runs, every, strict=True))
            for run, first in zip(runs, own, strict=True)
            if run
        ]
        offset = next((first - run.start for run, first, _ in found if run.start == 0), 0)
        for run, first, rank in found:
            if first - run.start != offset:
                said = f"process {rank} has {len(run)} tokens from {first} on, and {run.start} stand before them"
                remedy = "pass to each process those that its tokens have in the whole, as pc.places_here gives them"
                raise ArgumentError("position_ids", said, remedy)

    def apart_from_runs(self, documents: Tensor, batch: int, n: int) -> Tensor | None:
        """``documents`` int32 [docs + 1] over batch x tokens; None where they are the runs of this process, of which
        the second looks like another document, since its positions begin anew."""
        if not self.zigzag:
            return documents
        starts = torch.arange(batch)[:, None] * n + torch.tensor(self.starts(n))
        runs = torch.cat([starts.flatten(), torch.tensor([batch * n])])
        return None if torch.equal(documents, runs.to(documents)) else documents

    def _check(self, q: Tensor, k: Tensor, v: Tensor, options: Options) -> None:
        check_tensors(q, k, v, head_dim=self.part.head_dim, dtype=self.part.dtype)
        for name in ("spans", "documents", "max_seqlen", "query_offset"):
            value: Any = options.get(name)
            if name == "spans" and isinstance(value, Tensor):  # a mask of ones
                value = None if (value == value.new_tensor([0, q.shape[2]])).all() else value
            if value is not None and (name, value) != ("query_offset", 0):
                remedy = "each row is one sequence, without padding (leave attention_mask out), documents or a cache"
                raise ArgumentError(name, "given to a sequence that is divided among processes", remedy)
        if q.shape[2] != k.shape[2]:
            found = f"{q.shape[2]} queries and {k.shape[2]} keys"
            raise ArgumentError("q", found, "each process passes both of its own tokens")
        scale, cap = scale_of(options.get("scale"), self.part.head_dim), softcap_of(options.get("softcap"))
        check_placement(q, k, Call(scale, softcap=cap), cross=False)
        sinks = options.get("sinks")
        if sinks is not None:
            check_sinks(q, sinks)

    def _agreed(self, q: Tensor, k: Tensor, v: Tensor, wrong: ArgumentError | None) -> tuple[int, ...]:
        """The tokens of each process. Raises ArgumentError, in all of them, where something is ``wrong`` in one, or
        they do not call alike."""
        if wrong is not None:
            refuse(self.group, q.device if isinstance(q, Tensor) else torch.device("cpu"))
            raise wrong
        kind, pattern = (crc32(text.encode()) for text in (str(q.dtype), self.program.key))
        needed = torch.is_grad_enabled() and any(x.requires_grad for x in (k, v))
        shapes = q.shape[0], q.shape[1], k.shape[1], q.shape[3]
        every = heard([q.shape[2], self.zigzag, *shapes, kind, pattern, needed], self.group, q.device)
        check_alike(_ALIKE, [said[1:] for said in every])
        return tuple(size for size, *_ in every)

    def _counted(self, q: Tensor, given: Sequence[int]) -> tuple[int, ...]:
        if not isinstance(given, Iterable):
            raise ArgumentError("sizes", f"{given!r}", "give the number of tokens of each process, in their order")
        sizes = tuple(count_of("sizes", size) for size in given)
        rank, world = dist.get_rank(self.group), dist.get_world_size(self.group)
        if len(sizes) != world or min(sizes) < 0 or sizes[rank] != q.shape[2]:
            found = f"{list(sizes)} for {world} processes, of which number {rank} has {q.shape[2]} tokens"
            raise ArgumentError("sizes", found, "give the number of tokens of each process, in their order")
        return sizes


def _joined(found: list[Any], *, return_lse: bool) -> Tensor | tuple[Tensor, Tensor]:
    """What was returned for one run after the other."""
    if len(found) == 1:
        return found[0]  # type: ignore[no-any-return]
    if not return_lse:
        return torch.cat(found, 2)
    out, lse = (torch.cat(parts, 2) for parts in zip(*found, strict=True))
    return out, lse


@lru_cache(maxsize=64)
def exchange_of(
    meanings: tuple[Meaning, ...], division: Division, rank: int, device: torch.device | None = None
) -> Exchange:
    return plan(meanings, division, rank, device)


def context_parallel(
    program: Compiled | CompiledHeads, group: dist.ProcessGroup | None = None, *, zigzag: bool = False
) -> ContextParallel:
    """A compiled pattern over a sequence that is divided among the processes of ``group``, by default all.

        parallel = pc.context_parallel(pc.compile(pattern, head_dim=64))
        out = parallel(q, k, v)  # each process with its own tokens; differentiable

    A process is sent the keys that its queries read, and no others: for a window those at its border, for
    ``fixed_factorized`` one column in 16. Which these are is derived from the pattern, and every process knows what the
    others need.

    The tokens of process r stand behind those of process r - 1. With ``zigzag`` each process has two runs of them, half
    of its N each, the first rounded up: one as before, the other counted in the same way from the end of the sequence.
    Where later queries read more keys all processes then have as much to do. :func:`places_here` gives the places of a
    process's tokens.

    Raises EngineError for what is no compiled pattern of one sequence, without a process group, and in a process that
    is not in it; ArgumentError for a ``zigzag`` that is neither True nor False.
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
    check_group(group)
    return ContextParallel(program, group, zigzag=flag_of("zigzag", zigzag))
