"""Triton's interpreter rounds to bfloat16 as a GPU does.

By itself it cuts off the low half of a float32. Probabilities and their gradients are then too small throughout, which
no sum makes up for: gradients of sharp softmaxes are three times as far off as on a GPU, where flash attention
multiplies rounded probabilities too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def round_to_nearest() -> None:
    """From now on, in this process."""
    import triton.language as tl  # triton is heavy
    from triton.runtime import interpreter

    convert = getattr(interpreter, "_convert_float", None)
    if convert is None or getattr(convert, "rounds", False):  # another Triton, or done already
        return

    def rounding(x: NDArray[Any], given: Any, wanted: Any, mode: Any) -> NDArray[Any]:
        if given == tl.float32 and wanted == tl.bfloat16:
            return bfloat16_bits(np.ascontiguousarray(x).view(np.float32))
        found: NDArray[Any] = convert(x, given, wanted, mode)
        return found

    rounding.rounds = True  # type: ignore[attr-defined]
    interpreter._convert_float = rounding


def bfloat16_bits(x: NDArray[np.float32]) -> NDArray[np.uint16]:
    """The bits of the nearest bfloat16, of two that are as near the even one; NaN stays NaN."""
    bits = x.view(np.uint32)
    nearest = (bits + (np.uint32(0x7FFF) + (bits >> 16 & 1))) >> 16
    return np.where(np.isnan(x), bits >> 16 | 0x40, nearest).astype(np.uint16)
