"""Generated source is read back as what it does."""

from __future__ import annotations

import contextlib
import runpy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from differences import differences
from hypothesis import given, settings
from hypothesis import strategies as st

from patternc.compiler.kernels.emit.program import emit
from patternc.compiler.kernels.read.program import ReadError, read
from patternc.compiler.passes.order import STRAIGHT, Turn
from patternc.compiler.passes.program import NATURAL, Kernel, Program, Range, Sweep, Term, Tile
from patternc.compiler.relations.integer import (
    All,
    AnyOf,
    Binary,
    Compare,
    Const,
    Expr,
    Predicate,
    Select,
    Var,
    evaluate,
)

PROGRAMS = Path(__file__).parents[2] / "runtime" / "engines" / "interpreter" / "programs.py"
CASES: dict[str, Any] = runpy.run_path(str(PROGRAMS))["CASES"]


@pytest.mark.parametrize("name", CASES)
def test_reading_undoes_emitting(name: str) -> None:
    program = CASES[name]().program
    back = read(emit(program))
    assert differences(back, program) == []
    assert emit(back) == emit(program)


def expressions(names: tuple[str, ...]) -> st.SearchStrategy[Expr]:
    leaves: st.SearchStrategy[Expr] = st.builds(Const, st.integers(-40, 40)) | st.sampled_from([Var(x) for x in names])

    def grow(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        divisors = st.builds(Const, st.integers(1, 9))
        return (
            st.builds(Binary, st.sampled_from(["+", "-", "*", "min", "max"]), inner, inner)
            | st.builds(Binary, st.sampled_from(["//", "%"]), inner, divisors)
            | st.builds(Select, comparisons(inner), inner, inner)
        )

    return st.recursive(leaves, grow, max_leaves=8)


def comparisons(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Predicate]:
    return st.builds(Compare, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), inner, inner)


def predicates(names: tuple[str, ...]) -> st.SearchStrategy[Predicate]:
    def grow(inner: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
        parts = st.lists(inner, max_size=3).map(tuple)
        return st.builds(All, parts) | st.builds(AnyOf, parts)

    return st.recursive(comparisons(expressions(names)), grow, max_leaves=4)


@settings(deadline=None)  # a busy machine is no failure
@given(expressions(("I", "c", "T", "n")), predicates(("c", "a", "b", "n")), st.data())
def test_any_bound_and_mask_comes_back_with_its_meaning(bound: Expr, keep: Predicate, data: st.DataObject) -> None:
    term = Term("any", 1, NATURAL, NATURAL, STRAIGHT, keep)
    forward = Kernel(NATURAL, (Sweep(0, (Range(bound, Var("T"), True),)),))
    backward = Kernel(NATURAL, (Sweep(0, (Range(Const(0), Var("T"), True),)),))
    back = read(emit(Program("any", False, Tile(16, 32), (term,), (forward,), (backward,))))
    values = {name: data.draw(st.integers(0, 50)) for name in ("I", "c", "T", "n", "a", "b")}
    assert evaluate(back.forward[0].sweeps[0].ranges[0].lo, values) == evaluate(bound, values)
    assert bool(evaluate(back.terms[0].keep, values)) == bool(evaluate(keep, values))


# What someone changed is seen ---------------------------------------------------------------------------------------

SEEN = [
    ("a bound", "def term0_lo(I, c, T, n):\n    return I", "def term0_lo(I, c, T, n):\n    return I + 1"),
    ("a mask", "return ((a - b) | ", "return ((a - b - 1) | "),
    ("a tile", "T = tl.cdiv(count, 16)", "T = tl.cdiv(count, 32)"),
    ("an order, everywhere", "16, 4, 12", "16, 4, 11"),
    ("an order, once", "count = ranks(kc, n, 16, 4, 12)", "count = ranks(kc, n, 16, 4, 8)"),
    ("a mask left out", "keep = keep0(c, a[:, None], b[None, :], n) & (b < count)", "keep = (b < count)"),
    ("a mask left out of several", " | ((kept1 > 0) & keep1(c, a[:, None], b[None, :], n))", " | (kept1 > 0)"),
    ("a ragged block not noted", "whole_blocks(lo, hi, 0, whole, full)", "whole_blocks(lo, hi, 0, whole, kept1)"),
    ("a ragged block forgotten", "    kept1 = 0 * whole\n", "    kept1 = 0 * whole\n    kept2 = 0 * whole\n"),
    ("ragged blocks of some ranges", "edges = kept1", "edges = 0 * kept1"),
    ("existence left out", " & (b < count)[None, :]", ""),
    ("a range taken whole", "lo, hi, kept1 = whole_blocks(lo, hi, 0, whole, kept1)\n", ""),
    ("blocks taken whole", "BLOCK_Q, owner_ptr is None", "BLOCK_Q, True"),
    ("axes exchanged", "keep0(qc, a[None, :], b[:, None], n)", "keep0(qc, b[:, None], a[None, :], n)"),
    ("the wrong class", "keep0(qc, a[None, :]", "keep0(c, a[None, :]"),
    ("a fresh start", "acc, m, z = fresh(BLOCK_Q, BLOCK_D)", "acc, m, z = resume(BLOCK_Q, BLOCK_D)"),
    (
        "a function twice",
        "@triton.jit\ndef keep1",
        "def keep0(c, a, b, n):\n    return c == c\n\n\n@triton.jit\ndef keep1",
    ),
    ("the library shadowed", "@triton.jit\ndef keep1", "def present(x):\n    return x\n\n\n@triton.jit\ndef keep1"),
    ("a statement", "@triton.jit\ndef keep1", "tl.minimum = max\n\n\n@triton.jit\ndef keep1"),
    ("another library", "from patternc.runtime.engines.triton.tiles import (", "from elsewhere import ("),
    ("truncating division", "return (4 * I) // 16", "return (I - 4) // 16"),
    ("an early return", "score_scale = scale * LOG2_E\n", "score_scale = scale * LOG2_E\n    return\n"),
    ("not Python", "def keep0", "def def"),
]


@pytest.mark.parametrize("old, new", [pytest.param(old, new, id=name) for name, old, new in SEEN])
def test_a_changed_kernel_is_seen(old: str, new: str) -> None:
    program = CASES["fixed"]().program
    text = emit(program)
    assert old in text
    with contextlib.suppress(ReadError):
        assert differences(read(text.replace(old, new)), program)


def loops_of(text: str) -> list[int]:
    lines = text.splitlines()
    return [
        at for at, line in enumerate(lines) if line.strip().startswith(("for turn in", "for j in", "if kept", "if ("))
    ]


@pytest.mark.parametrize("name", ["sliding_window", "strided"])
def test_every_dropped_loop_is_seen(name: str) -> None:
    program = CASES[name]().program
    lines = emit(program).splitlines()
    for at in loops_of("\n".join(lines)):
        indent = len(lines[at]) - len(lines[at].lstrip())
        end = at + 1
        while lines[end].strip() and len(lines[end]) - len(lines[end].lstrip()) > indent:
            end += 1
        with pytest.raises(ReadError):
            read("\n".join(lines[:at] + lines[end:]))


WALKS = [
    ("a range left out", "static_range(0, 3)", "static_range(0, 2)"),
    ("no range added", "        walk = and_then(walk, lo, hi)\n", ""),
    ("a walk that goes on", "    walk = ()\n", ""),
    ("another place", "block_at(walk, t)", "block_at(walk, t + 1)"),
    ("another head", "block_at(walk, turn if ALONE else turn % size)", "block_at(walk, turn)"),
    ("another length", "for t in range(0, walk_length(walk))", "for t in range(1, walk_length(walk))"),
    ("a ragged block not noted", "lo, hi, full = whole_blocks(lo, hi, 0, whole, full)", "lo, hi, full = lo, hi, full"),
]


@pytest.mark.parametrize("old, new", [pytest.param(old, new, id=name) for name, old, new in WALKS])
def test_a_changed_walk_is_refused(old: str, new: str) -> None:
    text = emit(CASES["pieces"]().program)
    assert old in text
    with pytest.raises(ReadError):
        read(text.replace(old, new))


LISTED = [
    ("an order", "first, n, k_n, k_d, v_n, v_d, 1, 1, 0, HEAD", "first, n, k_n, k_d, v_n, v_d, 16, 1, 0, HEAD"),
    ("a list of another block", "block * (BLOCK_Q // PACK) // 32", "block * (BLOCK_Q // PACK) // 16"),
    (
        "blocks of another size",
        "listed_block(blocks_ptr, t + 1, 32 // BLOCK_K)",
        "listed_block(blocks_ptr, t + 1, BLOCK_K)",
    ),
    ("a share", "lo, hi = share(lo, hi, SPLIT)\n        j = ", "j = "),
    ("whose lists", "owner_ptr, blocks_ptr, starts_ptr", "owner_ptr, starts_ptr, blocks_ptr"),
    ("asked the other way", "if blocks_ptr is not None", "if blocks_ptr is None"),
]


@pytest.mark.parametrize("old, new", [pytest.param(old, new, id=name) for name, old, new in LISTED])
def test_changed_lists_are_refused(old: str, new: str) -> None:
    program = replace(CASES["dense_bidirectional"]().program, table=32)
    text = emit(program)
    assert read(text).table == 32 and old in text
    for changed in (text.replace(old, new), text.replace(old, new, 1)):
        with pytest.raises(ReadError):
            read(changed)


def test_lists_that_one_kernel_leaves_out_are_missed() -> None:
    program = CASES["dense_bidirectional"]().program
    listed, without = (emit(replace(program, table=size)) for size in (32, 0))
    start = "def backward_key_0("
    with pytest.raises(ReadError, match="lists of blocks"):
        read(listed[: listed.index(start)] + without[without.index(start) :])


def test_lists_are_for_kernels_in_natural_order() -> None:
    """Of whole tiles; others say so."""
    with pytest.raises(ValueError, match="cannot take blocks of 16"):
        emit(replace(CASES["shifted"]().program, table=16))
    with pytest.raises(ValueError, match="cannot take blocks of 24"):
        emit(replace(CASES["dense_causal"]().program, table=24))


def test_kernels_that_disagree_are_refused() -> None:
    text = emit(CASES["strided"]().program)
    with pytest.raises(ReadError, match="visit different tiles"):
        read(text.replace("term1_hi(I, c, T, n) *", "term1_lo(I, c, T, n) *", 1))
    both = text.replace("term1_hi(I, c, T, n) *", "term1_lo(I, c, T, n) *")
    assert read(both).forward[1].sweeps[0].ranges[0].hi == Const(0)


def test_a_multiple_of_a_class_is_read_from_both_sides() -> None:
    """kc = 3 * c + 5 mod 7, and so c = 5 * kc + 3."""
    text = emit(CASES["multiple"]().program)
    assert "kc = (3 * c + 5) % 7" in text
    assert "qc = (5 * c + 3) % 7" in text
    for wrong in ("(3 * c + 4) % 7", "(4 * c + 5) % 7", "(c + 5) % 7", "(3 * c + 5) % 8", "(7 * c + 5) % 7"):
        with pytest.raises(ReadError):
            read(text.replace("(3 * c + 5) % 7", wrong))


def test_a_shift_is_read_from_both_sides() -> None:
    program = CASES["shifted"]().program
    text = emit(program)
    assert "kc = (c + 3) % 4" in text
    assert "qc = (c + 1) % 4" in text
    with pytest.raises(ReadError, match="the classes"):
        read(text.replace("kc = (c + 3) % 4", "kc = (c + 2) % 4"))
    assert read(text.replace("c + 3)", "c + 2)").replace("c + 1)", "c + 2)")).terms[0].turn == Turn(2)
