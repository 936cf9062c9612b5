"""What entered an attention module, as its attention function finds it."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

ENTERED = "patternc_entered"
"""The keyword argument."""


class Entered(NamedTuple):
    """hidden [B, N, W]; the cache that the module fills, if any; (cos, sin) of its rotary embedding, where it is given
    them."""

    hidden: Tensor
    cache: Any
    rotary: Any
