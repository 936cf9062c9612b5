"""Where the keys that a cache has kept are laid out for attention, each at its place in the sequence."""

from __future__ import annotations

import torch
from torch import Tensor


class Room:
    """[B, H, N, D], for one layer at a time: what stands at the places of others is 0, or of a layer before."""

    def __init__(self) -> None:
        self.tensor: Tensor | None = None

    def lay(self, kept: Tensor, places: Tensor, count: int) -> Tensor:
        """``kept`` [B, H, M, D] at its ``places`` int64 [M] among ``count``. It holds until the next call; with
        gradients it is a tensor of its own."""
        if torch.is_grad_enabled():
            return kept.new_zeros(*kept.shape[:2], count, kept.shape[3]).index_copy(2, places, kept)
        if self.tensor is None or not self._holds(self.tensor, kept, count):
            self.tensor = kept.new_zeros(*kept.shape[:2], count + count // 4 + 64, kept.shape[3])
        return self.tensor[:, :, :count].index_copy_(2, places, kept)

    @staticmethod
    def _holds(room: Tensor, kept: Tensor, count: int) -> bool:
        return (
            room.shape[2] >= count
            and (room.dtype, room.device) == (kept.dtype, kept.device)
            and (*room.shape[:2], room.shape[3]) == (*kept.shape[:2], kept.shape[3])
            and (torch.is_inference_mode_enabled() or not room.is_inference())
        )
