"""Kernels over lists are built ahead of time, with no GPU: the interpreter accepts more than the compiler."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
import triton
from triton.backends.compiler import GPUTarget

from patternc.compiler.relations.integer import TRUE, Binary, Compare, Const, Var
from patternc.runtime.learned.held import Earlier, HeldBlocks, HeldColumns, HeldKeys, HeldRows
from patternc.runtime.learned.kernels import backward, forward
from patternc.runtime.learned.kernels.keep import keep
from patternc.runtime.learned.lists import Bounds

FLOATS = {"lse", "delta", "out", "dq", "dk", "dv", "by_key", "by_row", "gate", "size", "row_gate", "head_gate"}
NUMBERS = {"entries", "since", "until", "ends", "rows", "queries", "keys", "lengths", "order", "offsets"}
OPTIONAL = {"since", "until", "gate", "size", "rows", "row_gate", "head_gate", "by_key", "by_row", "order", "offsets"}
BLOCKS = {"GROUPS": 2, "TILE": 64, "BLOCK": 64, "PADDED": 64, "CAUSAL": True}
SHARED = {"GROUPS": 1, "TILE": 0, "BLOCK": 1, "PADDED": 1, "CAUSAL": True}
SINGLE = {"GROUPS": 1, "TILE": 64, "BLOCK": 1, "PADDED": 1, "CAUSAL": True}
CASES = {
    "blocks": ("list_forward", {"gate"}, BLOCKS),
    "columns": ("list_forward", {"gate", "until"}, SHARED),
    "blocks, dq": ("list_backward_rows", {"gate", "by_key"}, BLOCKS),
    "keys, dq, dk": ("list_backward_rows", {"gate", "by_key", "until", "dk", "dv"}, SINGLE),
    "rows, dq": ("list_backward_rows", {"rows", "row_gate", "by_row"}, {**SHARED, "BLOCK": 64, "PADDED": 64}),
    "blocks, dk": ("list_backward_keys", {"gate", "order", "offsets", "dk", "dv"}, BLOCKS),
    "columns, dk": ("list_backward_keys", {"gate", "until", "by_key", "dk", "dv"}, SHARED),
    "summaries, dk": ("list_backward_keys", {"since", "size", "head_gate", "dk", "dv"}, {**SHARED, "CAUSAL": False}),
}


def condition():
    """With every kind of earlier term."""
    lengths = torch.tensor([64])
    earlier = (
        Earlier(HeldColumns(torch.zeros(1, 1, 64, dtype=torch.int64)), TRUE, None),
        Earlier(HeldRows(torch.zeros(1, 2, 64, dtype=torch.bool)), TRUE, None),
        Earlier(HeldBlocks(16, torch.zeros(1, 2, 4, 4, dtype=torch.bool)), TRUE, torch.ones(4, dtype=torch.bool)),
        Earlier(HeldKeys(4, True, *[torch.zeros(1, 1, 16, 3, dtype=torch.int64)] * 2), TRUE, None),
    )
    far = Compare(">=", Var("i"), Binary("+", Var("j"), Const(256)))
    return keep(Bounds(lengths, lengths, True, {"n": lengths}, far, earlier), 4, 1, 64)


def build(name: str, target, *, head_dim: int = 64) -> dict[str, object]:
    kernel, present, constants = CASES[name]
    kernel, kept = getattr(forward if kernel == "list_forward" else backward, kernel), condition()
    blocks = {"HEAD_DIM": head_dim, "BLOCK_D": head_dim, "BLOCK_Q": 64, "BLOCK_K": 64, "PACK": 2, "ALONE": True}
    precision = "ieee" if target.backend == "hip" else "tf32x3"
    known = {"KEEP": kept.function, "SOFTCAP": 0.0, "PRECISION": precision, **blocks, **constants}
    signature, values = {}, {}
    for argument in kernel.arg_names:
        stem = argument.removesuffix("_ptr")
        if argument in known:
            signature[argument], values[argument] = "constexpr", known[argument]
        elif argument == "tables":
            signature[argument] = tuple("*i32" if isinstance(x, torch.Tensor) else "i32" for x in kept.tables)
        elif stem != argument and (stem in present or stem not in OPTIONAL | {"dk", "dv"}):
            signature[argument] = "*fp32" if stem in FLOATS else "*i32" if stem in NUMBERS else "*bf16"
        elif stem != argument:
            signature[argument], values[argument] = "constexpr", None
        elif argument.endswith("_d"):
            signature[argument], values[argument] = "constexpr", 1
        else:
            signature[argument] = "fp32" if argument == "scale" else "i64" if argument[-2:-1] == "_" else "i32"
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=values)
    return dict(triton.compile(source, target=target, options={"num_warps": 8, "num_stages": 2}).asm)


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))


def gpu(backend: str, architecture, warp: int):
    return GPUTarget(backend, architecture, warp)


@pytest.mark.parametrize("name", CASES)
def test_for_hopper(name: str) -> None:
    stages = build(name, gpu("cuda", 90, 32))
    assert stages["cubin"][1:4] == b"ELF"
    assert "wgmma.mma_async" in stages["ptx"]


@pytest.mark.slow
@pytest.mark.parametrize("target", [("cuda", 80, 32), ("cuda", 100, 32), ("hip", "gfx942", 64)], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_for_others(name: str, target) -> None:
    stages = build(name, gpu(*target))
    assert stages["hsaco" if target[0] == "hip" else "cubin"][1:4] == b"ELF"
