"""FlexAttention at its best known: kernel and mask creation compiled, static shapes, the mask made once.

``mask`` makes the block mask again, compiled too: a mask that serves many layers is paid once, one that depends on the
data is paid every time, so that both are told. A step of decoding has a mask of its own, with one query.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch
from cases import BOTH, DECODE, FLEX, FORWARD, Case
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from patternc.runtime.bench.clock import synchronise
from patternc.runtime.bench.inputs import Inputs, forward

from .contestant import Prepared

MASK, STEP_MASK = "mask", "mask, one query"


class Flex:
    name = FLEX

    def available(self, device: str, dtype: torch.dtype) -> str | None:
        return None

    def computes(self, case: Case) -> Case:
        return case

    def prepare(self, case: Case, inputs: Inputs) -> Prepared:
        n, device = inputs.n, inputs.device
        begin = time.perf_counter()
        # Patterns share the code that is compiled: with torch's default limit the last ones would run uncompiled.
        torch._dynamo.config.recompile_limit = 256
        make = _maker(case, n, device, rows=n)
        mask = make()
        attend = _attend(mask)
        forward(attend, inputs)()
        synchronise(device)
        facts = {"blocks": blocks(mask), "compile_seconds": time.perf_counter() - begin}
        # On a CPU FlexAttention has no backward: it refuses inputs that require gradients.
        missing = {BOTH: "FlexAttention has no backward on a CPU"} if device == "cpu" else {}
        if not case.causal:
            return Prepared(
                attend, inputs, missing=missing, extra={MASK: make}, before={FORWARD: MASK, BOTH: MASK}, facts=facts
            )
        make_step = _maker(case, n, device, rows=1)
        extra = {MASK: make, STEP_MASK: make_step}
        before = {FORWARD: MASK, BOTH: MASK, DECODE: STEP_MASK}
        step = _attend(make_step())
        return Prepared(attend, inputs, step, missing=missing, extra=extra, before=before, facts=facts)


def _maker(case: Case, n: int, device: str, rows: int) -> Callable[[], BlockMask]:
    """Makes the mask of the last ``rows`` queries. That of one query is made without compiling: it has n pairs, and on
    a CPU the compiler of torch 2.13 writes C++ for it that no compiler takes."""
    formula = case.mask(n, device)
    first = n - rows

    def predicate(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return formula(query + first, key)

    build = torch.compile(create_block_mask, dynamic=False) if rows > 1 else create_block_mask
    return lambda: build(predicate, None, None, rows, n, device=device, BLOCK_SIZE=case.block)


def _attend(mask: BlockMask) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    kernel: Any = torch.compile(flex_attention, dynamic=False)
    return lambda q, k, v: kernel(q, k, v, block_mask=mask)


def blocks(mask: BlockMask) -> int:
    """Blocks that it computes, of one head."""
    full = mask.full_kv_num_blocks
    return int(mask.kv_num_blocks.sum()) + (int(full.sum()) if full is not None else 0)
