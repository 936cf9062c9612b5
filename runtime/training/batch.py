"""Batches: what the model takes, by its names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

Batch: TypeAlias = Mapping[str, Tensor]


def by_name(batch: Batch | Tensor) -> Batch:
    """Tokens alone, int64 [B, N], as what they are."""
    return {"input_ids": batch} if isinstance(batch, Tensor) else batch


def moved(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The tensors on the device, and the rest as it is."""
    return {name: x.to(device) if isinstance(x, Tensor) else x for name, x in batch.items()}
