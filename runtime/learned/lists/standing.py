"""Where the queries and keys of a call stand, as lists count them: tokens from the front, queries from a tile's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from ...engines.engine import Call
from ...selectors.front import Front


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Lists are of the ``rows`` queries from ``first`` on, counted from the front, among ``keys`` keys; the call gives
    ``given`` queries, from row ``held`` of the ``total`` keys on. ``front`` None: tokens are at the front as they are.
    ``cross``: queries are a sequence of their own."""

    first: int
    rows: int
    keys: int
    held: int
    given: int
    total: int
    front: Front | None
    cross: bool

    @property
    def plain(self) -> bool:
        """Whether tensors are taken as they are."""
        return self.front is None and self.first == self.held

    def counts(self, batch: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """int64 [B] twice: how many queries and how many keys exist; queries up to the last that may be given."""
        keys = torch.full((batch,), self.keys, device=device) if self.front is None else self.front.lengths
        return torch.full((batch,), self.rows, device=device) if self.cross else keys, keys

    def queries(self, x: Tensor) -> Tensor:
        """x [B, H, given, ...] as [B, H, rows, ...], 0 where there is none."""
        if self.front is None or self.cross:
            before = self.held - self.first
            return F.pad(x, (*(0, 0) * (x.dim() - 3), before, 0)) if before else x
        return self.front.bring(x, 2, held=self.held, first=self.first, count=self.rows)

    def tokens(self, x: Tensor) -> Tensor:
        """x [B, H, total, D] as [B, H, keys, D], 0 where there is none."""
        return x if self.front is None else self.front.bring(x, 2, count=self.keys)

    def queries_back(self, x: Tensor, empty: float = 0.0) -> Tensor:
        """The inverse of ``queries``; ``empty`` where no query exists."""
        if self.front is None or self.cross:
            return x[:, :, self.held - self.first :]
        return self.front.put_back(x, 2, empty, held=self.held, first=self.first, count=self.given)

    def tokens_back(self, x: Tensor) -> Tensor:
        """The inverse of ``tokens``."""
        return x if self.front is None else self.front.put_back(x, 2, 0.0, count=self.total)


def stand(queries: int, keys: int, call: Call, begin: Callable[[int, int], int], *, cross: bool) -> Standing:
    """Of so many queries and keys. ``begin`` says with which query lists of (the first query, how many) must begin.
    Late queries of a padded batch are found by a look at its spans: on a GPU it stops the stream."""
    held = 0 if cross else call.query_offset
    first, rows, longest, front = held, queries, keys, None
    if call.spans is not None:
        front = Front(call.spans)
        if not cross and queries < keys:
            latest, longest = torch.stack([call.spans[:, 0].max().long(), front.lengths.max()]).tolist()
            longest = max(1, longest)
            first = min(max(0, held - latest), longest - 1)
            rows = longest - first
    start = begin(first, rows)
    return Standing(start, rows + first - start, longest, held, queries, keys, front, cross)
