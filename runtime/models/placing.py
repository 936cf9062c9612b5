"""The tensors of one call as a learned layer takes them: the tokens that exist at the front."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..learned.front import Front
from ..selectors.inputs import Inputs, Side
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
    if given.spans is None:
        inputs = _inputs(read.hidden, read.q, read.k, given.k, None)
        return Placed(given.q, given.k, given.v, inputs, held, None, held, rows)
    front, first, longest = Front(given.spans), 0, total
    if held:  # a look at the spans: on a GPU it stops the stream
        longest = max(1, int(front.lengths.max()))
        first = min(max(0, held - int(given.spans[:, 0].max())), longest - 1)

    def bring(x: Tensor | None, dim: int) -> Tensor | None:
        return None if x is None else front.bring(x, dim, count=longest)

    q = front.bring(given.q, 2, held=held, first=first, count=longest - first)
    k, v = (front.bring(x, 2, count=longest) for x in (given.k, given.v))
    inputs = _inputs(bring(read.hidden, 1), bring(read.q, 2), bring(read.k, 2), k, front.lengths)
    return Placed(q, k, v, inputs, first, front, held, rows)


def _inputs(hidden: Tensor | None, q: Tensor | None, k: Tensor | None, keys: Tensor, lengths: Tensor | None) -> Inputs:
    """Where nothing is read, the keys tell how many tokens there are."""
    if hidden is None and q is None:
        return Inputs(Side(heads=keys, lengths=lengths), Side(heads=keys, lengths=lengths))
    return Inputs.self_attention(hidden, q, k, lengths)
