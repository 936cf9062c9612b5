"""The sequences of a call: which slice of the tensors each is, and where its queries stand.

A padded batch has one for each batch element, of which equal neighbours are one batch; so are packed documents of equal
length that follow each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby, pairwise
from typing import NamedTuple

from torch import Tensor

from ...engine import Call

EVERY = slice(None)
"""Of batch elements."""


class Sequence(NamedTuple):
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
        if size == x.shape[2] and self.batch == EVERY:
            return x
        part = x[self.batch, :, first : first + self.copies * size]
        if self.copies == 1:
            return part
        return part[0].view(part.shape[1], self.copies, size, *part.shape[3:]).transpose(0, 1)


def sequences(q: Tensor, k: Tensor, call: Call, *, cross: bool = False) -> Iterable[Sequence]:
    """The sequences of a call. Empty sequences and rows outside every span are left out."""
    if call.documents is not None:
        return _documents(call.documents.tolist())
    batch, _, rows, _ = q.shape
    if not batch or not rows:
        return ()
    if call.spans is None:
        return _of(EVERY, 0, k.shape[2], rows, 0 if cross else call.query_offset, cross)
    return _spans(call.spans.tolist(), rows, call.query_offset, cross=cross)


def _of(elements: slice, start: int, end: int, rows: int, offset: int, cross: bool) -> tuple[Sequence, ...]:
    if cross:
        return (Sequence(elements, start, end, 0, 0, rows, cross=True),) if end > start else ()
    row, stop = max(0, start - offset), min(rows, end - offset)
    if stop > row and end > start:
        return (Sequence(elements, start, end, row, row + offset - start, stop - row),)
    return ()


def _spans(spans: list[list[int]], rows: int, offset: int, *, cross: bool) -> Iterator[Sequence]:
    last = 0
    for (start, end), alike in groupby(spans):
        first, last = last, last + len(list(alike))
        yield from _of(EVERY if last - first == len(spans) else slice(first, last), start, end, rows, offset, cross)


def _documents(edges: list[int]) -> Iterator[Sequence]:
    for length, alike in groupby(pairwise(edges), key=lambda pair: pair[1] - pair[0]):
        (start, end), *others = alike
        if length:
            yield Sequence(EVERY, start, end, start, 0, length, 1 + len(others))
