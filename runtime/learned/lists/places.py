"""Where the pairs of a piece stand: index tensors that broadcast over [B, Hkv, split, tiles, group, rows, keys].

Query head h is (key head, split, group): lists that each query head has for itself split the heads of a key head,
others group them. What is looked up by (batch, head, query, key) needs no copy for the dimensions that it lacks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor

from ....compiler.relations.integer import Predicate, evaluate


def parted(x: Tensor, dim: int, *sizes: int) -> Tensor:
    """A dimension as several, of these sizes; one of them may be -1, also where another dimension is 0."""
    known = prod(size for size in sizes if size >= 0)
    sizes = tuple(x.shape[dim] // known if size < 0 else size for size in sizes)
    return x.reshape(*x.shape[:dim], *sizes, *x.shape[dim + 1 :])


@dataclass(frozen=True, slots=True)
class Heads:
    """``query`` = key * split * group."""

    query: int
    key: int
    split: int

    @classmethod
    def of(cls, query: int, key: int, groups: int) -> Heads:
        """For lists of so many groups: one, one per key head, or one per query head."""
        return cls(query, key, query // key if groups == query else 1)

    @property
    def group(self) -> int:
        return self.query // (self.key * self.split)

    def spread(self, x: Tensor) -> Tensor:
        """[B, G, ...] as [B, Hkv or 1, split or 1, ...], for G that is 1, Hkv or, where heads are split, Hq."""
        shape = {1: (1, 1), self.key: (self.key, 1)}.get(x.shape[1], (self.key, self.split))
        return parted(x, 1, *shape)

    def index(self, groups: int, device: torch.device) -> Tensor:
        """Which of G groups each head follows, int64 [Hkv, split, 1, group, 1, 1] or less where it does not vary."""
        if groups == 1:
            return torch.zeros(1, 1, 1, 1, 1, 1, dtype=torch.int64, device=device)
        index = torch.arange(groups, device=device)
        if groups == self.key:
            return index.view(self.key, 1, 1, 1, 1, 1)
        return index.view(self.key, self.split, 1, self.group, 1, 1)


@dataclass(frozen=True, slots=True)
class Places:
    """query int64 [B or 1, ., ., ., 1, rows, 1] and key int64 [B or 1, ., ., ., 1, 1, keys], both within their
    lengths. ``lengths``: int64 [B, 1, 1, 1, 1, 1, 1] by the name that the pattern gives them."""

    query: Tensor
    key: Tensor
    heads: Heads
    lengths: Mapping[str, Tensor]

    def where(self, predicate: Predicate) -> Tensor | bool:
        """Whether the pairs satisfy a predicate over i, j and the lengths."""
        values: dict[str, Any] = {"i": self.query, "j": self.key, **self.lengths}
        result: Tensor | bool = evaluate(predicate, values, torch)
        return result

    def by_key(self, table: Tensor) -> Tensor:
        """table [B or 1, G, Nk] at each key."""
        return self._look(table, self.key)

    def by_query(self, table: Tensor) -> Tensor:
        """table [B or 1, G, Nq] at each query."""
        return self._look(table, self.query)

    def by_blocks(self, table: Tensor, query: int, key: int) -> Tensor:
        """table [B or 1, G, query blocks, key blocks] at each pair."""
        return self._look(table, self.query // query, self.key // key)

    def by_head(self, table: Tensor) -> Tensor:
        """table [Hq] at each head."""
        return table[self.heads.index(self.heads.query, table.device)]

    def _look(self, table: Tensor, *at: Tensor) -> Tensor:
        batch = torch.arange(table.shape[0], device=table.device).view(-1, 1, 1, 1, 1, 1, 1)
        return table[(batch, self.heads.index(table.shape[1], table.device), *at)]
