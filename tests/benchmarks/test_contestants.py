"""Contestants compute what the formula says. Libraries that cannot be installed here are played by what their
documentation states, so that our side of the call is checked; on a GPU the benchmark checks theirs."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import pytest
import torch
from torch.nn import functional as F

PASSES = ("forward", "forward+backward", "decode")


@pytest.fixture
def compare(benchmark_modules):
    """Prepares a contestant of ``contestants.MODULE`` and gives each pass's error as a share of what is allowed."""

    def errors(module: str, kind: str, case_name: str, n: int, heads: int = 2):
        cases, inputs, formula = (
            benchmark_modules(name) for name in ("cases", "patternc.runtime.bench.inputs", "formula")
        )
        contestant = getattr(benchmark_modules(f"contestants.{module}"), kind)()
        [case] = [case for case in cases.CASES if case.name == case_name]
        drawn = inputs.Inputs.draw((1, heads, n, 16), "cpu", torch.float32)
        prepared = contestant.prepare(contestant.computes(case), drawn)
        expected = formula.Expected.of(contestant.computes(case), drawn)
        return {what: expected.error(what, made()) for what, made in prepared.runs().items()}

    return errors


@pytest.mark.parametrize(
    "case, n",
    [
        ("local(128) | strided(128)", 512),
        ("fixed_factorized(128, 8)", 1024),
        ("sliding_window(1024)", 3072),
        ("streaming(4, 1024)", 2048),
        ("longformer(512)", 1536),
        ("deepspeed_bslongformer(64)", 256),
    ],
)
def test_the_expert_composes_the_pattern(benchmark_modules, compare, monkeypatch, case, n):
    expert = benchmark_modules("contestants.expert")
    monkeypatch.setattr(expert, "_compiled_merge", lambda: expert._merge)  # the same without minutes of compiling
    errors = compare("expert", "Expert", case, n)
    assert {"forward", "forward+backward"} <= set(errors) and all(error < 1 for error in errors.values()), errors


def test_the_expert_says_what_nobody_has_written(compare):
    with pytest.raises(Exception, match="multiples of 128"):
        compare("expert", "Expert", "local(128) | strided(128)", 300)
    with pytest.raises(Exception, match="at random"):
        compare("expert", "Expert", "bigbird(64)", 256)


def test_dense_is_the_rival_without_a_pattern(compare):
    assert set(compare("dense", "Dense", "longformer(512)", 300)) == {"forward", "forward+backward"}
    assert all(error < 1 for error in compare("dense", "Dense", "streaming(4, 1024)", 300).values())


def softmax(q, k, v, keep):
    """q, k, v [H, n, D]."""
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~keep, -torch.inf)
    return scores.softmax(-1) @ v, scores.logsumexp(-1)


def na1d(query, key, value, kernel_size, dilation=1, is_causal=False, return_lse=False):
    """[1, n, H, D]. Causal neighbourhoods of ``kernel_size`` tokens, ``dilation`` apart, within the sequence."""
    n = query.shape[1]
    assert is_causal and kernel_size * dilation <= n, "kernel_size times dilation must fit the sequence"
    assert all(x.is_contiguous() for x in (query, key, value))
    gap = torch.arange(n)[:, None] - torch.arange(n)[None, :]
    keep = (gap >= 0) & (gap % dilation == 0) & (gap < kernel_size * dilation)
    out, lse = softmax(*(x[0].transpose(0, 1) for x in (query, key, value)), keep)
    out, lse = out.transpose(0, 1)[None].contiguous(), lse.mT[None].contiguous()
    return (out, lse) if return_lse else out


def merge_attentions(outputs, lse_tensors):
    assert all(x.dim() == 4 and x.is_contiguous() for x in outputs) and all(x.dim() == 3 for x in lse_tensors)
    weights = torch.stack(lse_tensors).softmax(0)[..., None]
    return (torch.stack(outputs) * weights).sum(0), torch.stack(lse_tensors).logsumexp(0)


@pytest.mark.parametrize("case, n", [("local(128) | strided(128)", 512), ("sliding_window(1024)", 1100)])
def test_natten(compare, monkeypatch, case, n):
    monkeypatch.setitem(sys.modules, "natten", SimpleNamespace(na1d=na1d, merge_attentions=merge_attentions))
    errors = compare("natten", "Natten", case, n)
    assert set(errors) == {"forward", "forward+backward"} and all(error < 1 for error in errors.values()), errors


class BlockSparseAttentionWrapper:
    """As in FlashInfer's documentation: a matrix of blocks in compressed rows, with a mask where they are not full."""

    def __init__(self, workspace):
        assert workspace.dtype == torch.uint8

    def plan(self, indptr, indices, M, N, R, C, heads, kv_heads, head_dim, *, mask, q_data_type, o_data_type):
        assert indptr.dtype == indices.dtype == torch.int32 and len(indptr) == M // R + 1 and heads == kv_heads
        blocks = torch.ones(len(indices), R, C, dtype=torch.bool) if mask is None else mask
        self.keep = torch.zeros(M, N, dtype=torch.bool)
        for row in range(M // R):
            for place in range(int(indptr[row]), int(indptr[row + 1])):
                column = int(indices[place])
                self.keep[row * R : (row + 1) * R, column * C : (column + 1) * C] = blocks[place]

    def run(self, q, k, v):
        return softmax(*(x.transpose(0, 1) for x in (q, k, v)), self.keep)[0].transpose(0, 1)


@pytest.mark.parametrize(
    "case, n",
    [
        ("local(128) | strided(128)", 300),
        ("fixed_factorized(128, 8)", 384),
        ("sliding_window(1024)", 1280),
        ("streaming(4, 1024)", 1152),
        ("bigbird(64)", 512),
        ("longformer(512)", 640),
        ("deepspeed_bslongformer(64)", 320),
    ],
)
def test_flashinfer(compare, monkeypatch, case, n):
    library = SimpleNamespace(BlockSparseAttentionWrapper=BlockSparseAttentionWrapper)
    monkeypatch.setitem(sys.modules, "flashinfer", library)
    errors = compare("flashinfer", "FlashInfer", case, n, heads=1)
    assert "forward" in errors and "forward+backward" not in errors
    assert all(error < 1 for error in errors.values()), errors


def flash_attn_func(q, k, v, causal, window_size):
    """[1, rows, H, D]; the last query stands at the last key; ``window_size`` keys on each side, -1 for all."""
    rows, n = q.shape[1], k.shape[1]
    gap = torch.arange(n - rows, n)[:, None] - torch.arange(n)[None, :]
    left, right = (n if side < 0 else side for side in window_size)
    keep = (gap <= left) & (-gap <= right) & ((gap >= 0) | (not causal))
    return softmax(*(x[0].transpose(0, 1) for x in (q, k, v)), keep)[0].transpose(0, 1)[None]


@pytest.mark.parametrize("case", ["sliding_window(1024)", "dense"])
@pytest.mark.parametrize("name", ["flash_attn", "flash_attn_interface"])
def test_flash_attention(compare, monkeypatch, case, name):
    module = ModuleType(name)
    module.flash_attn_func = flash_attn_func  # type: ignore[attr-defined]
    module.__spec__ = SimpleNamespace(name=name)  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, name, module)
    errors = compare("flash_attention", "FlashAttention", case, 1100)
    assert set(errors) == set(PASSES) and all(error < 1 for error in errors.values()), errors


class SparseSelfAttention:
    """DeepSpeed's, with the layout of BSLongformerSparsityConfig, spelled out."""

    ops: ClassVar[dict[int, object]] = {}

    def __init__(self, layout, max_seq_length):
        self.layout = layout

    def to(self, device):
        return self

    def __call__(self, q, k, v):
        block, window = self.layout["block"], self.layout["num_sliding_window_blocks"]
        place = torch.arange(q.shape[2]) // block
        gap = (place[:, None] - place[None, :]).abs()
        keep = gap <= window // 2
        for index in self.layout["global_block_indices"]:
            keep |= (place[:, None] == index) | (place[None, :] == index)
        return torch.stack([softmax(*x, keep)[0] for x in zip(q, k, v, strict=True)])


def test_deepspeed(compare, monkeypatch):
    library = SimpleNamespace(BSLongformerSparsityConfig=dict, SparseSelfAttention=SparseSelfAttention)
    for name in ("deepspeed", "deepspeed.ops"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setitem(sys.modules, "deepspeed.ops.sparse_attention", library)
    errors = compare("deepspeed", "DeepSpeed", "deepspeed_bslongformer(64)", 320)
    assert set(errors) == {"forward", "forward+backward"} and all(error < 1 for error in errors.values()), errors


def test_a_library_that_is_broken_is_told_from_one_that_is_not_there(benchmark_modules, monkeypatch, tmp_path):
    why_not = benchmark_modules("contestants.installed").why_not
    (tmp_path / "broken_library.py").write_text("raise OSError('libcudart.so.11 is not here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert why_not("no_library_of_this_name") == "not installed"
    assert "OSError: libcudart.so.11 is not here" in (why_not("broken_library") or "")
    assert why_not("json") is None


def test_what_is_not_the_pattern_is_seen(benchmark_modules):
    """In any of out, dq, dk and dv, and where it is not a number."""
    cases, inputs, formula = (benchmark_modules(name) for name in ("cases", "patternc.runtime.bench.inputs", "formula"))
    case = cases.CASES[0]
    drawn = inputs.Inputs.draw((1, 2, 300, 16), "cpu", torch.float32)
    expected = formula.Expected.of(case, drawn)

    def dense(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)

    assert expected.error("forward", dense(drawn.q, drawn.k, drawn.v)) > 1
    with pytest.raises(formula.Disagreement, match="not timed"):
        expected.check("dense", "decode", inputs.decode(dense, drawn)())
    keep = case.mask(300)(torch.arange(300)[:, None], torch.arange(300)[None, :])

    def right(q, k, v):
        return torch.stack([softmax(*x, keep)[0] for x in zip(q, k, v, strict=True)])

    found = inputs.forward_backward(right, drawn)()
    assert expected.error("forward+backward", found) < 1
    for place in range(4):
        for wrong in (found[place] + 0.01, found[place] * torch.nan):
            changed = tuple(wrong if index == place else part for index, part in enumerate(found))
            assert not expected.error("forward+backward", changed) <= 1
