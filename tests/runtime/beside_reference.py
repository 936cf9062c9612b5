"""The compose engine beside the reference in float64, of one program: outputs, and the gradients of out and lse."""

from __future__ import annotations

import torch
from torch import Tensor

import patternc as pc
from patternc.compiler.passes.program import Program
from patternc.runtime.engines.compose.engine import ComposeEngine
from patternc.runtime.engines.engine import Call, Meaning
from patternc.runtime.engines.reference import ReferenceEngine


def agrees(subject: pc.Pattern, program: Program, n: int, rows: int, call: Call) -> None:
    """Of ``rows`` queries in groups of two heads against n keys, drawn from the seed ``rows``."""
    bound, draw = subject.bound, torch.Generator().manual_seed(rows)
    q, grad = torch.randn(2, 1, 4, rows, 16, generator=draw).double()
    k, v = torch.randn(2, 1, 2, n, 16, generator=draw).double()
    slope = torch.randn(1, 4, rows, generator=draw)

    def run(engine: ComposeEngine | ReferenceEngine, one: object, dtype: torch.dtype) -> list[Tensor]:
        tensors = [x.to(dtype) for x in (q, k, v)]
        out, lse = engine.forward(one, *tensors, call)  # type: ignore[arg-type]
        more = engine.backward(one, grad.to(dtype), slope.to(lse.dtype), *tensors, out, lse, call)  # type: ignore[arg-type]
        return [out, lse, *more]

    found = run(ComposeEngine(), program, torch.float32)
    expected = run(ReferenceEngine(), Meaning(bound.union, bound.direction), torch.float64)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine.double(), theirs.double(), rtol=0, atol=2e-5)
