"""Computing in the data types that are written down, also where a caller has autocast on."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch


def as_given(device: torch.device) -> AbstractContextManager[Any]:
    """Within, matrix products on a device keep to the data types of their factors: autocast would round these to a
    lower precision. A device without autocast, such as ``meta``, has nothing to turn off."""
    kind = device.type
    rounded = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.autocast(kind, enabled=False) if rounded else nullcontext()
