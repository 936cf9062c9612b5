"""Padding on the left, moved behind the tokens, and back: selections count tokens from the front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Front:
    """spans int [B, 2]: the tokens start..end - 1 of N that exist.

    Of both directions, ``held`` is the place in the model of the first token of the one side, and ``first`` that of the
    other, counted from the front; a side is all of the sequence where they are 0 and ``count`` is left out.
    """

    spans: Tensor

    @property
    def lengths(self) -> Tensor:
        """int64 [B]."""
        return (self.spans[:, 1] - self.spans[:, 0]).long()

    def bring(self, x: Tensor, dim: int, *, held: int = 0, first: int = 0, count: int | None = None) -> Tensor:
        """x [B, ..., tokens ``held`` and on, ...] as tokens ``first`` .. ``first + count`` - 1 from the front; 0 where
        there is none."""
        count = x.shape[dim] if count is None else count
        if _plain(x):
            runs = []
            for start, end in self.spans.tolist():
                low, high = max(held, start + first), min(end, held + x.shape[dim], start + first + count)
                runs.append((low - start - first, low - held, high - low))
            return _copied(x, dim, count, runs, 0.0)
        places = torch.arange(first, first + count, device=x.device) + self.spans[:, :1]
        exist = (places >= held) & (places < self.spans[:, 1:]) & (places < held + x.shape[dim])
        return _take(x, dim, places - held, exist, 0.0)

    def put_back(
        self, x: Tensor, dim: int, empty: float, *, held: int = 0, first: int = 0, count: int | None = None
    ) -> Tensor:
        """The inverse: x [B, ..., tokens ``first`` and on, ...] as ``count`` tokens of the model from ``held`` on;
        ``empty`` where there is none."""
        count = x.shape[dim] if count is None else count
        if _plain(x):
            runs = []
            for start, end in self.spans.tolist():
                low, high = max(first, held - start), min(end - start, first + x.shape[dim], held + count - start)
                runs.append((low + start - held, low - first, high - low))
            return _copied(x, dim, count, runs, empty)
        places = torch.arange(held, held + count, device=x.device) - self.spans[:, :1]
        exist = (places >= first) & (places < self.lengths[:, None]) & (places < first + x.shape[dim])
        return _take(x, dim, places - first, exist, empty)


def _plain(x: Tensor) -> bool:
    """Whether runs of tokens are copied, which is faster: spans can be looked at, and nobody asks for a gradient."""
    return x.device.type == "cpu" and not torch.is_grad_enabled() and not torch.compiler.is_compiling()


def _copied(x: Tensor, dim: int, count: int, runs: Sequence[tuple[int, int, int]], empty: float) -> Tensor:
    """x with ``count`` tokens in a dimension: of each element a run (its place there, its place in x, how long)."""
    found = x.new_full((*x.shape[:dim], count, *x.shape[dim + 1 :]), empty)
    for element, (to, since, length) in enumerate(runs):
        if length > 0:
            found[element].narrow(dim - 1, to, length).copy_(x[element].narrow(dim - 1, since, length))
    return found


def _take(x: Tensor, dim: int, places: Tensor, exist: Tensor, empty: float) -> Tensor:
    """x at places int [B, count] of a dimension."""
    shape = [x.shape[0], *[1] * (x.dim() - 1)]
    shape[dim] = places.shape[1]
    wanted = [*x.shape]
    wanted[dim] = places.shape[1]
    index = places.clamp(0, max(0, x.shape[dim] - 1)).long().view(shape).expand(wanted)
    return x.gather(dim, index).masked_fill(~exist.view(shape), empty)
