"""The sequences of a call: which slice of the tensors each is, and where its queries stand.

A padded batch has one for each batch element, of which equal neighbours are one batch; so are packed documents of equal
length that follow each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from torch import Tensor

from .engine import Call


@dataclass(frozen=True)
class Sequence:
    """Batch elements that hold keys at physical [start, end), and which query rows see them. Of packed documents,
    ``copies`` follow each other from there on, and are a batch."""

    batch: slice
    start: int
    end: int
    first_row: int  # of the query tensor
    first_position: int  # logical position of that row
    rows: int
    copies: int = 1
    cross: bool = False

    @property
    def length(self) -> int:
        return self.end - self.start

    @property
    def whole(self) -> bool:
        """Whether all queries are there: every token of the sequence, or those of a cross pattern."""
        return self.cross or (self.first_position == 0 and self.rows == self.length)

    def keys(self, x: Tensor) -> Tensor:
        """The slice of a [B, Hkv, Nk, ...] tensor."""
        return self._view(x, self.start, self.length)

    def queries(self, x: Tensor) -> Tensor:
        """The slice of a [B, Hq, Nq, ...] tensor."""
        return self._view(x, self.first_row, self.rows)

    def _view(self, x: Tensor, first: int, size: int) -> Tensor:
        part = x[self.batch, :, first : first + self.copies * size]
        if self.copies == 1:
            return part
        return part[0].view(part.shape[1], self.copies, size, *part.shape[3:]).transpose(0, 1)


def sequences(q: Tensor, k: Tensor, call: Call, *, cross: bool = False) -> Iterator[Sequence]:
    """The sequences of a call. Empty sequences and rows outside every span are left out."""
    if call.documents is not None:
        yield from _documents(call.documents.tolist())
        return
    batch, rows, keys = q.shape[0], q.shape[2], k.shape[2]
    ranges = [(0, keys)] * batch if call.spans is None else [(int(lo), int(hi)) for lo, hi in call.spans.tolist()]
    first = 0
    while first < batch:
        last = first
        while last + 1 < batch and ranges[last + 1] == ranges[first]:
            last += 1
        (start, end), elements = ranges[first], slice(first, last + 1)
        first = last + 1
        if cross:
            if rows and end > start:
                yield Sequence(elements, start, end, 0, 0, rows, cross=True)
            continue
        row = max(0, start - call.query_offset)
        stop = min(rows, end - call.query_offset)
        if stop > row and end > start:
            yield Sequence(elements, start, end, row, row + call.query_offset - start, stop - row)


def _documents(edges: list[int]) -> Iterator[Sequence]:
    for length, alike in groupby(pairwise(edges), key=lambda pair: pair[1] - pair[0]):
        (start, end), *others = alike
        if length:
            yield Sequence(slice(0, 1), start, end, start, 0, length, 1 + len(others))
