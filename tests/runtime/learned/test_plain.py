"""What looks into a call: torch.compile leaves it out of its graphs, others are refused by name, and nothing is
differentiated twice."""

from __future__ import annotations

import pytest
import torch
from learned_layers import WIDTH, data, layer, pattern
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors import soft_topk
from patternc.runtime.training import DenseAttention, distillation_loss

SUBJECTS = {
    "blocks": ("self | select(s)", "learn s = topk_blocks(k = 2, block = 4, forced = [diagonal])"),
    "keys": ("self | select(s)", "learn s = topk_keys(k = 3, tile = 4)"),
    "levels": ("refine(s)", "learn s = granularity(block = 4)"),
    "columns": ("local(2) | columns(s)", "learn s = importance()"),
    "gates": ("self | gated local(4)", ""),
}


def subject(name):
    step, learn = SUBJECTS[name]
    return layer(pattern(step, learn=learn))


class Called(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, q, k, v, hidden):
        return self.layer(q, k, v, hidden=hidden)


def detached(given):
    return tuple(x.detach() for x in given.leaves)


@pytest.mark.parametrize("name", SUBJECTS)
def test_compiled_it_runs_eagerly(name):
    one, given = subject(name), data(21)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiled = torch.compile(one, backend="eager")
    for n in (21, 17, 9):  # graphs of its parts would be made anew for each length
        q, k, v, hidden = (x[..., :n, :] for x in given.leaves)
        torch.testing.assert_close(compiled(q, k, v, hidden=hidden), one(q, k, v, hidden=hidden), atol=0, rtol=0)
    assert not torch._dynamo.utils.counters["stats"].get("unique_graphs")


@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("write", [torch.export.export, torch.jit.trace, lambda f, x: make_fx(f)(*x)])
def test_no_graph_of_it_is_written_down(name, write):
    with pytest.raises(ArgumentError, match=r"written down.*`handle.removed\(\)`.*`patternc freeze`"):
        write(Called(subject(name)).eval(), detached(data(12)))


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("transform", ["grad", "vjp", "jacrev", "jvp", "vmap", "parameters"])
def test_transforms_are_refused_by_name(name, transform):
    one, (q, k, v, hidden) = subject(name), detached(data(12))

    def loss(q):
        return one(q, k, v, hidden=hidden).sum()

    def of_parameters(parameters):
        return torch.func.functional_call(one, parameters, (q, k, v), {"hidden": hidden}).sum()

    calls = {
        "grad": lambda: torch.func.grad(loss)(q),
        "vjp": lambda: torch.func.vjp(loss, q),
        "jacrev": lambda: torch.func.jacrev(loss)(q),
        "jvp": lambda: torch.func.jvp(loss, (q,), (q,)),
        "vmap": lambda: torch.func.vmap(loss)(q[None]),
        "parameters": lambda: torch.func.grad(of_parameters)(dict(one.named_parameters())),
    }
    with pytest.raises(ArgumentError, match=r"a transform of torch.func.*; use torch.autograd.grad"):
        calls[transform]()


def test_forward_mode_is_refused_by_name():
    one, (q, k, v, hidden) = subject("blocks"), detached(data(12))
    with forward_ad.dual_level():
        one(q, k, v, hidden=hidden)  # nothing has a tangent
        for place in range(4):
            given = [q, k, v, hidden]
            given[place] = forward_ad.make_dual(given[place], torch.ones_like(given[place]))
            with pytest.raises(ArgumentError, match=r"forward-mode differentiation\); use torch.autograd.grad"):
                one(*given[:3], hidden=given[3])


def test_a_mapped_backward_pass_is_refused_by_name():
    one, given = subject("blocks"), data(12)
    q, k, v, hidden = given.leaves
    out = one(q, k, v, hidden=hidden)
    with pytest.raises(ArgumentError, match=r"a transform of torch\.func"):
        torch.autograd.grad(out, q, torch.ones(3, *out.shape, dtype=out.dtype), is_grads_batched=True)


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_second_derivative_is_an_error(name):
    """Also where the gradient that comes in is a constant, and where q is in the loss elsewhere."""
    one, given = subject(name), data(12)
    q, k, v, hidden = given.leaves
    for by in (q, *(each for each in one.parameters() if each.requires_grad)):
        loss = one(q, k, v, hidden=hidden).sum() + by.pow(3).sum()
        [slope] = torch.autograd.grad(loss, by, create_graph=True, retain_graph=True)
        [alone] = torch.autograd.grad(one(q, k, v, hidden=hidden).sum() + by.pow(3).sum(), by)
        torch.testing.assert_close(slope, alone, atol=0, rtol=0)
        with pytest.raises(RuntimeError, match="not differentiated again"):
            torch.autograd.grad(slope.pow(2).sum(), by)


def test_a_graph_of_gradients_is_made_under_checkpointing_too():
    one, given = subject("keys"), data(12)
    q, k, v, hidden = given.leaves
    [wanted] = torch.autograd.grad(one(q, k, v, hidden=hidden).sum(), q)
    loss = checkpoint(lambda q: one(q, k, v, hidden=hidden).sum(), q, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(loss, q, create_graph=True)[0], wanted, atol=0, rtol=0)


@pytest.mark.parametrize("relax", ["soft_topk", "lapsum", "sparsek"])
def test_a_soft_choice_has_no_second_derivative(relax):
    scores = torch.randn(9, dtype=torch.float64, requires_grad=True)
    [slope] = torch.autograd.grad(
        soft_topk(scores, 3.5, relax=relax)[0] + scores.pow(3).sum(), scores, create_graph=True
    )
    with pytest.raises(RuntimeError, match="not differentiated again"):
        torch.autograd.grad(slope.pow(2).sum(), scores)


def test_what_unimportant_tokens_lose_has_none_either():
    one, given = subject("columns"), data(12)
    dense = DenseAttention(given.q, given.k, given.inputs(), Direction.CAUSAL)
    selector = one.learned.selectors["s"]
    weight = selector.scorer.columns.weight
    assert weight.shape == (1, WIDTH)
    [slope] = torch.autograd.grad(distillation_loss(selector, dense), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="not differentiated again"):
        torch.autograd.grad(slope.pow(2).sum(), weight)
