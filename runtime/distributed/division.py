"""How the tokens of a sequence are divided among processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor

from ..arguments import count_of, flag_of
from ..errors import ArgumentError, EngineError


@dataclass(frozen=True, slots=True)
class Division:
    """``runs`` of each process: the places in the sequence of its tokens, in the order in which it has them."""

    runs: tuple[tuple[range, ...], ...]

    @classmethod
    def of(cls, sizes: Sequence[int], *, zigzag: bool) -> Division:
        """Process r has ``sizes[r]`` tokens: those behind process r - 1's. Or, ``zigzag``, the larger half there
        and the others in front of the second half of process r - 1's: early and late ones in equal numbers
        (Dubey et al. 2024, Llama 3, section 3.3.2)."""
        if not zigzag:
            return cls(tuple((run,) for run in _behind(sizes)))
        return cls._folded([*(size - size // 2 for size in sizes), *(size // 2 for size in reversed(sizes))])

    @classmethod
    def even(cls, total: int, processes: int, *, zigzag: bool) -> Division:
        """Of ``total`` tokens as many for each; where it does not divide, one more for the first ones, run by run."""
        runs = 2 * processes if zigzag else processes
        sizes = [total // runs + (run < total % runs) for run in range(runs)]
        return cls._folded(sizes) if zigzag else cls.of(sizes, zigzag=False)

    @classmethod
    def _folded(cls, sizes: Sequence[int]) -> Division:
        """Of runs of these sizes, two for each process, one counted from either end."""
        runs = list(_behind(sizes))
        return cls(tuple(zip(runs, reversed(runs), strict=True))[: len(runs) // 2])

    @property
    def total(self) -> int:
        return sum(len(run) for runs in self.runs for run in runs)

    def places(self, rank: int) -> NDArray[np.int64]:
        """Of the tokens of a process, in its order: ascending."""
        return np.concatenate([np.arange(run.start, run.stop) for run in self.runs[rank]])


def _behind(sizes: Sequence[int]) -> Iterator[range]:
    """Runs of these sizes, one behind the other."""
    for size, end in zip(sizes, accumulate(sizes), strict=True):
        yield range(end - size, end)


def check_group(group: dist.ProcessGroup | None) -> None:
    """Raises EngineError without a process group, for what is none, and in a process that is not in it."""
    if not dist.is_available() or not dist.is_initialized():
        raise EngineError("no process group; call torch.distributed.init_process_group first")
    given: object = group
    if given is not None and not isinstance(given, dist.ProcessGroup | int):
        raise EngineError(f"a group that is a {type(given).__name__}; give one of torch.distributed, or leave it out")
    if dist.get_rank(group) < 0:
        raise EngineError("this process is not in the group; only those that are in it call")


def places_here(total: int, group: dist.ProcessGroup | None = None, *, zigzag: bool = False) -> Tensor:
    """The places of this process's tokens, int64 [N], where the ``total`` tokens of a sequence are divided evenly among
    the processes of ``group``, by default all; they are its ``position_ids`` as well.

        here = pc.places_here(ids.shape[1])
        logits = model(ids[:, here], position_ids=here[None], use_cache=False).logits

    ``zigzag`` as in :func:`~patternc.runtime.distributed.context_parallel.context_parallel`. Raises ArgumentError for
    a ``total`` that is no number of tokens and a ``zigzag`` that is neither True nor False, EngineError without a
    process group and in a process that is not in it.
    """
    check_group(group)
    if count_of("total", total) < 0:
        raise ArgumentError("total", f"{total}", "pass the number of tokens of the whole sequence")
    division = Division.even(total, dist.get_world_size(group), zigzag=flag_of("zigzag", zigzag))
    return torch.from_numpy(division.places(dist.get_rank(group)))
