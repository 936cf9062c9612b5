"""Calls that one kernel call computes: the same numbers as torch's attention, and bad ones where they belong."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import patternc as pc
from patternc.runtime.engines.compose.plan.diagonal import Diagonals
from patternc.runtime.engines.compose.planning.pairs import pairs_of
from patternc.runtime.engines.compose.pricing.machine import assume
from patternc.runtime.engines.compose.pricing.price import Heads, Price
from patternc.runtime.engines.compose.routes import forget, routes
from patternc.runtime.engines.compose.running import single
from patternc.testing.machines import SLOW_TO_LAUNCH
from patternc.testing.verify.batches import batch_counts

N = 48
TEXTS = {
    "causal": "pattern p causal { step everything }",
    "square": "pattern p bidirectional { step everything }",
    "masked": "pattern p bidirectional { step local(20) | columns({ j : j mod 8 = 1 }) }",
    "some keys": "pattern p bidirectional { step { (i, j) : 5 <= j and j < 30 and (i + j) mod 3 < 2 } }",
}


@pytest.fixture(autouse=True)
def launched() -> Iterator[None]:
    forget()
    with assume(SLOW_TO_LAUNCH):
        yield
    forget()


def compiled(name: str, engine: str = "compose", dtype: torch.dtype = torch.float32) -> pc.Compiled:
    return pc.compile(pc.loads(TEXTS[name])["p"].bind(), head_dim=16, engine=engine, dtype=dtype)


def gradients(attend, inputs: tuple[Tensor, ...], weight: Tensor) -> tuple[Tensor, ...]:
    leaves = [x.detach().requires_grad_() for x in inputs]
    return torch.autograd.grad(attend(*leaves), leaves, weight)


@pytest.fixture
def returned(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether each gradient that was asked for came from one kernel call."""
    found: list[bool] = []
    backward = single.backward

    def noted(*arguments):
        result = backward(*arguments)
        found.append(result is not None)
        return result

    monkeypatch.setattr(single, "backward", noted)
    return found


@pytest.mark.parametrize("layout", ["apart", "behind tokens"])
@pytest.mark.parametrize("name", ["causal", "square"])
def test_gradients_of_dense_attention_are_torchs_own(name: str, layout: str, returned: list[bool]) -> None:
    shape = (2, 3, N, 16) if layout == "apart" else (2, N, 3, 16)
    inputs = torch.randn(3, *shape)
    if layout != "apart":
        inputs = inputs.transpose(2, 3)
    weight = torch.randn(2, 3, N, 16)
    found = gradients(compiled(name), tuple(inputs), weight)
    expected = gradients(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=name == "causal"), tuple(inputs), weight
    )
    for one, other in zip(found, expected, strict=True):
        assert one.is_contiguous()
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert returned == [layout == "apart"]  # in the other layout heads of a batch element are not evenly spaced


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("group", [1, 2])
@pytest.mark.parametrize("scale", [0.3, -0.3])
def test_gradients_are_those_of_the_reference(name: str, group: int, scale: float, returned: list[bool]) -> None:
    q, weight = torch.randn(2, 2, 4, N, 16).double()
    k, v = torch.randn(2, 2, 4 // group, N, 16).double()
    found = gradients(lambda *x: compiled(name)(*x, scale=scale), (q.float(), k.float(), v.float()), weight.float())
    exact = compiled(name, "reference", torch.float64)
    expected = gradients(lambda *x: exact(*x, scale=scale), (q, k, v), weight)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=0, atol=2e-5)
    assert returned == [group == 1 and name != "some keys"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("name", ["causal", "masked"])
def test_a_bad_number_spoils_what_depends_on_it_alone(name: str, place: int, bad: float, returned: list[bool]) -> None:
    """One token of one head of q, k, v or the gradient of out."""
    inputs, token = torch.randn(4, 2, 3, N, 16), N - 7
    clean = gradients(compiled(name), tuple(inputs[:3]), inputs[3])
    inputs[place, 1, 2, token, 4] = bad
    dq, dk, dv = gradients(compiled(name), tuple(inputs[:3]), inputs[3])
    assert returned == [True, False]
    pairs = pc.loads(TEXTS[name])["p"].bind().mask(N)
    rows = pairs[:, token] if place in (1, 2) else torch.arange(N) == token
    keys = (rows[:, None] & pairs).any(0)
    for found, before, spoiled in ((dq, clean[0], rows), (dk, clean[1], keys), (dv, clean[2], keys)):
        good = torch.ones(2, 3, N, dtype=torch.bool)
        good[1, 2] = ~spoiled
        assert not found[~good].isfinite().all(-1).any()
        torch.testing.assert_close(found[good], before[good], rtol=0, atol=2e-5)


@pytest.mark.parametrize("n", [48, 90])
def test_terms_without_a_pair_are_left_out(n: int) -> None:
    """At 48 tokens only the first of three terms has a pair, and one kernel call is all there is to do."""
    text = (
        "pattern p causal { step local(60) | { (i, j) : i - j >= 70 and (i - j) mod 4 = 0 } | { (i, j) : i - j = 65 } }"
    )
    subject = pc.compile(pc.loads(text)["p"].bind(), head_dim=16, engine="compose")
    assert subject.program is not None and len(subject.program.terms) == 3
    for route in routes(
        subject.program, n, n, Price(SLOW_TO_LAUNCH, Heads(batch=1, keys=2, group=2, dim=16), 2), torch.float32
    ):
        assert route.single is not None or n > 48
        assert all(stage.each if isinstance(stage, Diagonals) else stage.batches for stage in route.stages)
        assert np.array_equal(batch_counts(route.stages, n, n), pairs_of(subject.program, n, n))
