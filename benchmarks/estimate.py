"""What a call would take at a length that has not been tried, from the lengths that have."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TypeAlias

Key: TypeAlias = tuple[str, str, str]
"""(pattern, pass, contestant)"""


@dataclass
class History:
    """Medians of earlier lengths, by what was timed."""

    seconds: dict[Key, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, key: Key, n: int, seconds: float) -> None:
        self.seconds[key].append((n, seconds))

    def estimate(self, key: Key, n: int) -> float | None:
        """By the exponent between the two longest lengths, taken to be from 1 to 2; None where there is no length.
        From one length alone the least that it could be, with exponent 1: nothing is left out on a guess."""
        known = sorted(self.seconds.get(key, ()))
        if not known:
            return None
        (m, seconds), exponent = known[-1], 1.0
        if len(known) > 1:
            shorter, before = known[-2]
            exponent = min(2.0, max(1.0, math.log(seconds / before) / math.log(m / shorter)))
        return seconds * (n / m) ** exponent


def tensor_bytes(batch: int, heads: int, n: int, head_dim: int, itemsize: int) -> int:
    return batch * heads * n * head_dim * itemsize


HELD, FORWARD_TENSORS, BACKWARD_TENSORS = 4, 3, 7
"""Tensors of the shape of q: q, k, v and the gradient of out are held throughout; a forward pass has its output and two
more; a backward pass has the output, three gradients and three more."""
