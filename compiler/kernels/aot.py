"""aot: kernels of a program compiled ahead of time, on any machine, for NVIDIA and AMD targets.

Strides of the last axis are 1 and the others multiples of 16 elements, as contiguous tensors of any head dimension
that is a multiple of 16 have them. A grid is (turn * blocks, bundles / turn), as in
runtime/engines/triton/kernel_run.py.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from ..passes.program import Program
from . import launch
from .kernel_file import kernel
from .occupancy import REGISTERS, instances

Dtype: TypeAlias = Literal["fp32", "bf16", "fp16"]
Target: TypeAlias = Literal["sm_80", "sm_90", "sm_100", "gfx942"]
TARGETS: tuple[Target, ...] = get_args(Target)

_ITEMSIZE: Mapping[str, int] = {"fp32": 4, "bf16": 2, "fp16": 2}


class BuildError(RuntimeError):
    """A kernel does not compile, or does not fit the target; the message names the kernel and the remedy."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a compiled kernel needs. ``shared`` is in bytes per program instance, ``spills`` in bytes per thread of
    local memory (NVIDIA) or in spilled vector registers (AMD). ``limit``: of registers, that the compiler was told.
    ``instances``: that a processor holds at once, by registers and shared memory; None on AMD."""

    kernel: str
    target: str
    registers: int
    spills: int
    shared: int
    num_warps: int
    num_stages: int
    tensor_cores: tuple[str, ...]  # the matrix instructions that occur: wgmma, mma, tcgen05, mfma
    limit: int | None = None
    instances: int | None = None

    def __str__(self) -> str:
        units = ", ".join(self.tensor_cores) or "no matrix instructions"
        limit = "" if self.limit is None else f" of at most {self.limit}"
        held = "" if self.instances is None else f", {self.instances} instances to a processor"
        return (
            f"{self.kernel} {self.target}: {self.registers} registers{limit}, {self.spills} spilled, {self.shared} "
            f"bytes shared, {self.num_warps} warps, {self.num_stages} stages{held}, {units}"
        )


def build(
    program: Program,
    *,
    head_dim: int,
    dtype: Dtype,
    target: Target,
    variant: launch.Variant | None = None,
    roles: tuple[launch.Role, ...] = launch.ROLES,
    options: launch.Options | None = None,
) -> dict[str, dict[str, Any]]:
    """Per kernel name: ``ttir``, ``ttgir``, ``llir``, ``ptx`` and ``cubin`` (``amdgcn`` and ``hsaco`` on AMD) as text
    or bytes, and ``report``, a Report. No GPU is needed. ``variant``: by default that of ``plain``.

    Raises BuildError; ValueError for an unknown target or dtype.
    """
    if target not in TARGETS or dtype not in _ITEMSIZE:
        raise ValueError(f"unknown target {target!r} or dtype {dtype!r}; targets: {', '.join(TARGETS)}")
    variant = plain(program) if variant is None else variant
    built: dict[str, dict[str, Any]] = {}
    for role in roles:
        for index in range(len(program.backward if role == "backward_key" else program.forward)):
            name, shared = f"{role}_{index}", launch.SHARED_MEMORY[target]
            tile, vector = launch.form(program, role, index)
            own = replace(variant, delta=variant.delta and index == 0)
            registers = launch.limitable(program, role, index, REGISTERS.get(target, 0))
            size = _ITEMSIZE[dtype]
            chosen = options or launch.options(role, tile, head_dim, size, shared, vector=vector, registers=registers)
            built[name] = _compile(kernel(program, role, index), name, head_dim, dtype, target, own, chosen)
    return built


def plain(program: Program) -> launch.Variant:
    """What a call on one whole sequence compiles: the first kernel finds delta where it has every row, and takes what a
    table draws."""
    return launch.Variant(delta=bool(program.forward) and program.forward[0].order.covers_all, table=program.table > 0)


def _compile(
    kernel: Any, name: str, head_dim: int, dtype: Dtype, target: Target, variant: launch.Variant, chosen: launch.Options
) -> dict[str, Any]:
    import triton
    from triton.compiler import ASTSource

    if not isinstance(kernel, triton.JITFunction):
        raise BuildError(f"{name} cannot be compiled while TRITON_INTERPRET is set: unset it and start anew")
    signature, constants, attributes = _signature(kernel.arg_names, head_dim, dtype, target, variant, chosen)
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=attributes)
    try:
        compiled = triton.compile(source, target=_gpu_target(target), options=chosen.settings)
    except Exception as error:
        raise BuildError(f"{name} does not compile for {target}: {error}") from error
    stages: dict[str, Any] = dict(compiled.asm)
    stages["report"] = _report(name, target, compiled.metadata.shared, chosen, stages)
    return stages


def _gpu_target(target: Target) -> Any:
    from triton.backends.compiler import GPUTarget

    if target.startswith("gfx"):
        return GPUTarget("hip", target, 64)
    return GPUTarget("cuda", int(target.removeprefix("sm_")), 32)


def _signature(
    names: list[str], head_dim: int, dtype: Dtype, target: Target, variant: launch.Variant, chosen: launch.Options
) -> tuple[dict[str, str], dict[str, Any], dict[tuple[int], list[list[Any]]]]:
    """Types, constants and divisibility of the arguments of a kernel, told from their names."""
    constants: dict[str, Any] = {
        "HEAD_DIM": head_dim,
        "BLOCK_D": launch.block_dim(head_dim),
        "BLOCK_Q": chosen.block_q,
        "BLOCK_K": chosen.block_k,
        "PACKED": variant.packed,
        "SOFTCAP": variant.softcap,
        "PACK": variant.pack,
        "SPLIT": variant.split,
        "ADD": variant.add,
        "ALONE": variant.alone,
        "PRECISION": "ieee" if target.startswith("gfx") else "tf32x3",
    }
    signature: dict[str, str] = {}
    given = {"spans_ptr": variant.spans, "owner_ptr": variant.owned}
    given |= {"blocks_ptr": variant.table, "starts_ptr": variant.table}
    if "final_ptr" in names:
        given |= {"out_ptr": variant.delta, "final_ptr": variant.delta}
    attributes: dict[tuple[int], list[list[Any]]] = {}
    for at, name in enumerate(names):
        aligned = False
        if name in constants:
            signature[name] = "constexpr"
        elif not given.get(name, True):
            signature[name], constants[name] = "constexpr", None
        elif name in given and name not in ("out_ptr", "final_ptr"):
            signature[name] = "*i32"
        elif name.endswith("_ptr"):
            signature[name] = "*fp32" if name in ("final_ptr", "lse_ptr", "delta_ptr") else f"*{dtype}"
            aligned = True
        elif name.endswith("_d"):
            signature[name], constants[name] = "constexpr", 1
        elif name == "scale":
            signature[name] = "fp32"
        elif re.fullmatch(r"(q|k|v|o|do)_[bhn]", name):
            signature[name] = "i64"
            aligned = head_dim % 16 == 0
        else:
            signature[name] = "i32"
        if aligned:
            attributes[(at,)] = [["tt.divisibility", 16]]
    return signature, constants, attributes


# The report -------------------------------------------------------------------------------------------------------


def _report(name: str, target: Target, shared: int, chosen: launch.Options, stages: dict[str, Any]) -> Report:
    if target.startswith("gfx"):
        text = stages["amdgcn"]
        registers, spills = _number(r"\.vgpr_count:\s+(\d+)", text), _number(r"\.vgpr_spill_count:\s+(\d+)", text)
        units: tuple[str, ...] = ("mfma",) if "v_mfma" in text else ()
        held = None
    else:
        text = _resource_usage(stages["cubin"])
        registers, spills = _number(r"REG:(\d+)", text), _number(r"LOCAL:(\d+)", text)
        # ptxas keeps spills on the stack, and cuobjdump counts them there.
        spills = max(spills, _number(r"STACK:(\d+)", text))
        ptx = stages["ptx"]
        known = {"wgmma": "wgmma.mma_async", "mma": "\tmma.sync", "tcgen05": "tcgen05.mma"}
        units = tuple(unit for unit, text in known.items() if text in ptx)
        held = instances(registers, chosen.num_warps, shared, launch.SHARED_MEMORY[target])
    warps, stages_of = chosen.num_warps, chosen.num_stages
    return Report(name, target, registers, spills, shared, warps, stages_of, units, chosen.registers, held)


def _resource_usage(cubin: bytes) -> str:
    """What cuobjdump, which triton's wheel brings along, says about a cubin."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        run = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=False)
    return run.stdout


def _number(pattern: str, text: str) -> int:
    found = re.search(pattern, text)
    return int(found.group(1)) if found else 0
