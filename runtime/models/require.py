"""A condition on the values of tensors, eager or inside torch.compile."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import AttachError


def require(condition: Tensor, error: AttachError) -> None:
    """Raise ``error`` unless the bool scalar holds. Inside torch.compile the check becomes part of the graph."""
    if torch.compiler.is_compiling():
        torch._assert_async(condition, str(error))
    elif not bool(condition):
        raise error
