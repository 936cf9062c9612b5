"""The patterns of benchmarks/attention.py: the stock pattern, and the same mask written a second time by hand.

The formulas are written from the papers for FlexAttention's ``mask_mod``, without a look at what the compiler makes
of the pattern. They are also the oracle: the sampled rows of every output are computed from them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

import patternc as pc

Mask = Callable[[Tensor, Tensor], Tensor]
"""(query positions, key positions), integer tensors that broadcast -> bool."""


@dataclass(frozen=True)
class Case:
    """``targets``: how many times faster ours is to be, per (pass, rival), where they were set (``is_reference``)."""

    name: str
    stock: str
    parameters: dict[str, int]
    mask: Mask
    targets: dict[tuple[str, str], float] = field(default_factory=dict)

    def pattern(self) -> pc.Pattern:
        return pc.load(f"library:{self.stock}")[self.stock].bind(**self.parameters)

    def mask_mod(self) -> Callable[..., Any]:
        """The mask as FlexAttention calls it."""
        mask = self.mask

        def predicate(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return mask(query, key)

        return predicate


def _dense(i: Tensor, j: Tensor) -> Tensor:
    return j <= i


def _strided(i: Tensor, j: Tensor) -> Tensor:
    return (j <= i) & ((i - j < 128) | ((i - j) % 128 == 0))


def _fixed(i: Tensor, j: Tensor) -> Tensor:
    return (j <= i) & ((i // 128 == j // 128) | (j % 128 >= 120))


def _window(i: Tensor, j: Tensor) -> Tensor:
    return (j <= i) & (i - j < 1024)


def _streaming(i: Tensor, j: Tensor) -> Tensor:
    return (j <= i) & ((j < 4) | (i - j < 1024))


CASES = (
    Case(
        "local(128) | strided(128)",
        "strided_factorized",
        {"l": 128},
        _strided,
        {("forward", "dense"): 7, ("forward", "flex"): 30, ("forward+backward", "dense"): 4},
    ),
    Case(
        "fixed_factorized(128, 8)",
        "fixed_factorized",
        {"l": 128, "c": 8},
        _fixed,
        {("forward", "dense"): 2, ("forward", "flex"): 15},
    ),
    Case("sliding_window(1024)", "sliding_window", {"w": 1024}, _window),
    Case("streaming(4, 1024)", "streaming", {"sink": 4, "w": 1024}, _streaming),
    Case("dense", "dense", {}, _dense),
)


def is_reference(settings: dict[str, Any]) -> bool:
    """Whether this is the configuration for which the targets were set."""
    wanted = {"device": "cpu", "dtype": "float32", "batch": 1, "heads": 4, "head_dim": 64, "n": 16384}
    return all(settings[name] == value for name, value in wanted.items())
