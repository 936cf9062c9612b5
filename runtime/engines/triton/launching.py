"""What launches of generated kernels are told: the machine, the sequences of a call, the arguments."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ....compiler.kernels import launch
from ....compiler.kernels.occupancy import REGISTERS
from ...errors import EngineUnavailable
from ..engine import Call

_LARGEST_GRID_Y = 65535


def interpreted() -> bool:
    """Whether Triton runs its kernels in its interpreter. Triton reads the variable when a kernel is defined."""
    return os.environ.get("TRITON_INTERPRET", "0").lower() in ("1", "true", "on", "yes", "y")


def check_device(device: torch.device) -> None:
    """Raises EngineUnavailable on a CPU without the interpreter."""
    if device.type != "cuda" and not interpreted():
        raise EngineUnavailable(
            f"the triton engine cannot run on device {device}: move the tensors to a GPU, choose engine='compose', "
            "or set TRITON_INTERPRET=1 before the first import of triton (slow; for tests)"
        )


@dataclass(frozen=True, slots=True)
class Machine:
    """``shared``: bytes of shared memory that a program instance may use. ``processors``: how many run side by side.
    ``registers``: of a processor, where a limit for each thread is worth it; 0: none is set."""

    backend: str
    shared: int
    processors: int
    registers: int = 0

    @property
    def precision(self) -> str:
        """How fp32 blocks are multiplied. tf32x3 splits each factor in three tensor-core products, and keeps fp32's
        accuracy to a few units in the last place; AMD's compiler multiplies in fp32 itself, and so does the
        interpreter."""
        return {"cuda": "tf32x3", "hip": "ieee"}.get(self.backend, "fp32")


@lru_cache
def machine(device: torch.device) -> Machine:
    """What a device is, as far as launches ask."""
    if device.type == "cpu" or interpreted():
        return Machine("interpreter", 1 << 30, 8, REGISTERS["sm_90"])
    properties: Any = torch.cuda.get_device_properties(device)  # torch's stub lacks an attribute
    if torch.version.hip:
        return Machine("hip", launch.SHARED_MEMORY["gfx942"], properties.multi_processor_count)
    registers = REGISTERS.get(f"sm_{properties.major}{properties.minor}", 0)
    shared = int(properties.shared_memory_per_block_optin)
    return Machine("cuda", shared, properties.multi_processor_count, registers)


@dataclass(frozen=True, slots=True)
class Part:
    """As many sequences as fit axis 1 of a grid: what of a batch they lie in, and what says where."""

    batch: slice
    spans: Tensor | None
    sequences: int
    queries: int  # at most, in one sequence
    keys: int
    call: Call

    def pick(self, **tensors: Tensor) -> dict[str, Tensor]:
        # A slice of all of it takes longer than to ask.
        size = self.batch.stop - self.batch.start
        return {name: x if x.shape[0] == size else x[self.batch] for name, x in tensors.items()}


def parts(q: Tensor, k: Tensor, call: Call) -> Iterator[Part]:
    batch, heads, queries, keys = *q.shape[:3], k.shape[2]
    step = max(1, _LARGEST_GRID_Y // max(1, heads))
    if call.documents is None:
        for start in range(0, batch, step):
            part = slice(start, min(start + step, batch))
            spans = None if call.spans is None else call.spans[part].contiguous()
            yield Part(part, spans, part.stop - start, queries, keys, call)
        return
    edges = call.documents.contiguous()
    longest = keys if call.max_seqlen is None else min(keys, call.max_seqlen)
    if edges.device.type == "cpu":  # elsewhere a look at them would stop the stream
        longest = max(edges.diff().tolist(), default=0)
    for start in range(0, len(edges) - 1, step):
        stop = min(start + step, len(edges) - 1)
        yield Part(slice(0, 1), edges[start : stop + 1], stop - start, longest, longest, call)


def row_arguments(found: dict[str, Tensor] | None) -> dict[str, Any]:
    """Where a kernel of the gradient of q finds out and the lse of forward, to find lse and delta from; None: these are
    there already."""
    if found is None:
        return {"out_ptr": None, "final_ptr": None, **{f"o_{axis}": 0 for axis in "bhnd"}}
    return {**found, **_strides(o=found["out_ptr"])}


def arguments_of(pointers: dict[str, Tensor], strided: dict[str, Tensor], part: Part) -> dict[str, Any]:
    q, k = strided["q"], strided["k"]
    sizes = {"heads": q.shape[1], "group": q.shape[1] // k.shape[1], "Nq": q.shape[2], "Nk": k.shape[2]}
    return {
        **pointers,
        **_strides(**strided),
        **sizes,
        "spans_ptr": part.spans,
        "owner_ptr": None,
        "owner": 0,
        "query_offset": part.call.query_offset,
        "scale": float(part.call.scale),
    }


def _strides(**tensors: Tensor) -> dict[str, int]:
    return {f"{name}_{axis}": x.stride(at) for name, x in tensors.items() for at, axis in enumerate("bhnd")}


_MOST_ALIGNED = 64
"""A finer distinction than any that Triton makes (16, and 1 for strides)."""


def specialised(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """What Triton may compile in of tensors and their strides, and more: two calls for which this is the same, on one
    device and in one data type, run the same binary. The powers of two that divide pointers and strides, and of strides
    also whether they are 1, 0 or beyond 32 bits."""
    found = []
    for x in tensors:
        found.append(x.data_ptr() & (_MOST_ALIGNED - 1))
        found += [_kind_of(step) for step in x.stride()]
    return tuple(found)


def _kind_of(step: int) -> int:
    if step < 2:
        return step
    return -1 - (step & -step & (_MOST_ALIGNED - 1)) - 2 * _MOST_ALIGNED * (step >> 31 > 0)
