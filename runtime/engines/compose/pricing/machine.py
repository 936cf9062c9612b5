"""How fast this machine runs attention: a few rates, measured once and kept on disk.

The time of a batch of dense blocks, or of diagonals, is a sum of what it asks of the busiest thread (``Effort``) times
what that costs here (``Rates``): linear, and within a third of what is measured over shapes from one query to many.
Rates differ between processors, data types and versions of torch; a file that is about another of them is measured
anew.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ....measured import Measured, rate
from .price import Heads, Price
from .rates import Machine, Rates

_NAMES = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16", torch.float64: "float64"}


def price_here(heads: Heads, dtype: torch.dtype, *, backward: bool) -> Price:
    """On this machine, with the threads that torch has."""
    return Price(this_machine(_NAMES[dtype]), heads, torch.get_num_threads(), backward)


def price_of(q: Tensor, k: Tensor, dtype: torch.dtype, *, backward: bool) -> Price:
    """As ``price_here``, for q [B, Hq, N, D] and k [B, Hkv, N, D]. Asked at every call, and so looked up by their
    shapes at once: beside a kernel of a few milliseconds Python is out of the caches, and each function that runs
    counts.
    """
    return _price(this_machine(_NAMES[dtype]), q.shape, k.shape, torch.get_num_threads(), backward)


@lru_cache(maxsize=1024)
def _price(machine: Machine, q: torch.Size, k: torch.Size, threads: int, backward: bool) -> Price:
    batch, heads, _, dim = q
    return Price(machine, Heads(batch, k[1], heads // k[1], dim), threads, backward)


def this_machine(dtype: str) -> Machine:
    """The rates of a data type (``float32``): assumed, known, kept on disk or measured now.

    Measuring takes a fraction of a second, once; ``probe.py`` says how.
    """
    return MEASURED.of(dtype)


def _about(dtype: str) -> tuple[dict[str, str], dict[str, str]]:
    from .probe import PROBE, processor, versions  # with the running of plans, which the rates alone do not need

    return {"processor": processor(), "dtype": dtype}, {**versions(), "probe": str(PROBE)}


def _measure(dtype: str) -> dict[str, Any]:
    from . import probe

    return probe.measure(dtype)


def _read(name: str, value: dict[str, Any]) -> Machine:
    forward, backward = (Rates(*(rate(value[way][of]) for of in Rates._fields)) for way in ("forward", "backward"))
    return Machine(name, forward, backward, rate(value["error"]))


MEASURED = Measured(
    "machine", _about, _measure, _read, "the probe of this machine is off by up to {error}; it will be measured again"
)
assume = MEASURED.assume
