"""Transforms of torch.func: right beside a formula of torch's own operations, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, func

import patternc as pc
from patternc.runtime.errors import ArgumentError

N, WINDOW = 11, 4


@pytest.fixture(params=["reference", "compose"])
def program(request):
    bound = pc.loads(f"pattern p causal {{ step local({WINDOW}) }}")["p"].bind()
    return pc.compile(bound, head_dim=4, engine=request.param, dtype=torch.float64)


def formula(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    distance = torch.arange(N)[:, None] - torch.arange(N)
    scores = (q @ k.mT / 2).masked_fill((distance < 0) | (distance >= WINDOW), -1e9)
    return scores.softmax(-1) @ v


def tensors() -> list[Tensor]:
    return list(torch.randn(3, 1, 2, N, 4, dtype=torch.float64))


def two(x: Tensor) -> Tensor:
    return torch.stack([x, 2 * x], dim=1)


def loss(run):
    return lambda *x: run(*x).sin().sum()


def batched_gradient(run, q, k, v):
    """The vmap of torch.autograd is another one than torch.func's."""
    leaf = q.clone().requires_grad_()
    return torch.autograd.grad(run(leaf, k, v), leaf, torch.stack([q, k]), is_grads_batched=True)


RIGHT = {
    "grad": lambda run, q, k, v: func.grad(loss(run), argnums=(0, 1, 2))(q, k, v),
    "vjp": lambda run, q, k, v: func.vjp(run, q, k, v)[1](q),
    "jacrev": lambda run, q, k, v: func.jacrev(run)(q, k, v),
    "vmap": lambda run, q, k, v: func.vmap(run, in_dims=(1, None, None))(two(q), k, v),
    "vmap of grad": lambda run, q, k, v: func.vmap(func.grad(loss(run)), in_dims=(1, None, 1))(two(q), k, two(v)),
    "grad of vmap": lambda run, q, k, v: func.grad(loss(func.vmap(run, in_dims=(1, None, None))))(two(q), k, v),
    "functionalize": lambda run, q, k, v: func.functionalize(run)(q, k, v),
    "batched gradients": batched_gradient,
    "compiled grad": lambda run, q, k, v: torch.compile(func.grad(loss(run)), backend="aot_eager")(q, k, v),
}
REFUSED = {
    "jvp": lambda run, q, k, v: func.jvp(lambda q: run(q, k, v), (q,), (q,)),
    "jvp of vmap": lambda run, q, k, v: func.jvp(lambda q: func.vmap(run)(*map(two, (q, k, v))), (q,), (q,)),
    "jacfwd": lambda run, q, k, v: func.jacfwd(run)(q, k, v),
    "linearize": lambda run, q, k, v: func.linearize(lambda q: run(q, k, v), q)[1](q),
    "compiled jvp": lambda run, *x: torch.compile(lambda q: func.jvp(lambda q: run(q, *x[1:]), (q,), (q,)))(x[0]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right(program, name):
    torch.compiler.reset()
    x = tensors()
    found, wanted = RIGHT[name](program, *x), RIGHT[name](formula, *x)
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(program, name):
    """A tangent of zeros was returned."""
    torch.compiler.reset()
    with pytest.raises(ArgumentError, match=r"argument 'q': a dual tensor .* torch.func's grad, vjp or jacrev"):
        REFUSED[name](program, *tensors())


def test_a_gradient_in_a_transform_is_not_differentiated_again(program):
    q, k, v = tensors()
    inner = func.grad(lambda q: loss(program)(q, k, v))
    with pytest.raises(RuntimeError, match="not differentiated again"):
        func.grad(lambda q: inner(q).sum())(q)


def test_padding_packing_and_lse_pass_through(program):
    q, k, v = tensors()
    borders = torch.tensor([0, 3, 3, N], dtype=torch.int32)

    def total(q, k, v):
        out, lse = program(q, k, v, documents=borders, softcap=2.0, return_lse=True)
        return (out * out).sum() + lse.sum(), lse.sum()

    leaves = [x.clone().requires_grad_() for x in (q, k, v)]
    for at in range(2):
        wanted = torch.autograd.grad(total(*leaves)[at], leaves)
        found = func.grad(lambda *x, at=at: total(*x)[at], argnums=(0, 1, 2))(q, k, v)
        torch.testing.assert_close(found, wanted)
