"""Which way the lists of one call run: as lists, or as one dense attention under a mask, by what was selected in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..lists.key_lists import KeyLists
from ..running import densely
from ..running.products import Scores
from .effort import dense_effort, list_effort, seconds
from .speeds import these_speeds

LISTS, DENSE = "lists", "dense"


@dataclass(frozen=True, slots=True)
class Dispatch:
    """``way``: ``lists`` or ``dense``, and the seconds that each way is predicted to take; None where the way is
    not open, or nothing was predicted since there is no choice. ``python``: those of lists that are Python's."""

    way: str
    lists: float | None = None
    dense: float | None = None
    python: float = 0


LISTED = Dispatch(LISTS)


def choose(
    lists: Sequence[KeyLists], q: Tensor, k: Tensor, scores: Scores, engine: str, *, backward: bool = False
) -> Dispatch:
    """The way of the shorter predicted time, for lists that hold what they hold. Kernels always read lists."""
    if engine != "compose" or not densely.runs(lists, q, k, scores):
        return LISTED
    return predicted(lists, q, k, scores, backward=backward)


def predicted(lists: Sequence[KeyLists], q: Tensor, k: Tensor, scores: Scores, *, backward: bool = False) -> Dispatch:
    """As ``choose`` of the engine compose, with the seconds of lists where there is no choice too."""
    rates, threads = these_speeds(q.dtype).rates(backward=backward), torch.get_num_threads()
    efforts = [list_effort(each, q, k.shape[1]).among(threads) for each in lists]
    as_lists = sum(seconds(rates.lists, effort) for effort in efforts)
    python = sum(seconds(rates.lists, effort.python) for effort in efforts)
    if not densely.runs(lists, q, k, scores):
        return Dispatch(LISTS, as_lists, None, python)
    dense = seconds(rates.dense, dense_effort(lists, q, k).among(threads))
    return Dispatch(DENSE if dense < as_lists else LISTS, as_lists, dense, python)
