"""What kernels over some lists are told, and the launches of backward."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from ....compiler.kernels import launch
from ...engines.engine import check_head_dim
from ...engines.triton.launching import machine
from ..lists.key_lists import Bounds, KeyLists
from ..running.gathered import Rows
from ..running.products import Scores
from .backward import list_backward_keys, list_backward_rows
from .keep import Keep, keep
from .tables import Shape, Tables, readers


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What all kernels over some lists are told."""

    lists: KeyLists
    shape: Shape
    tables: Tables
    keep: Keep
    q: Tensor
    k: Tensor  # of the lists, where they have their own
    v: Tensor
    rows: int
    scores: Scores

    @classmethod
    def of(cls, lists: KeyLists, q: Tensor, k: Tensor, v: Tensor, scores: Scores) -> Run:
        k = k if lists.keys is None else lists.keys.detach().to(q.dtype)
        v = v if lists.values is None else lists.values.detach().to(q.dtype)
        rows = q.shape[2] if lists.rows is None else lists.rows.shape[-1]
        shape = Shape.of(lists, q.shape[1], k.shape[1], rows)
        check_head_dim("triton", q.shape[3])
        sizes = (q.shape[0], q.shape[1], k.shape[1], k.shape[2], rows)
        tables = lists.once(("tables", *sizes), lambda: Tables.of(lists, shape, q.shape[0], rows))
        own = lists.once(("keep", *sizes), lambda: keep(lists.bounds, q.shape[1], q.shape[0], k.shape[2]))
        return cls(lists, shape, tables, own, q, k, v, rows, scores)

    @property
    def blocks(self) -> int:
        return self.shape.blocks(self.rows, self.lists.entries.shape[2])

    @property
    def bundles(self) -> int:
        return self.shape.bundles(self.q.shape[1], self.k.shape[1])

    @property
    def empty(self) -> bool:
        return not (self.blocks and self.lists.entries.numel() and self.q.numel() and self.k.numel())

    @property
    def grid(self) -> tuple[int, int]:
        return self.blocks, self.q.shape[0] * self.bundles

    @property
    def device(self) -> Any:
        return torch.cuda.device(self.q.device) if self.q.is_cuda else nullcontext()

    def list_arguments(self, *readers: Tensor | None) -> tuple[Any, ...]:
        tables, lists = self.tables, self.lists
        size = None if lists.log_size is None else lists.log_size.float().expand(self.q.shape[0], -1).contiguous()
        return (
            tables.entries, tables.since, tables.until, tables.gate, size, *readers, tables.rows, tables.row_gate,
            tables.head_gate, *lists.once("lengths", lambda: _lengths(lists.bounds)), self.keep.tables,
        )  # fmt: skip

    def sizes(self) -> tuple[int, ...]:
        """heads, group, R, Nq, Nk."""
        heads, key_heads = self.q.shape[1], self.k.shape[1]
        return heads, heads // key_heads, self.rows, self.q.shape[2], self.k.shape[2]

    def list_sizes(self) -> tuple[int, int, float, int]:
        """tiles, slots, scale, offset."""
        return (*self.lists.entries.shape[2:], float(self.scores.scale), self.lists.bounds.first)

    @property
    def lanes_of_keys(self) -> int:
        """Lanes that an instance which holds keys takes at once: it has two sums, and no room for many."""
        return max(self.shape.pack, min(self.shape.block_q, 32)) if self.slender else self.shape.block_q

    @property
    def slender(self) -> bool:
        """Whether two instances of few warps fit a processor side by side, by ahead-of-time builds for sm_90."""
        return self.q.element_size() == 2 and launch.block_dim(self.q.shape[3]) <= 128

    def options(self, kernel: Literal["forward", "rows", "keys"]) -> dict[str, int]:
        """Warps and stages. Not tuned on a GPU."""
        if self.slender:
            return {"num_warps": 4, "num_stages": 3 if kernel == "keys" else 2, **launch.FUSED}
        return {"num_warps": 4 if kernel == "forward" else 8, **launch.FUSED}

    def constants(self, **more: Any) -> dict[str, Any]:
        shape, head_dim, bounds = self.shape, self.q.shape[3], self.lists.bounds
        return {
            "KEEP": self.keep.function,
            "CAUSAL": bounds.causal,
            "SOFTCAP": self.scores.softcap or 0.0,
            "PRECISION": machine(self.q.device).precision,
            "GROUPS": shape.groups,
            "TILE": shape.tile,
            "BLOCK": shape.block,
            "PADDED": shape.padded,
            "PACK": shape.pack,
            "HEAD_DIM": head_dim,
            "BLOCK_D": launch.block_dim(head_dim),
            "BLOCK_Q": shape.block_q,
            "BLOCK_K": shape.block_k,
            **more,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Slopes:
    """Backward over some lists: adds to dq, dk and dv, contiguous and fp32; or as q, where lists are ``held`` and
    ``alone`` (``Shape``)."""

    run_of: Run
    whole: Rows
    dq: Tensor
    dk: Tensor
    dv: Tensor

    def run(self, by_key: bool, by_row: bool) -> tuple[Tensor | None, Tensor | None]:
        """The sums of dS, where they are asked for: by entry [B, bundles, tiles, slots], by row [B, Hq, R]."""
        run, shape = self.run_of, self.run_of.shape
        probe = run.lists.probe  # which is of blocks, and adds to no key
        dk, dv = (None, None) if shape.held or probe else (self.dk, self.dv)
        parts = max(1, shape.padded // shape.block_k)
        tiles, slots = run.lists.entries.shape[2:]
        batch, bundles = run.q.shape[0], run.bundles
        entries = None
        if by_key and shape.tile:
            entries = run.q.new_zeros(batch, bundles, run.blocks, slots, parts, dtype=torch.float32)
        rows = run.q.new_zeros(batch, run.q.shape[1], run.rows, dtype=torch.float32) if by_row else None
        common = (run.q, run.k, run.v, self.whole.grad.to(run.q.dtype), self.whole.lse, self.whole.delta)
        strides = strides_of(q=run.q, k=run.k, v=run.v, o=common[3])
        with run.device:
            list_backward_rows[run.grid](
                *common, self.dq, dk, dv, entries, rows,
                *run.list_arguments(run.tables.ends), *strides, *run.sizes(), run.blocks,
                *run.list_sizes(), **run.constants(), **run.options("rows"),
            )  # fmt: skip
            shared = self._keys(common, strides, by_key and not shape.tile) if shape.held and not probe else None
        if entries is not None:
            per = shape.blocks_of_tile
            return entries.view(batch, bundles, tiles, per, slots, parts).sum((3, 5)), rows
        return shared, rows

    def _keys(self, common: tuple[Any, ...], strides: tuple[int, ...], by_key: bool) -> Tensor | None:
        run, shape = self.run_of, self.run_of.shape
        slots = run.lists.entries.shape[3]
        order = offsets = sums = None
        if shape.tile:
            blocks = -(-run.k.shape[2] // shape.block)
            known = run.lists.once(("readers", *run.tables.entries.shape, blocks), lambda: readers(run.tables, blocks))
            order, offsets = known
            count = blocks * (shape.padded // shape.block_k)
        else:
            count = -(-slots * shape.padded // shape.block_k)
            if by_key:
                sums = run.q.new_zeros(run.q.shape[0], run.bundles, slots * shape.padded, dtype=torch.float32)
        alone = shape.alone(run.q.shape[1], run.k.shape[1])
        list_backward_keys[(count, run.grid[1])](
            *common, self.dk, self.dv, sums, *run.list_arguments(order, offsets), *strides, *run.sizes(),
            *run.list_sizes(), **run.constants(ALONE=alone, BLOCK_Q=run.lanes_of_keys), **run.options("keys"),
        )  # fmt: skip
        if sums is None:
            return None
        return sums.view(*sums.shape[:2], 1, slots, shape.padded).sum(-1)


def _lengths(bounds: Bounds) -> tuple[Tensor, Tensor, Tensor]:
    """int32, contiguous: queries [B], keys [B], and the two lengths that the pattern knows, [B, 2]."""
    known = [bounds.lengths.get(name, bounds.lengths.get("n")) for name in ("nq", "nk")]
    assert known[0] is not None and known[1] is not None
    both = torch.stack([known[0], known[1]], -1)
    return bounds.queries.int().contiguous(), bounds.keys.int().contiguous(), both.int().contiguous()


def strides_of(**tensors: Tensor) -> tuple[int, ...]:
    return tuple(stride for tensor in tensors.values() for stride in tensor.stride())
