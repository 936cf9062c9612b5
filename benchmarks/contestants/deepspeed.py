"""DeepSpeed's sparse attention: its own layouts under its own kernels (``deepspeed.ops.sparse_attention``).

Its layouts are blocks without a mask inside, so that the patterns which it can compute exactly are bidirectional ones
of its own. Its kernels were written for Triton 1.0 and GPUs up to A100, and on newer ones may say so.
"""

from __future__ import annotations

from importlib import import_module

import torch
from cases import DECODE, Case
from torch import Tensor

from patternc.runtime.bench.inputs import Inputs

from .contestant import CannotRun, Prepared
from .installed import why_not


class DeepSpeed:
    name = "DeepSpeed"

    def available(self, device: str, dtype: torch.dtype) -> str | None:
        if device != "cuda" or dtype != torch.float16:
            return "its kernels compute float16 on a GPU"
        return why_not("deepspeed.ops.sparse_attention")

    def computes(self, case: Case) -> Case:
        return case

    def prepare(self, case: Case, inputs: Inputs) -> Prepared:
        if case.kind != "block_longformer":
            raise CannotRun("not one of its layouts without a mask inside")
        sparse = import_module("deepspeed.ops.sparse_attention")
        layout = sparse.BSLongformerSparsityConfig(
            num_heads=inputs.q.shape[1],
            block=case.numbers["block"],
            num_sliding_window_blocks=case.numbers["window"],
            global_block_indices=[0],
            attention="bidirectional",
        )
        # Its cache of look-up tables knows the length alone, and would serve those of another layout.
        sparse.SparseSelfAttention.ops.clear()
        module = sparse.SparseSelfAttention(layout, max_seq_length=inputs.n).to(inputs.device)

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            out: Tensor = module(q, k, v)
            return out

        return Prepared(attend, inputs, missing={DECODE: "it has as many queries as keys"})
