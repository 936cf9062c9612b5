"""Efforts, and the rates at which a machine does them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Effort(NamedTuple):
    """What a batch of blocks asks of the busiest thread. ``wide`` counts are multiplied by the head dimension."""

    batches: float = 0  # of equal blocks: the Python around a kernel call
    launches: float = 0  # kernel calls
    groups: float = 0  # of queries that the kernel takes at a time, once for each 512 keys
    rows: float = 0  # queries, once per block
    wide_rows: float = 0
    keys: float = 0  # once for each group of queries that the kernel takes at a time
    wide_keys: float = 0
    pairs: float = 0  # scores computed
    wide_pairs: float = 0
    masked: float = 0  # scores to which a mask is added
    left: float = 0  # scores that are taken one by one
    merged: float = 0  # elements of an output merged with what was there
    copied: float = 0  # elements copied or added
    gathered: float = 0  # elements taken out of their order, or put back
    steps: float = 0  # diagonals, once for each group of queries that is taken at a time: the Python around them
    wide_steps: float = 0  # their elements

    @classmethod
    def total(cls, efforts: Iterable[Effort]) -> Effort:
        return cls(*map(sum, zip(cls(), *efforts, strict=True)))
