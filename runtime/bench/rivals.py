"""What a pattern is timed against: dense attention that knows no pattern, and FlexAttention that knows its formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from ...compiler.pattern import Pattern
from ...compiler.relations.integer import evaluate
from ...compiler.relations.membership import closed_form
from ...patterns_dsl.syntax import Direction
from .inputs import Attend, Inputs, forward

FORWARD, BOTH = "forward", "forward+backward"


@dataclass(frozen=True)
class Rival:
    """``missing`` tells of a pass that it does not have why not."""

    attend: Attend
    missing: Mapping[str, str] = field(default_factory=dict)


def dense(pattern: Pattern, inputs: Inputs) -> Rival:
    """torch's scaled_dot_product_attention over every pair, of a causal pattern over every earlier one."""
    causal = pattern.direction is Direction.CAUSAL
    return Rival(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal))


def flex(pattern: Pattern, inputs: Inputs) -> Rival:
    """FlexAttention, kernel and block mask compiled, the mask made once and not timed; its ``mask_mod`` is the closed
    form of the pattern. Raises what torch raises where it cannot be compiled."""
    predicate, causal = closed_form(pattern.bound.union, pattern.direction), pattern.direction is Direction.CAUSAL
    n = inputs.n

    def mask_mod(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        kept: Tensor = evaluate(predicate, {"i": query, "j": key, "n": n}, torch) & (query >= 0)
        return kept & (key <= query) if causal else kept

    mask = torch.compile(create_block_mask, dynamic=False)(mask_mod, None, None, n, n, device=inputs.device)
    kernel: Any = torch.compile(flex_attention, dynamic=False)

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        found: Tensor = kernel(q, k, v, block_mask=mask)
        return found

    forward(attend, inputs)()  # compiles
    return Rival(attend, {BOTH: "FlexAttention has no backward on a CPU"} if inputs.device == "cpu" else {})


RIVALS: Mapping[str, Callable[[Pattern, Inputs], Rival]] = MappingProxyType({"dense": dense, "flex": flex})
