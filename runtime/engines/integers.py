"""Sizes of integers: an engine refuses a length at which a mask or a range of a program would overflow."""

from __future__ import annotations

from ...compiler.magnitude import fits, longest
from ...compiler.passes.program import Program
from ..errors import EngineError

KERNEL, HOST = 32, 64
"""Bits of the integers that masks and ranges are computed in: by a generated kernel, and by numpy."""

_REMEDY = {
    KERNEL: "engine='compose' computes in 64 bits, on a CPU",
    HOST: "write the pattern in smaller numbers; engine='reference' takes any",
}


def require_fit(program: Program, n: int, bits: int) -> None:
    """Raise EngineError where integers of the program at n tokens, of either side, need more bits."""
    if not fits(program, n, bits):
        most = longest(program, n, bits)
        here = f"at {n:,} tokens, and fit up to {most:,}" if most > 0 else "at any length"
        raise EngineError(f"integers of pattern {program.name!r} overflow {bits} bits {here}; {_REMEDY[bits]}")
