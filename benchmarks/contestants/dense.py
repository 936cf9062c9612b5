"""torch's scaled_dot_product_attention without a pattern: what a model runs today."""

from __future__ import annotations

import torch
from cases import DENSE, Case, without_pattern
from torch import Tensor
from torch.nn import functional as F

from patternc.runtime.bench.inputs import Inputs

from .contestant import Prepared


class Dense:
    name = DENSE

    def available(self, device: str, dtype: torch.dtype) -> str | None:
        return None

    def computes(self, case: Case) -> Case:
        return without_pattern(case)

    def prepare(self, case: Case, inputs: Inputs) -> Prepared:
        def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(q, k, v, is_causal=case.causal)

        def step(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return F.scaled_dot_product_attention(q, k, v)

        return Prepared(attend, inputs, step if case.causal else None)
