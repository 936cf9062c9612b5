"""A call in pieces, for the threads of a crew: some heads each, or some batch elements.

No head needs to know of another, so that pieces are computed at the same time, by the one route of the call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from torch import Tensor

from ..plan.route import Route
from . import crew

Tensors: TypeAlias = tuple[Tensor, ...]

MOST_ELEMENTS = 1 << 20
"""Of the queries of a piece, unless one head has more: what is computed of a larger one leaves the cache before it is
read again, and takes new pages of memory from the system."""

WORTH_SHARING = 8e-3
"""Predicted seconds. To share out what is shorter takes as long as it saves."""

MOST_UNEVEN = 1.2
"""Where the busiest thread has more than so many times its part, torch's own threads are as fast: they share out each
operation evenly."""

MOST_PYTHON = 0.75
"""Of the predicted seconds. In Python threads take turns: beyond this they mostly wait for them."""


@dataclass(frozen=True, slots=True)
class Job:
    """Some heads of a sequence: what ``run`` does with tensors [B, Hq, ...] and [B, Hkv, ...] it does head by head."""

    route: Route  # predicted with the threads of torch
    queries: Tensors
    keys: Tensors
    run: Callable[[Any, Any], None]


def run_jobs(jobs: Sequence[Job], *, apart: bool) -> None:
    """Run all jobs, by a crew where that is faster. ``apart``: no two of them write to the same place."""
    threads, total = crew.size(), sum(job.route.seconds for job in jobs)
    if apart and threads > 1 and total >= WORTH_SHARING:
        parts = sorted(_parts(jobs, threads), key=lambda part: -part.seconds)
        even = busiest((part.seconds for part in parts), threads) <= MOST_UNEVEN * total / threads
        if even and sum(part.python for part in parts) <= MOST_PYTHON * total:
            crew.share_out([part.task for part in parts], threads)
            return
    for job in jobs:
        job.run(job.queries, job.keys)


class _Part(NamedTuple):
    task: crew.Task
    seconds: float  # its part of those of a job
    python: float


def _parts(jobs: Sequence[Job], threads: int) -> Iterator[_Part]:
    """Short jobs as they are, others in pieces."""
    for job in jobs:
        route = job.route
        if route.seconds < WORTH_SHARING:
            yield _Part(partial(job.run, job.queries, job.keys), route.seconds, route.python)
            continue
        for queries, keys in pieces(job.queries, job.keys, threads):
            share = queries[0].numel() / job.queries[0].numel()
            yield _Part(partial(job.run, queries, keys), route.seconds * share, route.python)


def pieces(queries: Tensors, keys: Tensors, threads: int) -> Iterator[tuple[Tensors, Tensors]]:
    """Views of tensors [B, Hq, ...], the first [B, Hq, Nq, D], and of tensors [B, Hkv, ...]: key heads with the query
    heads that read them, as many for each of the threads where that is possible."""
    batch, heads = keys[0].shape[:2]
    elements, at_once = _size(batch, heads, threads, -(-queries[0].numel() // (threads * MOST_ELEMENTS)))
    for element in range(0, batch, elements):
        some = slice(element, element + elements)
        for head in range(0, heads, at_once):
            yield part(queries, keys, some, slice(head, head + at_once))


def part(queries: Tensors, keys: Tensors, elements: slice, heads: slice) -> tuple[Tensors, Tensors]:
    """Views of some batch elements and key heads, with the query heads that read them."""
    group = queries[0].shape[1] // keys[0].shape[1]
    read_by = slice(heads.start * group, heads.stop * group)
    return tuple(x[elements, read_by] for x in queries), tuple(x[elements, heads] for x in keys)


def _size(batch: int, heads: int, threads: int, rounds: int) -> tuple[int, int]:
    """(batch elements, key heads) of a piece, of which each thread has as many as there are rounds, or some more."""
    if batch % threads == 0 and rounds * threads <= batch:
        each = batch // threads
        return next(size for size in range(each // rounds, 0, -1) if each % size == 0), heads
    step = threads // math.gcd(threads, batch)  # of the pieces of an element, of all of which threads have equally many
    count = step * -(-rounds * threads // (batch * step))
    return 1, -(-heads // min(heads, count))


def busiest(seconds: Iterable[float], threads: int) -> float:
    """Seconds until all tasks are done, where the longest begin first."""
    loads = [0.0] * threads
    for each in sorted(seconds, reverse=True):
        loads[loads.index(min(loads))] += each
    return max(loads)
