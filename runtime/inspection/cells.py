"""A map of pairs in few cells, filled some rows at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """``counts`` int64 [heads, cells, cells]: how many pairs of each cell there are. Cell c is of the tokens ``edges``
    int64 [2, cells] says, from the first up to the second: n c / cells and n (c + 1) / cells, rounded outwards, so that
    neighbours share a token where n is no multiple, and none is left out."""

    counts: Tensor
    edges: Tensor

    @classmethod
    def none(cls, heads: int, tokens: int, cells: int, device: torch.device) -> Cells:
        cell = torch.arange(cells, device=device)
        edges = torch.stack([cell * tokens // cells, -(-(cell + 1) * tokens // cells)])
        return cls(torch.zeros(heads, cells, cells, dtype=torch.int64, device=device), edges)

    def add(self, pairs: Tensor, start: int) -> None:
        """The rows of the queries from ``start`` on: bool [heads, R, N]."""
        by_key = _between(pairs, self.edges, -1)
        self.counts.add_(_between(by_key, (self.edges - start).clamp(0, pairs.shape[1]), -2))

    def shares(self) -> Tensor:
        """float32 [heads, cells, cells], in [0, 1]."""
        size = self.edges[1] - self.edges[0]
        return (self.counts.double() / (size[:, None] * size)).float()


def _between(x: Tensor, edges: Tensor, dim: int) -> Tensor:
    """The sums of x along a dimension from each first edge up to each second one, int32: of a few rows alone."""
    sums = x.cumsum(dim, dtype=torch.int32)
    sums = torch.cat([torch.zeros_like(sums.narrow(dim, 0, 1)), sums], dim)
    first, last = edges
    return sums.index_select(dim, last) - sums.index_select(dim, first)
