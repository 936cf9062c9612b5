"""A padded batch as sequences: which slice of the tensors is one sequence, and where its queries stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from .engine import Call


@dataclass(frozen=True)
class Sequence:
    """Batch elements [batch_lo, batch_hi) that hold keys at physical [start, end), and which query rows see them."""

    batch: slice
    start: int
    end: int
    first_row: int  # of the query tensor
    first_position: int  # logical position of that row
    rows: int

    @property
    def length(self) -> int:
        return self.end - self.start

    @property
    def whole(self) -> bool:
        """Whether every token of the sequence is also a query."""
        return self.first_position == 0 and self.rows == self.length

    def keys(self, x: Tensor) -> Tensor:
        """The slice of a [B, Hkv, Nk, ...] tensor."""
        return x[self.batch, :, self.start : self.end]

    def queries(self, x: Tensor) -> Tensor:
        """The slice of a [B, Hq, Nq, ...] tensor."""
        return x[self.batch, :, self.first_row : self.first_row + self.rows]


def sequences(q: Tensor, k: Tensor, call: Call) -> Iterator[Sequence]:
    """The sequences of a batch; equal neighbours are one. Empty sequences and rows outside every span are left out."""
    batch, rows, keys = q.shape[0], q.shape[2], k.shape[2]
    ranges = [(0, keys)] * batch if call.spans is None else [(int(lo), int(hi)) for lo, hi in call.spans.tolist()]
    first = 0
    while first < batch:
        last = first
        while last + 1 < batch and ranges[last + 1] == ranges[first]:
            last += 1
        start, end = ranges[first]
        row = max(0, start - call.query_offset)
        stop = min(rows, end - call.query_offset)
        if stop > row and end > start:
            yield Sequence(slice(first, last + 1), start, end, row, row + call.query_offset - start, stop - row)
        first = last + 1
