"""What a learned layer is to a model: a module with arguments that are checked, padding that is nothing, training."""

from __future__ import annotations

import pytest
import torch
from learned_layers import HEAD_DIM, HEADS, KEY_HEADS, WIDTH, close, data, layer, pattern, same_layer, slopes
from torch.utils.checkpoint import checkpoint

import patternc as pc
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.runtime.errors import ArgumentError
from patternc.runtime.learned.attention import LearnedAttention
from patternc.runtime.selectors import Inputs, describe

LEARN = "learn hot = topk_blocks(k = 3, block = 4) learn few = importance(budget = 30%)"
STEP = "local(3) | select(hot) | columns(few) | gated strided(5) | pooled(4)"


@pytest.fixture
def learned():
    return layer(pattern(STEP, learn=LEARN))


def test_it_is_a_module_with_what_the_layer_learns(learned) -> None:
    assert isinstance(learned, LearnedAttention)
    names = {name.split(".")[2] for name, _ in learned.named_parameters() if "selectors" in name}
    assert names == {"hot", "few"}
    other = layer(pattern(STEP, learn=LEARN))
    given = data(20)
    before = other(given.q, given.k, given.v, hidden=given.hidden)
    other.load_state_dict(learned.state_dict())
    after = other(given.q, given.k, given.v, hidden=given.hidden)
    close(after, learned(given.q, given.k, given.v, hidden=given.hidden), 0.0)
    assert not torch.equal(before, after)
    assert "engine=compose" in repr(learned)


def test_what_was_selected_is_returned_and_nothing_is_kept(learned) -> None:
    given = data(20)
    before = dict(vars(learned))
    found = learned(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
    assert set(found.selections) == {"hot", "few", "gated strided(5)", "pooled(4)"}
    assert 0 < describe(found.selections["hot"]).density[0] < 1
    assert vars(learned) == before
    again = learned(given.q, given.k, given.v, selections=found.selections)
    close(again, found.out, 0.0)


def test_a_soft_penalty_on_the_density_reaches_the_scorer(learned) -> None:
    given = data(20)
    found = learned(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
    found.selections["few"].density.sum().backward()
    assert learned.learned.selectors["few"].scorer.columns.weight.grad.abs().sum() > 0


def test_every_gate_learns_from_a_loss(learned) -> None:
    given = data(24)
    grad = torch.randn_like(given.q)
    (learned(given.q, given.k, given.v, hidden=given.hidden) * grad).sum().backward()
    silent = [name for name, parameter in learned.named_parameters() if not bool(parameter.grad.abs().sum() > 0)]
    assert not silent


@pytest.mark.parametrize("engine", ["compose", "reference"])
def test_padding_is_nothing_whatever_it_holds(engine: str) -> None:
    learned = layer(pattern(STEP, learn=LEARN), engine)
    given, (start, end) = data(26, batch=1), (5, 22)
    spans = torch.tensor([[start, end]], dtype=torch.int32)
    grad = torch.randn_like(given.q)
    spoiled = []
    for x in given.leaves:
        x = x.detach().clone()
        x[..., :start, :] = torch.nan
        x[..., end:, :] = torch.inf
        spoiled.append(x.requires_grad_())
    q, k, v, hidden = spoiled
    found = learned(q, k, v, hidden=hidden, spans=spans, return_selections=True)
    alone = [x.detach()[..., start:end, :].clone().requires_grad_() for x in given.leaves]
    wanted = learned(*alone[:3], hidden=alone[3], return_selections=True)
    close(found.out[:, :, start:end], wanted.out, 1e-12)
    close(found.lse[..., start:end], wanted.lse, 1e-12)
    assert bool((found.out[:, :, :start] == 0).all() and (found.out[:, :, end:] == 0).all())
    assert bool(found.lse[..., :start].isneginf().all() and found.lse[..., end:].isneginf().all())
    loss = slopes(found, grad, spoiled), slopes(wanted, grad[:, :, start:end], alone)
    for mine, other in zip(*loss, strict=True):
        close(mine[..., start:end, :], other, 1e-10)
        assert bool((mine[..., :start, :] == 0).all() and (mine[..., end:, :] == 0).all())


def test_checkpointing_recomputes_the_same(learned) -> None:
    learned.train()
    given = data(30)
    grad = torch.randn_like(given.q)

    def run(*tensors):
        q, k, v, hidden = tensors
        return learned(q, k, v, hidden=hidden)

    found = []
    for again in (False, True):
        torch.manual_seed(3)
        out = checkpoint(run, *given.leaves, use_reentrant=False) if again else run(*given.leaves)
        found.append((out, *torch.autograd.grad((out * grad).sum(), (*given.leaves, *learned.parameters()))))
    for mine, wanted in zip(*found, strict=True):
        close(mine, wanted, 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_low_precision_is_as_near_as_its_rounding(dtype) -> None:
    learned = layer(pattern(STEP, learn=LEARN))
    given = data(40)
    with torch.no_grad():
        wanted = learned(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
        low = layer(pattern(STEP, learn=LEARN), dtype=torch.float32)
        low.dtype = dtype
        q, k, v = (x.to(dtype) for x in (given.q, given.k, given.v))
        found = low(q, k, v, selections=wanted.selections, return_selections=True)
    assert found.out.dtype == dtype and found.lse.dtype == torch.float32
    tolerance = 8 * torch.finfo(dtype).eps
    close(found.out.double(), wanted.out, tolerance)
    close(found.lse.double(), wanted.lse, tolerance)


def test_strides_do_not_matter(learned) -> None:
    given = data(18)
    wanted = learned(given.q, given.k, given.v, hidden=given.hidden)
    q, k, v = (x.detach().transpose(1, 2).contiguous().transpose(1, 2) for x in (given.q, given.k, given.v))
    close(learned(q, k, v, hidden=given.hidden), wanted, 1e-12)


def test_sinks_join_the_softmax(learned) -> None:
    given, sinks = data(18), torch.randn(HEADS, dtype=torch.float64)
    plain = learned(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
    found = learned(given.q, given.k, given.v, hidden=given.hidden, sinks=sinks, return_selections=True)
    close(found.lse, torch.logaddexp(plain.lse, sinks[:, None]), 1e-12)
    close(found.out, plain.out * (plain.lse - found.lse).exp()[..., None], 1e-12)


def test_sinks_are_in_no_softmax_of_a_query_that_does_not_exist() -> None:
    one, given = layer(pattern("local(3) | gated strided(4)")), data(9)
    sinks = torch.randn(HEADS, dtype=torch.float64)
    q, k, v, hidden = given.leaves
    lengths = given.inputs([9, 4])
    spans = torch.tensor([[0, 9], [0, 4]], dtype=torch.int32)
    by_length = one(q, k, v, inputs=lengths, sinks=sinks, return_selections=True)
    by_span = one(q, k, v, hidden=hidden, spans=spans, sinks=sinks, return_selections=True)
    close(by_length.lse, by_span.lse)
    assert by_length.lse[1, :, 4:].isneginf().all() and by_length.lse[1, :, :4].isfinite().all()
    last = one(q[:, :, 3:], k, v, inputs=lengths, query_offset=3, sinks=sinks, return_selections=True)
    close(last.lse, by_length.lse[:, :, 3:])


def test_a_control_has_nothing_to_train() -> None:
    learned = layer(pattern(STEP, learn=LEARN), random=7)
    assert not [name for name, parameter in learned.named_parameters() if parameter.requires_grad]
    given = data(20)
    first, second = (learned(given.q, given.k, given.v, hidden=given.hidden) for _ in range(2))
    close(first, second, 0.0)


def test_a_selection_may_have_any_name() -> None:
    text = "learn keys = topk_keys(k = 3) learn keys_ = importance() learn type = topk(k = 2)"
    learned = layer(pattern("select(keys) | columns(keys_) | columns(type)", learn=text))
    given = data(12)
    found = learned(given.q, given.k, given.v, hidden=given.hidden, return_selections=True)
    assert set(found.selections) == {"keys", "keys_", "type"}


CROSS = {
    "levels": ("refine(d)", [13, 7]),
    "mixed": ("columns(first(2)) | gated { (i, j) : j <= i } | select(hot) | refine(d) | axis(few)", None),
    "summaries": ("pooled(4) | gated pooled(3) | select(picks)", [13, 7]),
}


@pytest.mark.parametrize("name", CROSS)
def test_two_sequences(name: str) -> None:
    step, lengths = CROSS[name]
    text = """
        learn d = granularity(block = 4)
        learn hot = topk_blocks(k = 3, block = 4)
        learn few = importance(budget = 20%)
        learn picks = topk_keys(k = 3, tile = 4)
    """
    learned = layer(pattern(step, "cross", text))
    given = data(13, 21)
    grad = torch.randn_like(given.q)
    found = []
    for each in (learned, same_layer(learned, "reference")):
        inputs = given.inputs(lengths, [9, 21])
        result = each(given.q, given.k, given.v, inputs=inputs, return_selections=True)
        found.append((result.out, result.lse, *slopes(result, grad, (*given.leaves, *each.parameters()))))
    for mine, wanted in zip(*found, strict=True):
        close(mine, wanted)


@pytest.mark.parametrize(
    ("change", "argument"),
    [
        ({"q": torch.zeros(2, 3, 20, HEAD_DIM, dtype=torch.float64)}, "q"),
        ({"k": torch.zeros(2, 1, 20, HEAD_DIM, dtype=torch.float64), "v": None}, "k"),
        ({"q": torch.zeros(2, HEADS, 5, HEAD_DIM, dtype=torch.float64)}, "q"),
        ({"hidden": None}, "inputs"),
        ({"hidden": torch.zeros(2, 7, WIDTH, dtype=torch.float64)}, "query"),
        ({"spans": torch.tensor([[0, 99], [0, 2]], dtype=torch.int32)}, "spans"),
        ({"spans": torch.tensor([[0, 9]], dtype=torch.int32)}, "spans"),
        ({"softcap": -1.0}, "softcap"),
        ({"sinks": torch.zeros(3)}, "sinks"),
        ({"inputs": Inputs.self_attention(torch.zeros(2, 7, WIDTH))}, "inputs"),
    ],
)
def test_what_does_not_fit_is_named(learned, change, argument) -> None:
    given = data(20)
    call = {"q": given.q, "k": given.k, "v": given.v, "hidden": given.hidden} | change
    call["v"] = call["k"] if call["v"] is None else call["v"]
    with pytest.raises(ArgumentError) as caught:
        learned(call.pop("q"), call.pop("k"), call.pop("v"), **call)
    assert caught.value.argument == argument


def test_compile_says_what_is_missing_or_too_much() -> None:
    with pytest.raises(ArgumentError, match="leave heads= out"):
        pc.compile(pattern("local(3)"), heads=2)
    with pytest.raises(ArgumentError, match="give heads="):
        pc.compile(pattern(STEP, learn=LEARN), kv_heads=KEY_HEADS)
    with pytest.raises(PatternError, match="heads="):
        pc.compile(pattern(STEP, learn=LEARN))
    with pytest.raises(ArgumentError, match="leave it out"):
        pc.compile(pattern(STEP, learn=LEARN), heads=2, step=0)
    with pytest.raises(ArgumentError, match="multiple of the key heads"):
        pc.compile(pattern(STEP, learn=LEARN), heads=3, kv_heads=2)


@pytest.mark.parametrize("step", ["gated local(3) | select(s)", "local(2) | select(s) | pooled(4)"])
def test_autocast_changes_nothing_inside(step):
    """Products of float32 tensors stay float32, also where backward is called under autocast."""
    subject = layer(pattern(step, learn="learn s = topk_blocks(k = 3, block = 4)"), dtype=torch.float32)
    given = data(17, dtype=torch.float32)
    inputs = given.inputs()
    with torch.no_grad():  # selectors are autocast as they are called
        selections = subject(given.q, given.k, given.v, inputs=inputs, return_selections=True).selections
    found = []
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            # A cap keeps torch's kernel out, which knows no autocast.
            out = subject(given.q, given.k, given.v, inputs=inputs, selections=selections, softcap=9.0)
            found.append(
                [out, *torch.autograd.grad(out.square().sum(), [given.q, given.k, given.v], retain_graph=True)]
            )
    for mine, theirs in zip(*found, strict=True):
        assert mine.dtype == torch.float32
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)
