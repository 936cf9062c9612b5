"""Launches that are kept: a binary is started again only with arguments that Triton would compile it for."""

from __future__ import annotations

from typing import Any

import torch
from hypothesis import example, given
from hypothesis import strategies as st
from triton.backends.nvidia.compiler import CUDABackend
from triton.runtime.jit import native_specialize_impl

from patternc.compiler.kernels.launch import Options
from patternc.runtime.engines.triton.kernel_run import Launch
from patternc.runtime.engines.triton.launching import specialised

STEPS = st.one_of(st.integers(0, 40), st.integers(0, 2**34), st.integers(0, 2**27).map(lambda x: 16 * x))
PLACES = st.tuples(STEPS, st.integers(0, 64))
MEMORY = torch.empty(512, dtype=torch.int8)


def rows(step: int, offset: int) -> torch.Tensor:
    """A tensor of one number, so that any stride is good for it."""
    return MEMORY.as_strided((1, 1), (step, 1), offset)


def by_triton(x: torch.Tensor) -> list[Any]:
    """What Triton compiles in of a tensor and its strides, by Triton itself."""
    return [native_specialize_impl(CUDABackend, each, False, True, True) for each in (x, *x.stride())]


@given(PLACES, PLACES)
@example((1, 0), (3, 0))
@example((0, 0), (128, 0))
@example((2**31, 0), (2**30, 0))
@example((16, 16), (16, 8))
def test_what_triton_tells_apart_is_told_apart(one, other):
    mine, theirs = rows(*one), rows(*other)
    if by_triton(mine) != by_triton(theirs):
        assert specialised([mine]) != specialised([theirs])


def test_a_cache_that_grows_is_one_case():
    """Keys of a cache that is concatenated anew for each token: the stride of heads grows."""
    found = {specialised([torch.empty(1, 2, n, 64)]) for n in range(90, 190)}
    assert len(found) == 1


def test_the_binary_is_started_with_arguments_in_their_order():
    started: list[tuple[Any, ...]] = []

    class Binary:
        def __getitem__(self, grid: tuple[int, int, int]) -> Any:
            return lambda *given: started.append((grid, *given))

    class Kernel:
        arg_names = ("x_ptr", "n", "WIDE")

        def __getitem__(self, grid: tuple[int, int, int]) -> Any:
            return lambda **given: started.append((grid, given)) or Binary()

    given = {"WIDE": 5, **Options(64, 32, 4, 3, 168).settings}
    launch = Launch(Kernel(), (2, 3, 1), given)
    launch({"n": 1, "x_ptr": "x"})
    launch({"n": 2, "x_ptr": "y"})
    assert given["maxnreg"] == 168
    assert started == [((2, 3, 1), {"n": 1, "x_ptr": "x", **given}), ((2, 3, 1), "y", 2, 5)]


def test_an_empty_grid_launches_nothing():
    Launch(None, (0, 1, 1), {})({})
