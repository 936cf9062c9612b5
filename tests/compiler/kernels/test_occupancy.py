"""Which launches have a limit of registers, and how many instances of a kernel a processor then holds."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from patternc.compiler.kernels import launch
from patternc.compiler.kernels.launch import SHARED_MEMORY, Options
from patternc.compiler.kernels.occupancy import REGISTERS, instances, is_one_loop
from patternc.compiler.lowering.lower import lower
from patternc.compiler.passes.program import Program, Tile
from patternc.compiler.pattern import loads

TILE = Tile(64, 64)
H100 = SHARED_MEMORY["sm_90"]


def program(text: str, tile: Tile = TILE) -> Program:
    bound = loads(f"pattern p causal {{ step {text} }}")["p"].bound
    return lower(bound.union, bound.direction, "p", tile).program


def chosen(
    role: Any = "forward", tile: Tile = TILE, dim: int = 128, size: int = 2, lanes: int | None = None
) -> Options:
    return launch.options(role, tile, dim, size, H100, lanes, registers=REGISTERS["sm_90"])


@pytest.mark.parametrize(
    ("registers", "warps", "shared", "held"),
    [
        # CUDA's occupancy calculator, compute capability 9.0: 65,536 registers and 228 KiB of a processor.
        (168, 4, 64 << 10, 3),
        (169, 4, 64 << 10, 2),
        (128, 4, 48 << 10, 4),
        (255, 8, 64 << 10, 1),
        (128, 8, 96 << 10, 2),
        (168, 4, 112 << 10, 2),
        (168, 4, 227 << 10, 1),
    ],
)
def test_instances_are_those_of_the_occupancy_calculator(registers: int, warps: int, shared: int, held: int) -> None:
    assert instances(registers, warps, shared, H100) == held


def test_one_loop_is_one_range_and_no_table() -> None:
    window = program("local(100)")
    assert [len(sweep.ranges) for sweep in window.forward[0].sweeps] == [1] and is_one_loop(window, 0)
    assert not is_one_loop(replace(window, table=64), 0)
    assert not is_one_loop(program("local(1000)"), 0)  # its whole tiles are not masked
    two = program("local(100) | strided(128)")
    assert [is_one_loop(two, index) for index in range(2)] == [True, False]


def test_a_kernel_of_one_loop_has_a_limit() -> None:
    window, most = program("local(100)"), REGISTERS["sm_90"]
    assert launch.limitable(window, "forward", 0, most) == most
    assert launch.limitable(window, "backward_query", 0, most) == launch.limitable(window, "backward_key", 0, most) == 0
    assert launch.limitable(program("local(1000)"), "forward", 0, most) == 0
    found = chosen()
    assert found == Options(64, 32, 4, 3, 168)
    assert found.settings == {"num_warps": 4, "num_stages": 3, "maxnreg": 168, "enable_fp_fusion": True}
    assert replace(found, registers=None).settings == {"num_warps": 4, "num_stages": 3, "enable_fp_fusion": True}


@pytest.mark.parametrize(
    "other",
    [
        {"tile": Tile(128, 128)},
        {"tile": Tile(64, 16)},
        {"dim": 64},
        {"dim": 256},
        {"size": 4},
        {"dim": 64, "size": 4},  # as wide in bytes
        {"lanes": 64},
    ],
)
def test_others_have_none(other: dict[str, Any]) -> None:
    assert chosen(**other).registers is None


def test_nor_where_shared_memory_holds_no_more() -> None:
    for target, shared in SHARED_MEMORY.items():
        found = launch.options("forward", TILE, 128, 2, shared, registers=REGISTERS.get(target, 0))
        assert (found.registers is not None) == (target == "sm_90")
    assert launch.options("forward", TILE, 128, 2, SHARED_MEMORY["sm_80"], registers=1 << 16).registers is None


def test_tuning_tries_it_beside_others() -> None:
    tried = launch.candidates("forward", TILE, 128, 2, H100, chosen())
    assert tried[0].registers == 168 and len(tried) > 1
    assert {one.registers for one in tried[1:]} == {None}
    plain = launch.options("forward", TILE, 128, 2, H100)
    assert {one.registers for one in launch.candidates("forward", TILE, 128, 2, H100, plain)} == {None}


def test_the_compiler_knows_the_settings_of_each_target() -> None:
    pytest.importorskip("triton")
    from triton.backends.amd.compiler import HIPOptions
    from triton.backends.nvidia.compiler import CUDAOptions

    known = {"sm": {each.name for each in fields(CUDAOptions)}, "gfx": {each.name for each in fields(HIPOptions)}}
    for target, shared in SHARED_MEMORY.items():
        found = launch.options("forward", TILE, 128, 2, shared, registers=REGISTERS.get(target, 0))
        assert set(found.settings) <= known["gfx" if target.startswith("gfx") else "sm"], target
