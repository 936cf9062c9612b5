"""Padding on the left, moved behind the tokens, and back: selections count tokens from the front."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """spans int [B, 2]: the tokens start..end - 1 of N that exist."""

    spans: Tensor

    @property
    def lengths(self) -> Tensor:
        """int64 [B]."""
        return (self.spans[:, 1] - self.spans[:, 0]).long()

    def bring(self, x: Tensor, dim: int) -> Tensor:
        """x [B, ..., N at dim, ...] with the first token that exists at 0; 0 behind the last."""
        places = torch.arange(x.shape[dim], device=x.device) + self.spans[:, :1]
        return _take(x, dim, places, places < self.spans[:, 1:], 0.0)

    def put_back(self, x: Tensor, dim: int, empty: float) -> Tensor:
        """The inverse; ``empty`` where no token exists."""
        places = torch.arange(x.shape[dim], device=x.device) - self.spans[:, :1]
        return _take(x, dim, places, (places >= 0) & (places < self.lengths[:, None]), empty)


def _take(x: Tensor, dim: int, places: Tensor, exist: Tensor, empty: float) -> Tensor:
    shape = [x.shape[0], *[1] * (x.dim() - 1)]
    shape[dim] = x.shape[dim]
    index = places.clamp(0, max(0, x.shape[dim] - 1)).long().view(shape).expand(x.shape)
    return x.gather(dim, index).masked_fill(~exist.view(shape), empty)
