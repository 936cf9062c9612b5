"""Kernels over lists are built ahead of time, with no GPU: the interpreter accepts more than the compiler."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")
import triton
from triton.backends.compiler import GPUTarget

from patternc.compiler.kernels.aot import _resource_usage
from patternc.compiler.kernels.launch import FUSED
from patternc.compiler.relations.integer import TRUE, Binary, Compare, Const, Var
from patternc.runtime.learned.kernels import backward, forward
from patternc.runtime.learned.kernels.keep import keep
from patternc.runtime.learned.kernels.run import Run
from patternc.runtime.learned.lists.held import Earlier, HeldBlocks, HeldColumns, HeldKeys, HeldRows
from patternc.runtime.learned.lists.key_lists import Bounds, KeyLists
from patternc.runtime.learned.running.products import Scores

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


def nothing():
    """No condition, as seeded tables mostly leave none."""
    lengths = torch.tensor([64])
    return keep(Bounds(lengths, lengths, False, {"n": lengths}), 4, 1, 64)


def build(
    case, kept, target, *, head_dim: int = 64, warps: int = 8, stages: int = 2, in_place: bool = False
) -> dict[str, object]:
    """``in_place``: out and gradients are as q, pointers and strides multiples of 16, as they mostly are."""
    kernel, present, constants = case
    kernel = getattr(forward if kernel == "list_forward" else backward, kernel)
    blocks = {"HEAD_DIM": head_dim, "BLOCK_D": head_dim, "BLOCK_Q": 64, "BLOCK_K": 64, "PACK": 2, "ALONE": True}
    precision = "ieee" if target.backend == "hip" else "tf32x3"
    known = {"KEEP": kept.function, "SOFTCAP": 0.0, "PRECISION": precision, **blocks, **constants}
    signature, values, aligned = {}, {}, {}
    floats = FLOATS - {"out", "dq", "dk", "dv"} if in_place else FLOATS
    for at, argument in enumerate(kernel.arg_names):
        stem = argument.removesuffix("_ptr")
        if argument in known:
            signature[argument], values[argument] = "constexpr", known[argument]
        elif argument == "tables":
            signature[argument] = tuple("*i32" if isinstance(x, torch.Tensor) else "i32" for x in kept.tables)
        elif stem != argument and (stem in present or stem not in OPTIONAL | {"dk", "dv"}):
            signature[argument] = "*fp32" if stem in floats else "*i32" if stem in NUMBERS else "*bf16"
        elif stem != argument:
            signature[argument], values[argument] = "constexpr", None
        elif argument.endswith("_d"):
            signature[argument], values[argument] = "constexpr", 1
        else:
            signature[argument] = "fp32" if argument == "scale" else "i64" if argument[-2:-1] == "_" else "i32"
        if in_place and signature[argument][0] in "*i" and signature[argument] != "i32":
            aligned[(at,)] = [["tt.divisibility", 16]]
    source = triton.compiler.ASTSource(fn=kernel, signature=signature, constexprs=values, attrs=aligned)
    options = {"num_warps": warps, "num_stages": stages, **FUSED}
    return dict(triton.compile(source, target=target, options=options).asm)


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))


def gpu(backend: str, architecture, warp: int):
    return GPUTarget(backend, architecture, warp)


def narrow_products(kernel: str) -> list[tuple[str, str]]:
    """Of two sizes of a call, in 32 bits: heads by queries by features may be more than they hold."""
    sizes, products = (set(re.findall(text, kernel)) for text in (r"(%\w+): i32", r"muli (%\w+), (%\w+) : i32"))
    assert {"%heads", "%Nq", "%Nk"} <= sizes and products
    return [pair for pair in products if sizes.issuperset(pair)]


@pytest.mark.parametrize("name", CASES)
def test_for_hopper(name: str) -> None:
    stages = build(CASES[name], condition(), gpu("cuda", 90, 32))
    assert stages["cubin"][1:4] == b"ELF"
    assert "wgmma.mma_async" in stages["ptx"]
    assert not narrow_products(stages["ttir"])


WHOLE = {"GROUPS": 1, "TILE": 64, "BLOCK": 64, "PADDED": 64, "CAUSAL": False, "PACK": 1}
TABLES = {
    "forward": ("list_forward", set(), WHOLE),
    "rows": ("list_backward_rows", set(), WHOLE),
    "keys": ("list_backward_keys", {"order", "offsets", "dk", "dv"}, {**WHOLE, "BLOCK_Q": 32}),
}


@pytest.mark.parametrize("name", TABLES)
def test_blocks_of_a_table_leave_room_for_two_instances(name: str) -> None:
    """Heads of 128 in 16 bits, with the warps and stages of a launch: by registers and by shared memory."""
    q = torch.empty(1, 4, 64, 128, dtype=torch.bfloat16)
    lists = KeyLists(Bounds(*[torch.tensor([64])] * 2, False, {}), 64, 64, torch.zeros(1, 1, 1, 3, dtype=torch.int64))
    run = Run.of(lists, q, q, q, Scores(1.0))
    assert run.constants()["BLOCK_Q"] == run.constants()["BLOCK_K"] == 64 and run.lanes_of_keys == 32
    options = run.options(name)  # type: ignore[arg-type]
    warps, depth = options["num_warps"], options["num_stages"]
    target = gpu("cuda", 90, 32)
    stages = build(TABLES[name], nothing(), target, head_dim=128, warps=warps, stages=depth, in_place=True)
    usage = _resource_usage(stages["cubin"])
    registers, stack = (int(re.search(rf"{each}:(\d+)", usage)[1]) for each in ("REG", "STACK"))
    assert 2 * registers * 32 * warps <= 1 << 16
    assert stack <= 32 * (name == "keys")  # a few numbers that are the same in every step


@pytest.mark.slow
@pytest.mark.parametrize("target", [("cuda", 80, 32), ("cuda", 100, 32), ("hip", "gfx942", 64)], ids=str)
@pytest.mark.parametrize("name", CASES)
def test_for_others(name: str, target) -> None:
    stages = build(CASES[name], condition(), gpu(*target))
    assert stages["hsaco" if target[0] == "hip" else "cubin"][1:4] == b"ELF"
