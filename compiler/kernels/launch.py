"""How kernels are launched: blocks, padding of the head dimension, warps, pipeline stages and registers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeAlias, get_args

from ..passes.program import Program, Tile
from .occupancy import instances, is_one_loop

Role: TypeAlias = Literal["forward", "backward_query", "backward_key"]
ROLES: tuple[Role, ...] = get_args(Role)

FUSED = {"enable_fp_fusion": True}
"""Told to Triton's compiler of every kernel: a product and a sum are one instruction. Triton has done so unasked up to
3.9, and says that it will not from 3.10 on."""


@dataclass(frozen=True, slots=True)
class Options:
    """Ranks per block of either side (they divide the program's tiles) and Triton's compile options. ``registers``: at
    most, for each thread, so that a processor holds more instances; None: as many as the compiler likes."""

    block_q: int
    block_k: int
    num_warps: int
    num_stages: int
    registers: int | None = None

    @property
    def settings(self) -> dict[str, int]:
        """What Triton's compiler is told. Its compiler for AMD knows no limit of registers."""
        limit = {} if self.registers is None else {"maxnreg": self.registers}
        return {"num_warps": self.num_warps, "num_stages": self.num_stages, **limit, **FUSED}


@dataclass(frozen=True, slots=True)
class Variant:
    """What of a call is compiled into a kernel: whether it reads spans, of padding or (``packed``) of documents; where
    scores are capped, 0 is nowhere; ``pack`` lanes per rank; whether keys are shared out (``split``); whether other
    programs own some of the heads (``owned``); whether gradients of keys are added to what is there (``add``), and read
    one query head for each key head (``alone``); whether ``delta`` of its rows is found on the way to the gradient of
    queries, and not read; whether the call lists blocks of a ``table``. See runtime/engines/triton/lanes.py for
    ``pack``, ``split`` and ``owned``."""

    spans: bool = False
    packed: bool = False
    softcap: float = 0.0
    pack: int = 1
    split: bool = False
    owned: bool = False
    add: bool = False
    alone: bool = False
    delta: bool = False
    table: bool = False


def form(program: Program, role: Role, index: int) -> tuple[Tile, bool]:
    """The tile that the blocks of a kernel divide: its stationary side, and that of the program; and whether the kernel
    multiplies no matrices."""
    if role == "backward_key":
        kernel = program.backward[index]
        return Tile(program.tile.query, program.keys_held(kernel)), program.is_vector(kernel)
    kernel = program.forward[index]
    return Tile(program.queries_held(kernel), program.tile.key), program.is_vector(kernel)


def block_dim(head_dim: int) -> int:
    """The head dimension padded to a power of two, as blocks need it."""
    return max(16, 1 << (head_dim - 1).bit_length())


SHARED_MEMORY = {"sm_80": 163 << 10, "sm_90": 227 << 10, "sm_100": 227 << 10, "gfx942": 64 << 10}
"""Bytes that one program instance may use; other GPUs are asked."""


# (role, widest head dimension, fp32): stationary ranks, swept ranks, warps. In 16 bits and up to 128, the largest
# blocks of which typical programs do not spill in ahead-of-time builds for sm_90 (aot.py reports registers and spills),
# not a choice by timings: see tune.py for those. backward_key keeps two accumulators, so that its swept block is small.
# fp32 products are split in three, and the fragments of each take registers: with Triton 3.7, dense attention spills
# 24 and 304 bytes for each thread (forward, backward_query) at 64, and 1,000 to 1,900 at 128; on sm_80 464 and 1,528
# at 64, and 3,000 to 15,000 at 128. Blocks of a quarter spill too, if less.
_BLOCKS: dict[tuple[Role, int, bool], tuple[int, int, int]] = {
    ("forward", 64, False): (128, 64, 8),
    ("forward", 128, False): (128, 64, 8),
    ("forward", 256, False): (128, 32, 8),
    ("forward", 64, True): (64, 32, 4),
    ("forward", 128, True): (64, 32, 4),
    ("forward", 256, True): (64, 16, 8),
    ("backward_query", 64, False): (128, 64, 8),
    ("backward_query", 128, False): (128, 64, 8),
    ("backward_query", 256, False): (64, 32, 8),
    ("backward_query", 64, True): (64, 32, 4),
    ("backward_query", 128, True): (64, 32, 4),
    ("backward_query", 256, True): (32, 16, 8),
    ("backward_key", 64, False): (128, 32, 8),
    ("backward_key", 128, False): (128, 16, 8),
    ("backward_key", 256, False): (64, 32, 8),
    ("backward_key", 64, True): (64, 32, 8),
    ("backward_key", 128, True): (64, 32, 8),
    ("backward_key", 256, True): (32, 16, 8),
}


@lru_cache(maxsize=256)
def options(
    role: Role,
    tile: Tile,
    head_dim: int,
    itemsize: int,
    shared: int,
    lanes: int | None = None,
    *,
    vector: bool = False,
    registers: int = 0,
) -> Options:
    """Blocks that divide ``tile`` and a pipeline of three stages, reduced until they fit ``shared`` bytes.

    ``lanes``: rows that a query block of the forward pass can have at most; with few, memory is what counts, and more
    keys are under way at once. ``vector``: of a kernel that multiplies no matrices. ``registers``: as ``limitable``
    has them."""
    if vector:
        still, swept = (tile.key, tile.query) if role == "backward_key" else (tile.query, tile.key)
        still, swept, warps = _vector_blocks(still, swept, head_dim, lanes)
        return Options(*((swept, still) if role == "backward_key" else (still, swept)), warps, 1)
    width, stages = block_dim(head_dim), 1 if itemsize > 2 else 3
    many = lanes is None or lanes > _FEW[-1]
    if registers and many and (width, itemsize) == (128, 2) and _is_limited(tile, shared, registers):
        return _LIMITED
    most, swept, warps = _BLOCKS[role, max(64, width), itemsize > 2]
    still_limit, swept_limit = (tile.key, tile.query) if role == "backward_key" else (tile.query, tile.key)
    still = min(most, still_limit)
    if role != "backward_key":  # there two sums leave no register over
        warps = max(1, warps * still // most)
    if lanes is not None and lanes < still:
        still = min(still, next(size for size in _FEW if lanes <= size))
        swept, warps = max(swept, 128 * 64 // width), 4
    swept = min(swept, swept_limit)
    while _shared_bytes(role, still, swept, stages, width * itemsize) > shared:
        if stages > 1:
            stages -= 1
        elif swept > 16:
            swept //= 2
        elif still > 16:
            still //= 2
        else:
            break  # Triton may still find room: it keeps part of this in registers.
    query, key = (swept, still) if role == "backward_key" else (still, swept)
    return Options(query, key, warps, stages)


_LIMITED = Options(64, 32, 4, 3, registers=168)
"""Of a forward kernel whose rows are 128 numbers of 16 bits. A processor of an H100 holds three instances for two, and
the window of ``local(128) | strided(128)`` takes 0.82 ms for 0.94 (65,536 tokens of 32 heads, bfloat16)."""


def _is_limited(tile: Tile, shared: int, registers: int) -> bool:
    """Whether ``_LIMITED`` divides the tile, and shared memory holds as many instances as so few registers allow."""
    one, most = _LIMITED, _LIMITED.registers or 0
    need = _shared_bytes("forward", one.block_q, one.block_k, one.num_stages, 256)
    divides = tile.query == one.block_q and tile.key % one.block_k == 0
    return divides and instances(most, one.num_warps, need, shared) == registers // (32 * one.num_warps * most)


def limitable(program: Program, role: Role, index: int, registers: int) -> int:
    """``registers``, those of a processor, where a limit for each thread spills nothing of this kernel; else 0."""
    return registers if role == "forward" and is_one_loop(program, index) else 0


_ELEMENTS = 2048
"""Of a block of a vector kernel: 16 for each thread, of which several such blocks fit its registers."""


def _vector_blocks(still: int, swept: int, head_dim: int, lanes: int | None) -> tuple[int, int, int]:
    """(stationary ranks, swept ranks, warps) of a kernel of diagonals and columns, which are swept one by one, or of
    rows, each of which sweeps blocks.

    Blocks of few ranks: their products are sums in registers, in no need of larger ones. As many as ``lanes`` where
    these are few: then a block may have to hold the heads of a group."""
    width = block_dim(head_dim)
    ranks = max(16, min(64, _ELEMENTS // width))
    if still == 1:
        return 1, min(ranks, swept), 4
    if lanes is not None and lanes <= _FEW[-1]:
        ranks = next(size for size in _FEW if lanes <= size)
    ranks = min(ranks, still)
    return ranks, min(ranks, swept), max(1, min(8, ranks * width // 512))


def candidates(
    role: Role, tile: Tile, head_dim: int, itemsize: int, shared: int, first: Options, *, vector: bool = False
) -> tuple[Options, ...]:
    """``first``, and what else fits of what was fastest for some program on an H200 (benchmarks/kernel_time.py). A few,
    since each is compiled to be timed. ``vector``: as in ``options``."""
    if vector:
        others = [warps for warps in (first.num_warps // 2, first.num_warps * 2) if warps]
        return (first, *(replace(first, num_warps=warps) for warps in others))
    width = block_dim(head_dim)
    still_limit, swept_limit = (tile.key, tile.query) if role == "backward_key" else (tile.query, tile.key)
    found = [first]
    if role == "forward" and first.block_q < min(64, still_limit):  # few rows
        return (first, replace(first, num_stages=2))
    for still, swept, warps, stages in _TRIED[role]:
        swept //= max(1, width * itemsize // 256)  # of wider rows as many bytes
        query, key = (swept, still) if role == "backward_key" else (still, swept)
        fits = swept >= 16 and still <= still_limit and swept <= swept_limit
        if fits and _shared_bytes(role, still, swept, stages, width * itemsize) <= shared:
            found.append(Options(query, key, warps, stages))
    if still_limit < 64:  # no block of the list divides it
        found.append(replace(first, num_stages=max(1, first.num_stages - 1)))
        small = {"block_q": max(16, first.block_q // 2), "block_k": max(16, first.block_k // 2)}
        found.append(replace(first, **small))
    return tuple(dict.fromkeys(found))


_TRIED: dict[Role, tuple[tuple[int, int, int, int], ...]] = {
    "forward": ((128, 128, 8, 3), (128, 64, 8, 3), (64, 64, 4, 3), (64, 64, 4, 2)),
    "backward_query": ((128, 64, 8, 3), (64, 64, 4, 2), (64, 32, 4, 3)),
    "backward_key": ((128, 64, 8, 3), (128, 64, 8, 2), (128, 32, 8, 3), (64, 32, 4, 3), (64, 32, 4, 2)),
}
"""Stationary ranks, swept ranks, warps and stages, for rows of 256 bytes."""

_FEW = (16, 64, 128)
"""Query blocks for few rows; not all sizes, since each is another binary."""


def pack(rows: int, group: int) -> int:
    """Lanes per rank of a query block: 1, or with few rows a power of two that holds the query heads of a key head,
    so that their keys are read once for all of them."""
    lanes = 1 << (group - 1).bit_length()
    return lanes if group > 1 and rows * lanes <= _FEW[-1] else 1


def together(count: int, role: Role, options: Options, head_dim: int, itemsize: int, shared: int) -> int:
    """Of so many programs with heads of their own, how many run in one launch. Their kernels are branches of one: it
    needs the registers of the largest, but Triton gives each branch shared memory of its own. Beyond that they are
    launched one after the other."""
    still, swept = options.block_q, options.block_k
    if role == "backward_key":
        still, swept = swept, still
    # fp32 is there as two numbers of tf32, but on AMD's GPUs, which have least of it.
    parts = 2 if itemsize > 2 and shared > SHARED_MEMORY["gfx942"] else 1
    each = _shared_bytes(role, still, swept, options.num_stages, block_dim(head_dim) * itemsize * parts)
    return max(1, min(count, shared // each))


def _shared_bytes(role: Role, still: int, swept: int, stages: int, row: int) -> int:
    """Stationary matrices (q; or q and dO; or k and v), and two swept ones per stage, with their lse and delta."""
    return (1 if role == "forward" else 2) * still * row + stages * swept * (2 * row + 8)
