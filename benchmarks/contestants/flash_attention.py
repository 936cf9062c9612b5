"""The flash-attn package: its sliding window, forward, backward and with a cache (``flash_attn_func``).

Version 3 for Hopper (``flash_attn_interface``) where it is installed, else version 2 (``flash_attn``).
"""

from __future__ import annotations

from importlib import import_module

import torch
from cases import Case
from torch import Tensor

from patternc.runtime.bench.inputs import Inputs

from .contestant import CannotRun, Prepared
from .installed import why_not


class FlashAttention:
    name = "flash-attn"

    def available(self, device: str, dtype: torch.dtype) -> str | None:
        if device != "cuda" or dtype == torch.float32:
            return "its kernels compute float16 and bfloat16 on a GPU"
        return None if why_not("flash_attn_interface") is None else why_not("flash_attn")

    def computes(self, case: Case) -> Case:
        return case

    def prepare(self, case: Case, inputs: Inputs) -> Prepared:
        if case.kind not in ("window", "dense"):
            raise CannotRun("it has a window, and no other pattern")
        module = "flash_attn_interface" if why_not("flash_attn_interface") is None else "flash_attn"
        kernel = import_module(module).flash_attn_func
        # Keys i - left .. i, both ends included, of the query that stands at the end of the keys.
        window = (case.numbers["w"] - 1, 0) if case.kind == "window" else (-1, -1)

        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            found = kernel(*(x.transpose(1, 2) for x in (q, k, v)), causal=True, window_size=window)
            out: Tensor = found[0] if isinstance(found, tuple) else found
            return out.transpose(1, 2)

        return Prepared(attend, inputs, attend, facts={"module": module})
