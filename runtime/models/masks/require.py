"""A condition on the values of tensors, eager or inside torch.compile."""

from __future__ import annotations

import torch
from torch import Tensor

from ...errors import UnsupportedCallError


def require(condition: Tensor, message: str) -> None:
    """Raise UnsupportedCallError unless the bool scalar holds. Inside torch.compile the check becomes part of the
    graph."""
    if torch.compiler.is_compiling():
        torch._assert_async(condition, message)
    elif not bool(condition):
        raise UnsupportedCallError(message)
