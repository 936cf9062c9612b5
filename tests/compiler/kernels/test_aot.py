"""Kernels are built ahead of time for every target, with no GPU."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("triton")

import patternc as pc
from patternc.compiler.kernels.aot import TARGETS, BuildError, build, plain
from patternc.compiler.kernels.launch import Options, Variant
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Tile

PROGRAMS = Path(__file__).parents[2] / "runtime" / "engines" / "interpreter" / "programs.py"
CASES: dict[str, Any] = runpy.run_path(str(PROGRAMS))["CASES"]


@pytest.fixture(autouse=True)
def directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "triton"))


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_every_target(target: Any) -> None:
    built = build(CASES["strided"]().program, head_dim=32, dtype="bf16", target=target)
    assert sorted(built) == sorted(
        f"{role}_{index}" for role in ("forward", "backward_query", "backward_key") for index in (0, 1)
    )
    code, binary = ("amdgcn", "hsaco") if target == "gfx942" else ("ptx", "cubin")
    for name, stages in built.items():
        assert name in stages[code]
        assert stages[binary][1:4] == b"ELF"
        assert all(stages[stage] for stage in ("ttir", "ttgir", "llir"))
        assert stages["report"].registers > 0
        assert stages["report"].tensor_cores


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_every_program_compiles(name: str) -> None:
    """The interpreter accepts more than the compiler: constants as bounds, values of no fixed type."""
    program = CASES[name]().program
    assert build(
        program, head_dim=16, dtype="bf16", target="sm_80", variant=Variant(spans=True), options=Options(16, 16, 1, 1)
    )


def test_an_order_with_digits_compiles() -> None:
    """Its count is a tuple, which Triton compares otherwise than Python does."""
    window = "{ (i, j) : -2 <= i.x - j.x <= 2 and -2 <= i.y - j.y <= 2 }"
    bound = pc.loads(f"pattern boxes causal grid(y, x = 64) {{ step {window} }}")["boxes"].bind().bound
    program = lower(bound.union, bound.direction, bound.name, Tile(32, 32)).program
    assert any(kernel.order.tiled for kernel in program.forward)
    options = Options(32, 32, 2, 1)
    for variant in (Variant(), Variant(spans=True, split=True, pack=2)):
        assert build(program, head_dim=16, dtype="bf16", target="sm_80", variant=variant, options=options)


def test_one_kernel() -> None:
    """Also a head dimension that is no power of two, padded batches and fp32."""
    program = CASES["dense_causal"]().program
    built = build(program, head_dim=24, dtype="fp32", target="sm_80", variant=Variant(spans=True), roles=("forward",))
    report = built["forward_0"]["report"]
    assert report.registers > 0 and report.tensor_cores == ("mma",)
    assert "forward_0 sm_80" in str(report)


def test_packed_documents_and_capped_scores() -> None:
    """One variant of each role: what the interpreter accepts need not compile."""
    program, variant = CASES["sliding_window"]().program, Variant(spans=True, packed=True, softcap=30.0)
    built = build(program, head_dim=16, dtype="bf16", target="sm_80", variant=variant, options=Options(16, 16, 1, 1))
    assert sorted(built) == ["backward_key_0", "backward_query_0", "forward_0"]
    plain = build(program, head_dim=16, dtype="bf16", target="sm_80", options=Options(16, 16, 1, 1))
    for name, stages in built.items():
        # tanh takes one exp2 of its own for each score.
        assert stages["ptx"].count("ex2.approx") > plain[name]["ptx"].count("ex2.approx")


def test_lists_of_blocks() -> None:
    """What a plain call compiles, with what a table draws and without."""
    program = replace(CASES["dense_bidirectional"]().program, table=32)
    assert plain(program) == Variant(delta=True, table=True)
    listed, without = (
        build(program, head_dim=16, dtype="bf16", target="sm_80", variant=variant, options=Options(16, 16, 1, 1))
        for variant in (None, Variant())
    )
    assert sorted(listed) == ["backward_key_0", "backward_query_0", "forward_0"]
    for name, stages in listed.items():
        assert stages["ptx"].count("mma.sync") > without[name]["ptx"].count("mma.sync")


def test_rows_and_columns_are_not_multiplied_as_matrices() -> None:
    """Triton's compiler makes a product of matrices of some sums of products, and rounds its factors."""
    bound = pc.loads("pattern p bidirectional { step global(first(1)) }")["p"].bound
    program = lower(bound.union, bound.direction, "p").program
    for dtype in ("bf16", "fp32"):
        built = build(program, head_dim=64, dtype=dtype, target="sm_90")
        assert len(built) == 6
        assert {stages["report"].tensor_cores for stages in built.values()} == {()}
        assert {stages["report"].spills for stages in built.values()} == {0}


def test_two_sequences() -> None:
    """The kernels of a cross pattern: two lengths."""
    bound = pc.loads("pattern p cross { step local(4) | { (i, j) : nq - i = nk - j } }")["p"].bound
    program = lower(bound.union, bound.direction, "p", Tile(16, 16)).program
    built = build(program, head_dim=16, dtype="bf16", target="sm_80", options=Options(16, 16, 1, 1))
    assert {"backward_key_0", "backward_query_0", "forward_0"} <= built.keys()


def test_a_kernel_that_does_not_fit_is_named() -> None:
    program = CASES["dense_causal"]().program
    with pytest.raises(BuildError, match="forward_0 does not compile for sm_80"):
        build(program, head_dim=16, dtype="bf16", target="sm_80", roles=("forward",), options=Options(3, 16, 1, 1))


def test_unknown_targets_are_refused() -> None:
    unknown: Any = "sm_75"
    with pytest.raises(ValueError, match="sm_80, sm_90, sm_100, gfx942"):
        build(CASES["dense_causal"]().program, head_dim=16, dtype="bf16", target=unknown)
