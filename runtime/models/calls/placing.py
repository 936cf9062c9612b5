"""The tensors of one call as a learned layer takes them: the tokens that exist at the front."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...selectors.front import Front
from ...selectors.inputs import Inputs, Side
from ...selectors.kept import Scope
from .reading import Given, Read


@dataclass(frozen=True, slots=True, eq=False)
class Placed:
    """k and v [B, Hkv, N, D] of all tokens, ``inputs`` of all of them; q [B, Hq, R, D] of those from ``first`` on, 0
    where a query is not given. With a cache R is less than N, and N may be less than the model's: what is padding in
    every element is left out."""

    q: Tensor
    k: Tensor
    v: Tensor
    inputs: Inputs
    first: int
    front: Front | None
    held: int
    rows: int

    def put_back(self, out: Tensor) -> Tensor:
        """out [B, Hq, R, D] as [B, Hq, M, D], where the model has its newest tokens."""
        if self.front is None:
            return out
        return self.front.put_back(out, 2, 0.0, held=self.held, first=self.first, count=self.rows)


def place(given: Given, read: Read) -> Placed:
    rows, total = given.q.shape[2], given.k.shape[2]
    held = total - rows
    front, first, latest, longest, shortest = None, held, 0, total, total
    if given.spans is not None:
        front, first = Front(given.spans), 0
        if held or read.kept is not None:  # a look at the spans: on a GPU it stops the stream
            latest, longest, shortest = _extent(front)
            front = None if shortest == total else front
            first = min(max(0, held - latest), longest - 1) if held else 0
            longest = longest if held else total
    if read.kept is not None:
        read.kept.begin(None if front is None else front.spans[:, 0], latest, shortest)
    if front is None:
        return Placed(given.q, given.k, given.v, _inputs(read, given.k, None, total), held, None, held, rows)
    q = front.bring(given.q, 2, held=held, first=first, count=longest - first)
    k, v = (front.bring(x, 2, count=longest) for x in (given.k, given.v))
    return Placed(q, k, v, _inputs(read, k, front, longest), first, front, held, rows)


def _extent(front: Front) -> tuple[int, int, int]:
    """Where the last of the elements begins; how many tokens the longest has, at least 1, and the shortest."""
    latest, longest, shortest = torch.stack(
        [front.spans[:, 0].max().long(), front.lengths.max(), front.lengths.min()]
    ).tolist()
    return latest, max(1, longest), shortest


def _inputs(read: Read, keys: Tensor, front: Front | None, tokens: int) -> Inputs:
    """Of ``tokens`` tokens. Where nothing is read, the keys, which are at the front, tell how many there are."""
    lengths = None if front is None else front.lengths
    kept = None if read.kept is None else Scope(read.kept)
    if read.hidden is None and read.q is None:
        return Inputs(Side(heads=keys, lengths=lengths), Side(heads=keys, lengths=lengths, kept=kept))
    found = Inputs.self_attention(read.hidden, read.q, read.k, lengths)
    query, key = (replace(side, front=front, tokens=tokens) for side in (found.query, found.key))
    inputs = Inputs(query, replace(key, kept=kept))
    return inputs if kept is not None else inputs.brought()  # all of it is read, and by several
