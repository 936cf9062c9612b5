"""Blocks that a call lists for the kernels of a program with a table (``Program.table``)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...compiler.kernels.launch import Role

Lists = tuple[Tensor, Tensor]
"""int32: blocks, one list after another, and once more one, since kernels look a step ahead; where each list begins,
and where the last ends."""


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Of each query block the key blocks that it reads, of each key block the query blocks that read it. The same for
    all heads and elements of a batch; every token of these blocks exists, and every pair of two of them is kept."""

    keys: Lists
    queries: Lists

    @staticmethod
    def of(entries: Tensor, device: torch.device) -> Listed:
        """entries int64 [blocks, slots], the key blocks of each query block, -1 in slots that hold none, on a CPU."""
        held, blocks = entries >= 0, entries.shape[0]
        queries, keys = torch.arange(blocks)[:, None].expand_as(entries)[held], entries[held]
        order = keys.argsort(stable=True)
        by_key = queries[order], torch.bincount(keys, minlength=blocks)
        return Listed(_lists(keys, held.sum(-1), device), _lists(*by_key, device))

    def arguments(self, role: Role) -> dict[str, Tensor]:
        """As kernels name them."""
        blocks, starts = self.queries if role == "backward_key" else self.keys
        return {"blocks_ptr": blocks, "starts_ptr": starts}


def _lists(blocks: Tensor, sizes: Tensor, device: torch.device) -> Lists:
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    blocks = torch.cat([blocks, torch.zeros(1, dtype=torch.int64)])
    return blocks.int().to(device), starts.int().to(device)
