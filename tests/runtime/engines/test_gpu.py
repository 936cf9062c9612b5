"""Every stock pattern, scaled down, on a GPU against the reference. docs/gpu.md says how."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
import torch
from learned_layers import data, layer, pattern
from stock import agree, compiled, error, name_of, results, subjects, tensors

import patternc as pc
from patternc.runtime.engines.dense import Flash
from patternc.runtime.learned.bind import Tokens, bind_lists
from patternc.runtime.selectors import Inputs

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA or ROCm device here"),
]

N = 700  # tiles of 128, the last ragged


def on_gpu(inputs):
    return [x.detach().cuda().requires_grad_() for x in inputs]


@pytest.mark.parametrize("head_dim", [64, 128])
@pytest.mark.parametrize("subject", subjects(), ids=name_of)
def test_single_precision_equals_the_reference(subject, head_dim):
    inputs = tensors(N, head_dim=head_dim, batch=2)
    spans = torch.tensor([[0, N], [37, N - 5]], dtype=torch.int32)
    exact = results(compiled(subject, "reference", head_dim=head_dim), inputs, spans=spans)
    found = results(compiled(subject, "triton", head_dim=head_dim), on_gpu(inputs), spans=spans.cuda())
    agree([x.cpu() for x in found], exact, budget=2e-4)


@pytest.mark.parametrize("subject", subjects(), ids=name_of)
def test_low_precision_is_as_good_as_compose(subject):
    """Against the exact result for the rounded inputs: at most twice the compose engine's error, plus one rounding."""
    inputs = tensors(N, head_dim=128, dtype=torch.bfloat16)
    exact = results(compiled(subject, "reference", head_dim=128, dtype=torch.float64), inputs)
    low = results(compiled(subject, "compose", head_dim=128, dtype=torch.bfloat16), inputs)
    budget = [2 * error(a, b) + 2**-8 for a, b in zip(low, exact, strict=True)]
    found = results(compiled(subject, "triton", head_dim=128, dtype=torch.bfloat16), on_gpu(inputs))
    agree([x.cpu() for x in found], exact, budget=budget)


@pytest.mark.parametrize("behind", [False, True], ids=["heads first", "tokens first"])
@pytest.mark.parametrize(("rows", "group"), [(N, 1), (N, 4), (1, 1), (1, 4)])
def test_auto_takes_dense_attention_where_the_pattern_is_everything(rows, group, behind):
    """Without a gradient of lse, which dense attention has not: against what the kernels of this engine compute."""
    pattern = pc.load("library:sliding_window")["sliding_window"].bind(w=N)
    draw = torch.Generator().manual_seed(0)
    shapes = [(2, rows, 4, 64), *[(2, N, 4 // group, 64)] * 2]
    given = [torch.randn(shape, generator=draw).to("cuda", torch.bfloat16).transpose(1, 2) for shape in shapes]
    given = [(x if behind else x.contiguous()).requires_grad_() for x in given]
    weight = torch.linspace(-1, 1, given[0].numel(), device="cuda").view(given[0].shape)
    found = []
    for engine in ("auto", "triton"):
        program = pc.compile(pattern, head_dim=64, dtype=torch.bfloat16, engine=engine, device="cuda")
        assert program.dense_at(N) == (engine == "auto")
        out, lse = program(*given, return_lse=True, query_offset=N - rows)
        found.append((out, lse, *torch.autograd.grad((out.float() * weight).sum(), given)))
    assert Flash().takes(*given, causal=rows > 1)
    for mine, theirs in zip(*found, strict=True):
        assert mine.shape == theirs.shape and error(mine, theirs) <= 2**-6


STEPS = {
    "topk": ("local(3) | columns(s)", "learn s = topk(k = 3)"),
    "topk_blocks": ("local(3) | select(s)", "learn s = topk_blocks(k = 3, block = 16)"),
    "topk_keys": ("select(s)", "learn s = topk_keys(k = 4, tile = 16)"),
    "importance": ("local(3) | columns(s)", "learn s = importance()"),
    "granularity": ("refine(s)", "learn s = granularity(block = 16)"),
    "gates, summaries and tables": ("self | gated local(3) | gated pooled(4) | random(2, 16)", ""),
}


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
@pytest.mark.parametrize(("name", "random"), [*((name, None) for name in STEPS), ("topk_keys", 3), ("granularity", 3)])
def test_selections_and_lists_do_not_stop_the_stream(name, random, training):
    """CUDA itself raises where the host would wait. On any machine: selectors/test_no_look.py."""
    step, learn = STEPS[name]
    one = layer(pattern(step, "causal", learn), random=random).cuda().train(training)
    given = data(100)
    q, k, hidden = (x.detach().cuda().requires_grad_(training) for x in (given.q, given.k, given.hidden))
    inputs = Inputs.self_attention(hidden, q, k, torch.tensor([100, 61]).cuda())
    tokens = Tokens(k, k, inputs.query.counts(), inputs.key.counts())

    def lists():
        return bind_lists(one.program.parts, one.select(inputs, k, k), tokens, 0, 100)

    lists()  # libraries that start at their first call may wait
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = lists()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert found and all(each.entries.is_cuda for each in found)


def test_a_probe_takes_no_part():
    """out and the gradients of q, k and v are those without it, to the last bit; that of its gate is compose's."""
    subject = pattern("local(5) | select(s)", "causal", "learn s = topk_blocks(k = 3, block = 16)")
    plain, kernels = (layer(subject, engine, dtype=torch.float32) for engine in ("compose", "triton"))
    given = data(80, dtype=torch.float32)
    grad = torch.randn_like(given.q)
    [selection] = plain.select(given.inputs(), given.k, given.v).values()
    shape = (*selection.blocks.shape[:3], 1)
    probed = torch.where((selection.blocks == 1).any(-1, keepdim=True), -1, 1).expand(shape)

    def run(each, device, probe):
        q, k, v = (x.detach().to(device).requires_grad_() for x in (given.q, given.k, given.v))
        gate = torch.zeros(shape, device=device, requires_grad=True)
        held = {part.name: getattr(selection, part.name) for part in fields(selection)}
        chosen = replace(
            selection, **{name: x.detach().to(device) for name, x in held.items() if isinstance(x, torch.Tensor)}
        )
        if probe:
            chosen = replace(chosen, probed=probed.to(device), probe_gate=gate)
        inputs = Inputs.self_attention(given.hidden.to(device), q.detach(), k.detach(), None)
        out = each.to(device)(q, k, v, inputs=inputs, selections={"s": chosen})
        return [out, *torch.autograd.grad((out * grad.to(device)).sum(), (q, k, v, gate) if probe else (q, k, v))]

    *found, slope = run(kernels, "cuda", probe=True)
    for mine, wanted in zip(found, run(kernels, "cuda", probe=False), strict=True):
        assert torch.equal(mine, wanted)
    wanted = run(plain, "cpu", probe=True)[-1]
    assert wanted.abs().max() > 0.1
    torch.testing.assert_close(slope.cpu(), wanted, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_model_with_a_cache_that_drops_keys_goes_on_as_with_all():
    transformers = pytest.importorskip("transformers")
    from runtime_models import make

    model, tokens = make("llama").cuda(), torch.randint(3, 97, (2, 120), device="cuda")
    found = []
    with pc.attach(model, pc.load("library:streaming")["streaming"].bind(sink=3, w=20)) as handle:
        for cache in (transformers.DynamicCache(), handle.cache()):
            logits = [model(tokens[:, :90], past_key_values=cache).logits]
            logits += [model(tokens[:, at : at + 1], past_key_values=cache).logits for at in range(90, 120)]
            found.append(torch.cat(logits, 1))
    assert cache.layers[0].keys.shape[2] < 120
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)
