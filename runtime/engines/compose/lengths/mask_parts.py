"""The first rows and keys of masks, as plans that are cut have them: nothing is copied, and what a part keeps is told
from one number for each row.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from ..plan.stage import Bias
from ..plan.tiles import Mask


class MaskParts:
    """Parts of masks, from their first row and key on: views of what they are cut from, at every length."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Bias, NDArray[np.int64], NDArray[np.int64]]] = {}

    def of(self, bias: Bias | None, mask: Mask | None, rows: int, keys: int) -> tuple[Mask | None, Bias | None]:
        """None: every pair is kept."""
        if bias is None or mask is None or mask.shape == (rows, keys):
            return mask, bias
        kept, left_out = self._firsts(bias, mask)
        if left_out[:rows].min() >= keys:
            return None, None
        dead = kept[:rows] >= keys
        return mask[:rows, :keys], Bias(bias.added[:rows, :keys], torch.from_numpy(dead) if dead.any() else None)

    def _firsts(self, bias: Bias, mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Of each row the first key that is kept and the first that is not; where there is none, one past the last.
        Equal masks have one bias, which is held here, so that no other takes its identity."""
        if (known := self._known.get(id(bias))) is None:
            kept, left_out = (
                np.where(pairs.any(axis=1), pairs.argmax(axis=1), mask.shape[1]) for pairs in (mask, ~mask)
            )
            known = self._known[id(bias)] = bias, kept, left_out
        return known[1:]
