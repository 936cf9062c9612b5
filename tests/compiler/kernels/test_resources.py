"""What the kernels of typical programs need on an H100, and how wide they count: told by ahead-of-time builds."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton")

from patternc.compiler.kernels import launch
from patternc.compiler.kernels.aot import Dtype, build
from patternc.compiler.lowering.stored import stored
from patternc.compiler.passes.program import Tile
from patternc.compiler.pattern import load
from patternc.runtime.build import Request
from patternc.runtime.build import build as build_artifact

TYPICAL = ("sliding_window", "dense", "fixed_factorized", "strided_factorized", "axial")
LARGEST_REGISTERS = 255
FAST = [("sliding_window", "bf16", 64, launch.ROLES), ("fixed_factorized", "bf16", 128, ("forward",))]
SLOW = [
    (name, dtype, head_dim, launch.ROLES) for name in TYPICAL for dtype in ("bf16", "fp16") for head_dim in (64, 128)
]


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))


def built(name: str, dtype: Dtype, head_dim: int, roles: tuple[launch.Role, ...], *, spans: bool) -> dict[str, Any]:
    bound = load(f"library:{name}")[name].bind().bound
    program = stored(bound.union, bound.direction, name)
    variant = launch.Variant(spans, delta=not spans)
    return build(program, head_dim=head_dim, dtype=dtype, target="sm_90", roles=roles, variant=variant)


@pytest.mark.parametrize(
    ("name", "dtype", "head_dim", "roles"),
    [*FAST, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW)],
)
def test_kernels_fit_the_registers_and_use_the_tensor_cores(
    name: str, dtype: Dtype, head_dim: int, roles: tuple[launch.Role, ...]
) -> None:
    kernels = built(name, dtype, head_dim, roles, spans=head_dim == 128)
    assert {kernel.rpartition("_")[0] for kernel in kernels} == set(roles)
    for kernel, stages in kernels.items():
        report = stages["report"]
        assert report.spills == 0, str(report)
        assert 0 < report.registers <= LARGEST_REGISTERS
        assert 0 < report.shared <= launch.SHARED_MEMORY["sm_90"]
        assert "wgmma" in report.tensor_cores, kernel
        assert narrow_offsets(stages["ttir"]) == []


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        ("strided_factorized", False),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in [("strided_factorized", True), ("axial", False)]),
    ],
)
def test_a_limit_of_registers_makes_room_for_an_instance_more(name: str, spans: bool) -> None:
    """Of the first of two kernels. The second would spill under it, and has none."""
    limited, other = (each["report"] for each in built(name, "bf16", 128, ("forward",), spans=spans).values())
    assert limited.limit == 168 and limited.registers <= 168 and limited.spills == 0
    assert other.limit is None and other.spills == 0
    assert (limited.instances, other.instances) == (3, 2)
    assert "of at most 168" in str(limited) and "3 instances to a processor" in str(limited)


@pytest.mark.parametrize(
    ("dtype", "head_dim", "roles"),
    [
        ("fp32", 64, ("backward_query",)),
        *(pytest.param(dtype, 128, launch.ROLES, marks=pytest.mark.slow) for dtype in ("fp32", "bf16")),
    ],
)
def test_programs_of_one_launch_fit_together(dtype: Dtype, head_dim: int, roles: tuple[launch.Role, ...]) -> None:
    """Each has shared memory of its own."""
    bytes_of, room = {"fp32": 4, "bf16": 2}[dtype], launch.SHARED_MEMORY["sm_90"]
    for kernel, stages in built("dense", dtype, head_dim, roles, spans=False).items():
        role: launch.Role = kernel.rpartition("_")[0]  # type: ignore[assignment]
        chosen = launch.options(role, Tile(128, 128), head_dim, bytes_of, room)
        count = launch.together(8, role, chosen, head_dim, bytes_of, room)
        assert count == 1 or count * stages["report"].shared <= room


@pytest.mark.parametrize(
    ("name", "head_dim"),
    [
        ("logsparse", 128),
        *(pytest.param(name, dim, marks=pytest.mark.slow) for name, dim in [("logsparse", 64), ("neighborhood", 128)]),
    ],
)
def test_kernels_of_diagonals_fit_the_registers(name: str, head_dim: int) -> None:
    kernels = built(name, "bf16", head_dim, launch.ROLES, spans=True)
    assert set(kernels) == {f"{role}_0" for role in launch.ROLES}
    for stages in kernels.values():
        report = stages["report"]
        assert report.spills == 0, str(report)
        assert report.registers <= LARGEST_REGISTERS
        assert report.tensor_cores == ()
        assert narrow_offsets(stages["ttir"]) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "variant", [launch.Variant(pack=4, split=True), launch.Variant(pack=8, owned=True, spans=True)]
)
@pytest.mark.parametrize("head_dim", [64, 128])
def test_kernels_of_few_rows(variant: launch.Variant, head_dim: int) -> None:
    """Decoding: the heads of a group in one block, with their keys shared out or not."""
    bound = load("library:fixed_factorized")["fixed_factorized"].bind().bound
    program = stored(bound.union, bound.direction, "fixed_factorized")
    chosen = launch.options("forward", program.tile, head_dim, 2, launch.SHARED_MEMORY["sm_90"], variant.pack)
    assert chosen.block_q == 16
    kernels = build(
        program, head_dim=head_dim, dtype="bf16", target="sm_90", roles=("forward",), variant=variant, options=chosen
    )
    for stages in kernels.values():
        assert stages["report"].spills == 0
        assert "mma" in stages["report"].tensor_cores
        assert narrow_offsets(stages["ttir"]) == []


def narrow_offsets(ttir: str) -> list[str]:
    """Places where an address is a pointer plus an offset of 32 bits, except where the offset is no product.

    A row times its stride passes 2**31 in a matrix of a million tokens. The rows themselves, by which the vectors lse
    and delta (fp32) are read, and the spans (int32 [B, 2]) do not.
    """
    sums = re.findall(r"tt\.addptr .*? : (?:tensor<[0-9x]+)?!tt\.ptr<(\w+)>>?, (?:tensor<([0-9x]+)x)?(i\d+)", ttir)
    assert len(sums) == ttir.count("tt.addptr ")
    assert {width for *_, width in sums} <= {"i32", "i64"}
    vector_of_rows, pair_of_spans = ("f32", True), ("i32", False)
    return [
        f"{kind} {shape}"
        for kind, shape, width in sums
        if width == "i32" and (kind, bool(shape) and "x" not in shape) not in (vector_of_rows, pair_of_spans)
    ]


def test_a_narrow_offset_is_seen() -> None:
    line = "%1 = tt.addptr %0, %9 : {}!tt.ptr<{}>{}, {} loc(#loc)"
    rows = line.format("tensor<64x", "f32", ">", "tensor<64xi32>")
    matrix = line.format("tensor<64x16x", "bf16", ">", "tensor<64x16xi32>")
    assert narrow_offsets(rows) == []
    assert narrow_offsets(matrix) == ["bf16 64x16"]
    assert narrow_offsets(matrix.replace("i32", "i64")) == []
    assert narrow_offsets(line.format("", "bf16", "", "i32")) == ["bf16 "]


@pytest.mark.slow
def test_the_report_of_the_command(tmp_path: Path) -> None:
    request = Request.parse(length=65536, head_dim=64, dtype="bf16", targets="sm_90", emit="report")
    build_artifact(load("library:fixed_factorized")["fixed_factorized"].bind(), request, tmp_path / "out", print)
    report = json.loads((tmp_path / "out" / "sm_90" / "report.json").read_text())
    assert set(report) == {"forward_0", "backward_query_0", "backward_key_0", "backward_key_1"}
    for entry in report.values():
        assert entry["spills"] == 0 and entry["registers"] > 0 and entry["shared"] > 0
        assert "wgmma" in entry["tensor_cores"]
