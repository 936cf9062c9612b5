"""``auto`` on a GPU: when dense attention is taken, and that nothing but the way is another. Stood in for are the facts
of a device alone: what is computed, torch's flash attention for CPUs computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode

import patternc as pc
from patternc.runtime.engines import dense
from patternc.runtime.engines.compose.engine import ComposeEngine
from patternc.runtime.engines.compose.running import flash
from patternc.runtime.engines.dense import Flash, Three
from patternc.runtime.engines.engine import Call, choose_engine
from patternc.runtime.engines.or_dense import OrDense, OrDenseEngine
from patternc.runtime.engines.reference import ReferenceEngine

MODULE = pc.loads("""
pattern window causal { step local(40) }
pattern whole bidirectional { step { (i, j) : j < n } }
pattern sinks causal { step local(30) | columns(first(10)) }
pattern over cross { step { (i, j) : j < 40 } }
""")
N = 40
INT = torch.int32


class OnCpu:
    """torch's kernel for CPUs in place of that for GPUs; ``calls`` notes what ran."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def takes(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool) -> bool:
        return all(x.stride(-1) == 1 for x in (q, k, v))

    def forward(self, q: Tensor, k: Tensor, v: Tensor, *, causal: bool, scale: float) -> tuple[Tensor, Tensor]:
        self.calls.append("forward")
        group = q.shape[1] // k.shape[1]
        k, v = (x.repeat_interleave(group, 1) for x in (k, v))
        return flash.forward(q, k, v, None, causal=causal, call=Call(scale))

    def backward(
        self, grad: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, lse: Tensor, *, causal: bool, scale: float
    ) -> Three:
        self.calls.append("backward")
        shape, group = k.shape, q.shape[1] // k.shape[1]
        k, v = (x.repeat_interleave(group, 1) for x in (k, v))
        found = flash.backward(grad, q, k, v, out, lse, None, causal=causal, call=Call(scale))
        dk, dv = (x.unflatten(1, (shape[1], group)).sum(2) for x in found[1:])
        return found[0], dk, dv


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> OnCpu:
    found = OnCpu()
    monkeypatch.setattr(dense, "kernel_for", lambda device: found)
    return found


def subject(name: str) -> OrDense:
    compiled = pc.compile(MODULE[name], head_dim=16, dtype=torch.float64, engine="compose")
    return OrDense(compiled.program, compiled.meaning)


def tensors(rows: int = N, n: int = N, *, batch: int = 2) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    shapes = [(batch, 4, rows, 16), *[(batch, 2, n, 16)] * 2]
    return [torch.randn(shape, generator=draw, dtype=torch.float64) for shape in shapes]


def check(name: str, given: list[Tensor], *, of_lse: bool = False, **call: Any) -> None:
    """Out, lse and gradients are those of the reference engine."""
    asked, own = Call(**{"scale": 0.3, **call}), subject(name)
    slopes = torch.randn(given[0].shape, dtype=torch.float64)
    slopes_of_lse = torch.randn(given[0].shape[:3], dtype=torch.float64) if of_lse else None
    found = []
    runs: list[tuple[Any, Any]] = [(OrDenseEngine(ComposeEngine()), own), (ReferenceEngine(), own.meaning)]
    for engine, program in runs:
        out, lse = engine.forward(program, *given, asked)
        found.append((out, lse, *engine.backward(program, slopes, slopes_of_lse, *given, out, lse, asked)))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("name", ["window", "whole", "sinks"])
def test_dense_is_taken_where_the_pattern_is_everything(name: str, kernel: OnCpu) -> None:
    check(name, tensors())
    assert kernel.calls == ["forward", "backward"]


def test_one_token_more_is_not_everything(kernel: OnCpu) -> None:
    check("window", tensors(N + 1, N + 1))
    check("sinks", tensors(N + 1, N + 1))
    assert kernel.calls == []
    check("over", tensors(17, N))
    assert kernel.calls == ["forward", "backward"]
    check("over", tensors(17, N + 1))
    assert kernel.calls == ["forward", "backward"]


@pytest.mark.parametrize(("name", "rows", "offset"), [("window", 1, N - 1), ("whole", 7, 12), ("whole", 1, 0)])
def test_queries_that_read_every_key(name: str, rows: int, offset: int, kernel: OnCpu) -> None:
    """A decoding step, and any queries where none is causal."""
    check(name, tensors(rows), query_offset=offset)
    assert kernel.calls == ["forward", "backward"]
    check("window", tensors(1, N + 1), query_offset=N)
    check("window", tensors(1, 1))
    assert kernel.calls == ["forward", "backward"] * 2


def test_a_gradient_of_lse_goes_by_the_kernels(kernel: OnCpu) -> None:
    check("window", tensors(), of_lse=True)
    assert kernel.calls == ["forward"]


@pytest.mark.parametrize(
    ("rows", "batch", "call"),
    [
        (N, 2, {"spans": torch.tensor([[3, N], [0, 21]], dtype=INT)}),
        (N, 1, {"documents": torch.tensor([0, 15, N], dtype=INT)}),
        (7, 2, {"query_offset": N - 7}),
        (1, 2, {"query_offset": N - 2}),
        (1, 2, {}),
        (N, 2, {"softcap": 2.0}),
        (N, 2, {"scale": -0.3}),
        (N, 2, {"scale": 0.0}),
        (0, 2, {}),
    ],
)
def test_what_dense_cannot_do_it_is_not_asked_for(rows: int, batch: int, call: dict[str, Any], kernel: OnCpu) -> None:
    check("window", tensors(rows, N if rows else 0, batch=batch), **call)
    assert kernel.calls == []


@pytest.mark.parametrize("spoiled", [0, 1, 2])
def test_numbers_that_are_not_finite_go_by_the_kernels(spoiled: int, kernel: OnCpu) -> None:
    """The same as by the kernels alone, which ``test_bad_input.py`` is about."""
    given, own = tensors(), subject("window")
    given[spoiled][0, 0, 17, 3] = torch.nan
    call, slopes = Call(0.3), torch.randn(given[0].shape, dtype=torch.float64)
    runs: list[tuple[Any, Any]] = [(OrDenseEngine(ComposeEngine()), own), (ComposeEngine(), own.program)]
    found = []
    for engine, program in runs:
        out, lse = engine.forward(program, *given, call)
        found.append((out, lse, *engine.backward(program, slopes, None, *given, out, lse, call)))
    for mine, theirs in zip(*found, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-9, equal_nan=True)
    assert found[0][0].isnan().any() and not found[0][0].isnan().all()


def test_other_strides_go_by_the_kernels(kernel: OnCpu) -> None:
    check("window", [x.transpose(2, 3).contiguous().transpose(2, 3) for x in tensors()])
    assert kernel.calls == []


def test_auto_weighs_it_on_a_gpu_alone(kernel: OnCpu) -> None:
    assert choose_engine("auto", "cuda") == "triton"
    pattern = MODULE["window"]
    auto, own = (pc.compile(pattern, head_dim=16, engine=engine, device="cuda") for engine in ("auto", "triton"))
    here = pc.compile(pattern, head_dim=16, engine="auto", device="cpu")
    assert (auto.or_dense, own.or_dense, here.or_dense) == (True, False, False)
    assert (auto.engine, auto.program) == ("triton", own.program) and auto.key != own.key
    assert [auto.dense_at(n) for n in (0, 1, N, N + 1)] == [False, True, True, False]
    assert not own.dense_at(N) and auto.with_dtype(torch.bfloat16).dense_at(N)
    given = [x.float().requires_grad_() for x in tensors()]
    sinks = torch.randn(4)
    exact = pc.compile(pattern, head_dim=16, engine="reference")
    with torch.no_grad():
        found = auto(*given, return_lse=True, sinks=sinks)
        for mine, theirs in zip(found, exact(*given, return_lse=True, sinks=sinks), strict=True):
            torch.testing.assert_close(mine, theirs)
    slopes = [torch.autograd.grad(run(*given).sin().sum(), given) for run in (auto, exact)]
    for mine, theirs in zip(*slopes, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert kernel.calls == ["forward", "forward", "backward"]


def test_patterns_with_seeded_tables_too(kernel: OnCpu) -> None:
    """What a table may draw is not counted on: 4 blocks of 8 are everything without it."""
    text = "pattern p causal { step blocks(local(4), 8) | random(1, 8) }"
    auto, exact = (
        pc.compile(pc.loads(text)["p"], head_dim=16, dtype=torch.float32, engine=engine, device="cuda")
        for engine in ("auto", "reference")
    )
    assert (auto.dense_at(32), auto.dense_at(33)) == (True, False)
    given = [x.float() for x in tensors(32, 32)]
    torch.testing.assert_close(auto(*given), exact(*given))
    assert kernel.calls == ["forward"]


def fake(shape: tuple[int, ...], *, behind: bool = False) -> Tensor:
    """Of a GPU, without one; ``behind``: heads lie behind tokens."""
    batch, heads, rows, dim = shape
    lie = (batch, rows, heads, dim) if behind else shape
    made = torch.empty(lie, device="cuda", dtype=torch.bfloat16)
    return made.transpose(1, 2) if behind else made


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize(("batch", "group"), [(2, 1), (1, 1), (2, 2)])
def test_torch_takes_what_its_kernel_is_given(batch: int, group: int, behind: bool) -> None:
    """Torch's own account of the operators, which knows their arguments and the shapes of what they return."""
    with FakeTensorMode():
        q, grad, out = (fake((batch, 4, 33, 16), behind=behind) for _ in range(3))
        k, v = (fake((batch, 4 // group, 33, 16), behind=behind) for _ in range(2))
        found, lse = Flash().forward(q, k, v, causal=True, scale=0.3)
        assert (found.shape, found.dtype, lse.shape, lse.dtype) == (q.shape, q.dtype, q.shape[:3], torch.float32)
        assert behind or found.is_contiguous()
        slopes = Flash().backward(grad, q, k, v, out, lse, causal=True, scale=0.3)
        assert [x.shape for x in slopes] == [q.shape, k.shape, v.shape]


def test_what_its_kernel_would_not_run_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.zeros(1, 1, 8, 16)
    assert dense.kernel_for(x.device) is None and not Flash().takes(x, x, x, causal=True)
    assert isinstance(dense.kernel_for(torch.device("cuda", 1)), Flash)
    asked: list[Any] = []

    def can(params: Any, debug: bool) -> bool:
        asked.append(params)
        return True

    monkeypatch.setattr(torch.backends.cuda, "can_use_flash_attention", can)
    monkeypatch.setattr(torch.backends.cuda, "SDPAParams", lambda *given: given)
    takes: Callable[..., bool] = Flash().takes
    with FakeTensorMode():
        for dim, wanted in ((64, True), (20, False), (192, True), (256, False)):
            q, k = fake((1, 4, 8, dim)), fake((1, 2, 8, dim))
            assert takes(q, k, k, causal=True) == wanted
    assert [given[3:] for given in asked] == [(None, 0.0, True, True)] * 2
