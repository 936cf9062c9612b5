"""What a mask function of transformers means, told from O(n) of its pairs.

Beside causality, transformers' own functions only take away pairs far apart (windows, chunks, packed sequences: then
some row loses the farthest key that it should see) or add blocks of neighbours (then some row sees the next key).
Functions that a model adds of its own are told apart by ``use_vmap``, and are not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .packing import documents_of


@dataclass(frozen=True, slots=True)
class MaskFunction:
    """``function(element, head, query, key)``; the queries are the last of as many positions as there are keys."""

    function: Callable[..., Any]
    batch: int
    queries: int
    keys: int
    device: torch.device

    def is_causal(self) -> Tensor:
        """bool []: whether each query sees all keys up to its own, and no other."""
        rows = self._rows()
        return self._sees(torch.zeros_like(rows)).all() & ~self._sees(rows + 1).any()

    def is_window(self, size: int) -> Tensor:
        """bool []: whether each query sees the last ``size`` keys up to its own, and no other."""
        rows = self._rows()
        nearer, farther, later = (rows - size + 1).clamp(min=0), rows - size, rows + 1
        return self._sees(nearer).all() & ~self._sees(farther).any() & ~self._sees(later).any()

    def is_band(self, distance: int) -> Tensor:
        """bool []: whether each query sees the keys at most so far from it, behind and ahead, and no other."""
        rows = self._rows()
        behind, ahead = (rows - distance).clamp(min=0), (rows + distance).clamp(max=self.keys - 1)
        beyond = self._sees(rows - distance - 1) | self._sees(rows + distance + 1)
        return self._sees(behind).all() & self._sees(ahead).all() & ~beyond.any()

    def documents(self) -> Tensor | None:
        """Where as many queries as keys fall into documents that are causal and see nothing else; None where not.

        Of one document in each row, nothing tells whether the function meant any: that is ``is_causal``.
        """
        rows = self._rows()
        starts = ~self._sees(rows - 1)
        first = torch.where(starts, rows, 0).cummax(1).values
        exact = self._sees(first).all() & ~self._sees(first - 1).any() & ~self._sees(rows + 1).any()
        return documents_of(starts) if bool(exact) else None

    def _rows(self) -> Tensor:
        return torch.arange(self.keys - self.queries, self.keys, device=self.device)[None, :].expand(self.batch, -1)

    def _sees(self, keys: Tensor) -> Tensor:
        """bool [B, Nq]: whether each query sees its key; False for a key that is not there."""
        element = torch.arange(self.batch, device=self.device)[:, None]
        head = torch.zeros((), dtype=torch.int64, device=self.device)
        there = (keys >= 0) & (keys < self.keys)
        sees: Tensor = self.function(element, head, self._rows(), keys.clamp(0, max(0, self.keys - 1)))
        return there & sees
