"""Which pairs a term holds, asked pair by pair by the terms after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from ....compiler.relations.integer import Predicate
from .places import Places


@dataclass(frozen=True, slots=True, eq=False)
class HeldColumns:
    """until int64 [B, G, Nk]: the queries i < until[j] hold key j; a closed gate is an ``until`` of 0."""

    until: Tensor

    def holds(self, places: Places) -> Tensor:
        return places.query < places.by_key(self.until)


@dataclass(frozen=True, slots=True, eq=False)
class HeldRows:
    """rows bool [B, G, Nq]."""

    rows: Tensor

    def holds(self, places: Places) -> Tensor:
        return places.by_query(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class HeldBlocks:
    """chosen bool [B, G, query blocks, key blocks], of ``block`` tokens both."""

    block: int
    chosen: Tensor

    def holds(self, places: Places) -> Tensor:
        return places.by_blocks(self.chosen, self.block, self.block)


@dataclass(frozen=True, slots=True, eq=False)
class HeldKeys:
    """keys int64 [B, G, tiles, slots], rising, and the queries i < until that hold them; ``diagonal``: i = j too."""

    tile: int
    diagonal: bool
    keys: Tensor
    until: Tensor

    def holds(self, places: Places) -> Tensor:
        if self.keys.shape[-1] == 0:
            found = torch.zeros((), dtype=torch.bool, device=self.keys.device)
        else:
            found = places.query < self._until(places)
        return found | (places.query == places.key) if self.diagonal else found

    def _until(self, places: Places) -> Tensor:
        """For each pair, until when its tile reads the key; 0 where it does not."""
        batch, groups, tiles, _ = self.keys.shape
        # One sorted list for all tiles: (tile, key) as one number.
        lists = torch.arange(batch * groups * tiles, device=self.keys.device).view(batch, groups, tiles, 1)
        known = (lists * _LONGEST + self.keys).flatten()
        element = torch.arange(batch, device=self.keys.device).view(-1, 1, 1, 1, 1, 1, 1)
        head = places.heads.index(groups, self.keys.device)
        asked = ((element * groups + head) * tiles + places.query // self.tile) * _LONGEST + places.key
        at = torch.searchsorted(known, asked.contiguous()).clamp(max=known.numel() - 1)
        return self.until.flatten()[at].where(known[at] == asked, 0)


@dataclass(frozen=True, slots=True, eq=False)
class HeldAlways:
    """A positional term: what its predicate says."""

    def holds(self, places: Places) -> bool:
        return True


_LONGEST = 1 << 40
"""More than any sequence has keys."""

Held: TypeAlias = HeldColumns | HeldRows | HeldBlocks | HeldKeys | HeldAlways


@dataclass(frozen=True, slots=True, eq=False)
class Earlier:
    """An earlier term: the pairs that ``held`` says, where ``within`` is true and the head's gate is open.

    is_open bool [Hq]; None: in every head."""

    held: Held
    within: Predicate
    is_open: Tensor | None

    def holds(self, places: Places) -> Tensor | bool:
        found = self.held.holds(places) & places.where(self.within)
        return found if self.is_open is None else found & places.by_head(self.is_open)
