"""How many instances of a kernel a processor of a GPU holds at once, and where a limit of registers makes that more."""

from __future__ import annotations

from ..passes.program import Program

REGISTERS = {"sm_90": 1 << 16}
"""Of a processor, 32 bits each, where a limit for each thread has made a kernel faster. On sm_80 shared memory holds no
more instances, on sm_100 tensor memory; Triton's compiler for AMD knows no limit."""

_HELD_BACK = 1 << 10
"""Bytes of shared memory that CUDA takes for itself, of each instance."""


def instances(registers: int, num_warps: int, shared: int, room: int) -> int:
    """Of a kernel that takes so many registers a thread and ``shared`` bytes an instance, on an NVIDIA GPU where one
    instance may have ``room`` bytes. Registers are dealt out by warp, 256 at a time."""
    each = num_warps * -(-32 * registers // 256) * 256
    return min((1 << 16) // each, (room + _HELD_BACK) // (shared + _HELD_BACK))


def is_one_loop(program: Program, index: int) -> bool:
    """Whether forward kernel ``index`` walks one range of keys, once. Others keep in registers what their later loops
    begin with, and most of them spill it under a limit: by ahead-of-time builds for sm_90, up to 24 bytes a thread in
    stock patterns, where those of one loop spill none."""
    kernel = program.forward[index]
    ranges = [each for sweep in kernel.sweeps for each in sweep.ranges]
    listed = index == 0 and program.table > 0
    return len(ranges) == 1 and ranges[0].fan is None and not kernel.order.tiled and not listed
