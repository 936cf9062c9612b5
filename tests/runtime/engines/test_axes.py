"""The compose engine over the rows of a grid, some of which are left out: against the reference in float64."""

from __future__ import annotations

import pytest
import torch
from tiled_rows import pattern, program
from torch import Tensor

from patternc.runtime.engines.compose import ComposeEngine
from patternc.runtime.engines.engine import Call, Meaning
from patternc.runtime.engines.reference import ReferenceEngine


@pytest.mark.parametrize("n", [270, 600])
@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_outputs_and_gradients_are_those_of_the_reference(direction: str, n: int) -> None:
    bound = pattern(direction).bound
    draw = torch.Generator().manual_seed(n)
    q, grad = torch.randn(2, 1, 4, n, 16, generator=draw).double()
    k, v = torch.randn(2, 1, 2, n, 16, generator=draw).double()
    slope, call = torch.randn(1, 4, n, generator=draw), Call(0.3)

    def run(engine: ComposeEngine | ReferenceEngine, subject: object, dtype: torch.dtype) -> list[Tensor]:
        tensors = [x.to(dtype) for x in (q, k, v)]
        out, lse = engine.forward(subject, *tensors, call)  # type: ignore[arg-type]
        more = engine.backward(subject, grad.to(dtype), slope.to(lse.dtype), *tensors, out, lse, call)  # type: ignore[arg-type]
        return [out, lse, *more]

    found = run(ComposeEngine(), program(direction), torch.float32)
    expected = run(ReferenceEngine(), Meaning(bound.union, bound.direction), torch.float64)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=0, atol=2e-5)
