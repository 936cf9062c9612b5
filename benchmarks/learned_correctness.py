"""A layer with learned terms under one engine against the float64 reference, with the same selections.

Selectors are as they start: which pairs a layer reads is theirs to say, that it reads these and no others, forward and
backward, is what is judged. By the norm of the error over that of what should be.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

import patternc as pc
from patternc.compiler.relations.settle import opens, pooled
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Inputs

ALLOWED = {torch.float32: 1e-4, torch.bfloat16: 1e-2, torch.float16: 2e-3}
"""Of the norm: operands in 8 or 11 bits, or split in three products of tensor cores."""


def learns(pattern: pc.Pattern) -> bool:
    return bool(opens(pattern.bound.union)) or pooled(pattern.bound.union)


def judge(pattern: pc.Pattern, engine: str, device: str, dtype: torch.dtype, head_dim: int, n: int) -> dict[str, Any]:
    """As ``correctness.judge``: shares of what is allowed of out, dq, dk and dv. Raises PatternError."""
    sizes = {"heads": 4, "kv_heads": 2, "head_dim": head_dim, "device": device}
    torch.manual_seed(0)
    mine = pc.compile(pattern, **sizes, dtype=dtype, engine=engine)
    exact = pc.compile(pattern, **sizes, dtype=torch.float64, engine="reference")
    cross = pattern.direction is Direction.CROSS
    shapes = [(2, 4, n, head_dim), (2, 2, n, head_dim), (2, 2, n, head_dim), (2, 4, n, head_dim)]
    *tensors, grad = (torch.randn(shape, device=device).to(dtype) for shape in shapes)
    hidden = torch.randn(2, n, 4 * head_dim, device=device).to(dtype)

    def inputs(q: Tensor, k: Tensor) -> Inputs:
        x = hidden.to(q.dtype)
        return Inputs.cross(x, x, q, k) if cross else Inputs.self_attention(x, q, k)

    with torch.no_grad():
        chosen = mine.select(inputs(*tensors[:2]), *tensors[1:])
    found, want = (
        _results(layer, tensors, grad, inputs, selections)
        for layer, selections in ((mine, chosen), (exact, _widened(chosen)))
    )
    shares = {name: _share(found[name], want[name], dtype) for name in want}
    wrong = [name for name, share in shares.items() if not share <= 1]
    more = {"wrong": f"{wrong[0]} is off by {shares[wrong[0]]:.3g} times what is allowed"} if wrong else {}
    return {"engine": engine, "calls": {"whole": shares | more}}


def _results(layer: Any, tensors: list[Tensor], grad: Tensor, inputs: Any, selections: Any) -> dict[str, Tensor]:
    leaves = [x.to(layer.dtype).requires_grad_() for x in tensors]
    with torch.no_grad():
        given = inputs(*leaves[:2])
    out = layer(*leaves, inputs=given, selections=selections)
    gradients = torch.autograd.grad(out, leaves, grad.to(out.dtype))
    return dict(zip(("out", "dq", "dk", "dv"), (out.detach(), *gradients), strict=True))


def _widened(selections: Mapping[str, Any]) -> dict[str, Any]:
    """The same in float64."""
    return {
        name: replace(
            one,
            **{
                each.name: value.double()
                for each in fields(one)
                if isinstance(value := getattr(one, each.name), Tensor) and value.is_floating_point()
            },
        )
        for name, one in selections.items()
    }


def _share(found: Tensor, want: Tensor, dtype: torch.dtype) -> float:
    error = (found.double() - want.double()).norm() / want.double().norm().clamp_min(1e-30)
    return float(error) / ALLOWED[dtype]
