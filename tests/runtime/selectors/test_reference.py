"""Gated attention, the definition: against plain softmax, loops, finite differences and the laws that gates obey."""

from __future__ import annotations

import math

import pytest
import torch
from selector_layers import SHAPE, layer_inputs, learned, pairs_of
from torch.nn import functional as F

from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors import Inputs, Pooled, Summaries, Term, TermGate, gated_attention
from patternc.runtime.selectors.dense import with_gate, written_out

N, NK = 9, 12
TIGHT = {"atol": 1e-12, "rtol": 1e-12}


def tensors(n: int = N, nk: int = NK, heads: int = 4, key_heads: int = 2):
    return (
        torch.randn(2, heads, n, 5, dtype=torch.float64),
        torch.randn(2, key_heads, nk, 5, dtype=torch.float64),
        torch.randn(2, key_heads, nk, 5, dtype=torch.float64),
    )


def random_pairs(n: int = N, nk: int = NK) -> torch.Tensor:
    pairs = torch.rand(2, 4, n, nk) < 0.6
    pairs[..., 0] = True
    return pairs


def test_gates_of_one_are_no_gates() -> None:
    q, k, v = tensors()
    pairs = random_pairs()
    expected = F.scaled_dot_product_attention(q, k, v, attn_mask=pairs, enable_gqa=True)
    out, lse = gated_attention(q, k, v, [Term(pairs)])
    gated, gated_lse = gated_attention(q, k, v, [Term(pairs, torch.zeros(2, 1, 1, NK))])
    torch.testing.assert_close(out, expected, **TIGHT)
    assert torch.equal(out, gated) and torch.equal(lse, gated_lse)


def test_every_number_by_hand() -> None:
    """One query head, three keys, a summary of two tokens: written out in Python."""
    q, k, v = tensors(1, 3, 1, 1)
    keys, values = torch.randn(2, 1, 1, 5, dtype=torch.float64), torch.randn(2, 1, 1, 5, dtype=torch.float64)
    gates, factor = [0.5, 0.0, 2.0], 0.25
    log_gate = torch.tensor(gates, dtype=torch.float64).log()
    everything = torch.ones(1, 1, 1, 3, dtype=torch.bool)
    two, less = torch.tensor([2, factor], dtype=torch.float64).log()
    summary = Summaries(keys, values, two, everything[..., :1], less)
    out, lse = gated_attention(q, k, v, [Term(everything, log_gate)], [summary], scale=0.3)
    for element in range(2):
        query = q[element, 0, 0]
        weights = [gate * math.exp(0.3 * float(query @ k[element, 0, j])) for j, gate in enumerate(gates)]
        weights.append(2 * factor * math.exp(0.3 * float(query @ keys[element, 0, 0])))
        read = [*v[element, 0], values[element, 0, 0]]
        total = sum(weights)
        expected = sum(weight * value for weight, value in zip(weights, read, strict=True)) / total
        torch.testing.assert_close(out[element, 0, 0], expected, **TIGHT)
        assert abs(float(lse[element, 0, 0]) - math.log(total)) < 1e-12


def test_a_closed_gate_is_an_absent_block() -> None:
    q, k, v = tensors()
    pairs = torch.ones(1, 1, N, NK, dtype=torch.bool)
    gate = torch.zeros(2, 2, 3, 3, dtype=torch.float64)
    gate[:, :, 1, 2] = -torch.inf
    wide = gate.repeat_interleave(2, 1).repeat_interleave(3, -2).repeat_interleave(4, -1)
    without = pairs.repeat(2, 4, 1, 1)
    without[:, :, 3:6, 8:12] = False
    for one, other in zip(
        gated_attention(q, k, v, [Term(pairs, wide)]), gated_attention(q, k, v, [Term(without)]), strict=True
    ):
        assert torch.equal(one, other)


def test_a_common_factor_changes_lse_alone() -> None:
    q, k, v = tensors()
    pairs, gate = random_pairs(), torch.randn(2, 4, N, NK, dtype=torch.float64)
    out, lse = gated_attention(q, k, v, [Term(pairs, gate)])
    other, moved = gated_attention(q, k, v, [Term(pairs, gate + 1.5)])
    torch.testing.assert_close(other, out, **TIGHT)
    torch.testing.assert_close(moved, lse + 1.5, **TIGHT)


def test_a_pair_has_the_gate_of_the_first_open_term() -> None:
    q, k, v = tensors()
    first, second = random_pairs(), random_pairs()
    gates = [torch.randn(2, 1, 1, NK, dtype=torch.float64) for _ in range(2)]
    gates[0][..., 3:5] = -torch.inf
    held = first & ~gates[0].isneginf()
    one = torch.where(held, gates[0], gates[1])
    found = gated_attention(q, k, v, [Term(first, gates[0]), Term(second, gates[1])])
    expected = gated_attention(q, k, v, [Term(held | second, one)])
    assert all(map(torch.equal, found, expected))


def test_rows_without_a_key() -> None:
    q, k, v = (x.requires_grad_() for x in tensors())
    pairs = random_pairs()
    pairs[:, :, 4] = False
    gate = torch.zeros(2, 4, N, NK, dtype=torch.float64)
    gate[:, :, 5] = -torch.inf
    gate.requires_grad_()
    out, lse = gated_attention(q, k, v, [Term(pairs, gate)])
    assert (out[:, :, 4:6] == 0).all() and (lse[:, :, 4:6] == -torch.inf).all()
    gradients = torch.autograd.grad(out.square().sum(), [q, k, v, gate])
    assert all(gradient.isfinite().all() for gradient in gradients) and (gradients[0][:, :, 4:6] == 0).all()
    empty = gated_attention(q, k[:, :, :0], v[:, :, :0], [])
    assert (empty[0] == 0).all() and (empty[1] == -torch.inf).all()


def test_gradients_against_finite_differences() -> None:
    q, k, v = tensors(4, 6)
    pairs = random_pairs(4, 6)
    keys, values = torch.randn(2, 2, 3, 5, dtype=torch.float64), torch.randn(2, 2, 3, 5, dtype=torch.float64)
    per_key, per_block, per_term = (
        torch.randn(shape, dtype=torch.float64) for shape in ((2, 4, 1, 6), (2, 4, 2, 3), (4, 1, 1))
    )
    leaves = [x.requires_grad_() for x in (q, k, v, keys, values, per_key, per_block, per_term)]

    def function(q, k, v, keys, values, per_key, per_block, per_term):
        spread = per_block.repeat_interleave(2, -2)
        terms = [Term(pairs[:, :, :, :6], per_key), Term(~pairs, per_term)]
        summary = Summaries(keys, values, torch.tensor(math.log(4)), pairs[..., :3], spread)
        return gated_attention(q, k, v, terms, [summary])

    assert torch.autograd.gradcheck(function, leaves, eps=1e-6, atol=1e-6, rtol=1e-6)


def test_the_gradient_of_a_gate_is_the_sum_of_the_gradients_of_its_scores() -> None:
    q, k, v = tensors()
    pairs, weight = random_pairs(), torch.randn(2, 4, N, 5, dtype=torch.float64)
    gate = torch.randn(2, 4, 3, 3, dtype=torch.float64, requires_grad=True)
    pairwise = gate.detach().repeat_interleave(3, -2).repeat_interleave(4, -1).requires_grad_()
    spread = gate.repeat_interleave(3, -2).repeat_interleave(4, -1)
    (whole,) = torch.autograd.grad((gated_attention(q, k, v, [Term(pairs, spread)])[0] * weight).sum(), gate)
    (each,) = torch.autograd.grad((gated_attention(q, k, v, [Term(pairs, pairwise)])[0] * weight).sum(), pairwise)
    torch.testing.assert_close(whole, each.view(2, 4, 3, 3, 3, 4).sum((3, 5)), **TIGHT)


def test_heads_that_do_not_fit_are_refused() -> None:
    q, k, v = tensors(heads=3, key_heads=2)
    with pytest.raises(ArgumentError, match="multiple of the key heads"):
        gated_attention(q, k, v, [])


# --- what selections mean ---


def run(selection, inputs: Inputs, v: torch.Tensor, q=None, k=None):
    q = inputs.query.heads if q is None else q
    k = inputs.key.heads if k is None else k
    terms, summaries = written_out(selection, inputs, k, v, SHAPE.query_heads)
    return gated_attention(q, k, v, terms, summaries)


@pytest.mark.parametrize("direction", ["causal", "bidirectional", "cross"])
@pytest.mark.parametrize(
    "declaration",
    ["topk(k = 3)", "topk_blocks(k = 2, block = 4, forced = [first])", "topk_keys(k = 3, tile = 4, forced = [first])"],
)
def test_a_hard_selection_is_a_mask(direction: str, declaration: str) -> None:
    layer, inputs = learned(declaration, direction), layer_inputs(13, 10 if direction == "cross" else None)
    selection, v = layer(inputs)["s"], torch.randn_like(inputs.key.heads)
    expected, _ = gated_attention(inputs.query.heads, inputs.key.heads, v, [Term(pairs_of(selection, inputs))])
    torch.testing.assert_close(run(selection, inputs, v)[0], expected, **TIGHT)


@pytest.mark.parametrize("direction", ["causal", "bidirectional", "cross"])
@pytest.mark.parametrize(
    "declaration",
    ["topk(k = 99)", "topk_blocks(k = 99, block = 4)", "topk_keys(k = 99, tile = 4)", "granularity(levels = [fine])"],
)
def test_all_selected_is_dense(direction: str, declaration: str) -> None:
    layer, inputs = learned(declaration, direction), layer_inputs(13, 10 if direction == "cross" else None)
    q, k, v = inputs.query.heads, inputs.key.heads, torch.randn_like(inputs.key.heads)
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=direction == "causal", enable_gqa=True)
    torch.testing.assert_close(run(layer(inputs)["s"], inputs, v)[0], expected, **TIGHT)


@pytest.mark.parametrize(("level", "size"), [("coarse", 8), ("medium", 4)])
def test_one_level_everywhere_is_pooled_attention(level: str, size: int) -> None:
    layer = learned(f"granularity(block = 8, levels = [{level}])", "cross")
    inputs = layer_inputs(11, 21)
    q, k, v = inputs.query.heads, inputs.key.heads, torch.randn_like(inputs.key.heads)
    cut = [range(start, min(21, start + size)) for start in range(0, 21, size)]
    keys, values = (torch.stack([x[:, :, list(tokens)].mean(2) for tokens in cut], 2) for x in (k, v))
    counts = torch.tensor([len(tokens) for tokens in cut], dtype=torch.float64).log()
    expected = F.scaled_dot_product_attention(q, keys, values, attn_mask=counts.expand(11, -1), enable_gqa=True)
    torch.testing.assert_close(run(layer(inputs)["s"], inputs, v)[0], expected, **TIGHT)


@pytest.mark.parametrize("levels", ["coarse", "medium", "coarse, medium, fine"])
def test_where_blocks_are_constant_every_level_is_exact(levels: str) -> None:
    layer, inputs = learned(f"granularity(block = 4, levels = [{levels}])", "causal"), layer_inputs(16)
    q = inputs.query.heads
    k, v = (torch.randn(2, 2, 4, 6, dtype=torch.float64).repeat_interleave(4, 2) for _ in range(2))
    expected = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(run(layer(inputs)["s"], inputs, v, q, k)[0], expected, **TIGHT)


def test_pooled_by_loops_and_pooled_of_one() -> None:
    inputs = layer_inputs(14, lengths=[14, 10])
    q, k, v = inputs.query.heads, inputs.key.heads, torch.randn_like(inputs.key.heads)
    out, _ = run(Pooled(Direction.CAUSAL, 3)(inputs, v), inputs, v)
    for element, head, i in ((0, 0, 13), (0, 3, 5), (1, 2, 9), (1, 1, 2)):
        groups = [range(3 * p, 3 * p + 3) for p in range((i + 1) // 3)]
        keys, values = (torch.stack([x[element, head // 2, list(g)].mean(0) for g in groups]) for x in (k, v))
        weights = torch.softmax(keys @ q[element, head, i] * 6**-0.5, 0)  # log 3 in every score changes nothing
        torch.testing.assert_close(out[element, head, i], weights @ values, **TIGHT)
    assert (out[1, :, 10:] == 0).all() and (out[:, :, :2] == 0).all()
    inputs = layer_inputs(14)
    v = torch.randn_like(inputs.key.heads)
    dense = F.scaled_dot_product_attention(inputs.query.heads, inputs.key.heads, v, is_causal=True, enable_gqa=True)
    torch.testing.assert_close(run(Pooled(Direction.CAUSAL, 1)(inputs, v), inputs, v)[0], dense, **TIGHT)


def test_a_term_gate_weighs_the_term() -> None:
    q, k, v = tensors(6, 6)
    near, far = torch.ones(6, 6).tril().triu(-1).bool(), torch.ones(6, 6).tril().bool()
    heads = torch.tensor([0.0, -1.0, 2.0, -torch.inf], dtype=torch.float64)
    out, _ = gated_attention(q, k, v, [Term(near), with_gate(Term(far), TermGate(heads))])
    bias = torch.where(near, 0.0, heads[:, None, None].expand(-1, 6, 6)).masked_fill(~far, -torch.inf)
    torch.testing.assert_close(out, F.scaled_dot_product_attention(q, k, v, attn_mask=bias, enable_gqa=True), **TIGHT)
