"""The soft top-k: sums to k, exact thresholds, implicit gradients, and what is out of the ordinary."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from patternc.runtime.errors import ArgumentError
from patternc.runtime.selectors import hard_topk, soft_topk
from patternc.runtime.selectors.relaxations.soft_topk import straight_through

RELAXES = ["sparsek", "lapsum", "soft_topk"]
DISTRIBUTIONS = {
    "sparsek": lambda x: min(max(x, 0.0), 1.0),
    "lapsum": lambda x: 0.5 * math.exp(x) if x <= 0 else 1 - 0.5 * math.exp(-x),
    "soft_topk": lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0,
}


def bisected(scores: list[float], k: float, temperature: float, relax: str) -> list[float]:
    """The definition, by plain bisection on Python floats."""
    distribution = DISTRIBUTIONS[relax]
    low, high = min(scores) - 60 * temperature, max(scores) + 60 * temperature
    for _ in range(300):
        tau = (low + high) / 2
        mass = sum(distribution((score - tau) / temperature) for score in scores)
        low, high = (tau, high) if mass > k else (low, tau)
    return [distribution((score - tau) / temperature) for score in scores]


@st.composite
def rows(draw: st.DrawFn) -> tuple[list[float], float, float]:
    n = draw(st.integers(1, 30))
    values = st.one_of(st.integers(-3, 3).map(float), st.floats(-50, 50, width=32))
    scores = draw(st.lists(values, min_size=n, max_size=n))
    k = draw(st.one_of(st.integers(0, n + 2).map(float), st.floats(0, n, width=32)))
    return scores, k, draw(st.sampled_from([0.01, 0.1, 1.0, 7.0]))


@settings(max_examples=150, deadline=None)
@given(rows(), st.sampled_from(RELAXES))
def test_it_is_the_definition(row: tuple[list[float], float, float], relax: str) -> None:
    scores, k, temperature = row
    p = soft_topk(torch.tensor(scores, dtype=torch.float64), k, relax=relax, temperature=temperature)
    assert ((p >= 0) & (p <= 1)).all()
    assert abs(p.sum().item() - min(k, len(scores))) < 1e-9
    if 1e-6 < k < len(scores) - 1e-6:
        expected = torch.tensor(bisected(scores, k, temperature, relax), dtype=torch.float64)
        torch.testing.assert_close(p, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("relax", RELAXES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rows_add_up_in_any_data_type(relax: str, dtype: torch.dtype) -> None:
    k = torch.tensor([1.0, 7.5, 300.0])
    p = soft_topk(torch.randn(2, 3, 4096).to(dtype), k, relax=relax, temperature=0.1)
    assert p.dtype == torch.float32
    assert ((p.double().sum(-1) - k) / k).abs().max() < 1e-5


@pytest.mark.parametrize("relax", RELAXES)
def test_scores_of_very_different_size(relax: str) -> None:
    scores = torch.tensor([1e30, -1e30, 0.0, 0.0, 0.0, 0.0, 1e8, -1e-3], dtype=torch.float64)
    p = soft_topk(scores, 4, relax=relax)
    assert p[0] == p[6] == 1 and p[1] == 0
    assert abs(p.sum() - 4) < 1e-12 and p[2] == p[5] > p[7]
    wide = soft_topk(torch.linspace(-1e5, 1e5, 3000), 1234.5, relax=relax)
    assert abs(wide.double().sum() - 1234.5) < 1e-3


@pytest.mark.parametrize("relax", RELAXES)
def test_gradients_are_the_implicit_ones(relax: str) -> None:
    scores = torch.randn(2, 4, 12, dtype=torch.float64, requires_grad=True)
    k = torch.tensor([1.3, 3.5, 5.8, 11.5], dtype=torch.float64, requires_grad=True)
    temperature = torch.tensor([[0.3], [2.0]], dtype=torch.float64, requires_grad=True)
    eligible = torch.rand(2, 4, 12) < 0.8
    eligible[0, 0] = True

    def function(scores, k, temperature):
        return soft_topk(scores, k, relax=relax, temperature=temperature, eligible=eligible)

    assert torch.autograd.gradcheck(function, (scores, k, temperature), eps=1e-7, atol=1e-6, rtol=1e-6)
    grad = torch.randn(2, 4, 12, dtype=torch.float64)
    (dz,) = torch.autograd.grad(function(scores, k, temperature), scores, grad)
    assert dz.sum(-1).abs().max() < 1e-12  # adding a constant to a row changes nothing
    assert (dz[~eligible] == 0).all()


def test_sparsek_has_no_gradient_where_every_entry_is_whole_or_absent() -> None:
    scores = torch.tensor([5.0, 3.0, 0.0], requires_grad=True)
    p = soft_topk(scores, 2, relax="sparsek")
    assert p.tolist() == [1, 1, 0]
    (gradient,) = torch.autograd.grad(p[1] - p[2], scores)
    assert gradient.tolist() == [0, 0, 0]


@pytest.mark.parametrize("relax", RELAXES)
def test_what_is_not_eligible_has_no_part(relax: str) -> None:
    scores = torch.randn(3, 20)
    eligible = torch.rand(3, 20) < 0.6
    spoiled = scores.masked_fill(~eligible, torch.nan)
    p = soft_topk(spoiled, 4, relax=relax, eligible=eligible)
    assert (p[~eligible] == 0).all()
    for row in range(3):
        kept = soft_topk(scores[row][eligible[row]], 4, relax=relax)
        torch.testing.assert_close(p[row][eligible[row]], kept)
    assert torch.equal(p, soft_topk(scores.masked_fill(~eligible, -torch.inf), 4, relax=relax))


@pytest.mark.parametrize("relax", RELAXES)
def test_borders(relax: str) -> None:
    scores = torch.randn(5, requires_grad=True)
    assert soft_topk(scores, 0, relax=relax).tolist() == [0] * 5
    whole = soft_topk(scores, 9, relax=relax)
    assert whole.tolist() == [1] * 5
    (gradient,) = torch.autograd.grad((whole * torch.randn(5)).sum(), scores)
    assert gradient.tolist() == [0] * 5
    torch.testing.assert_close(soft_topk(torch.zeros(8), 3, relax=relax), torch.full((8,), 3 / 8))
    assert soft_topk(torch.randn(2, 0), 1, relax=relax).shape == (2, 0)
    assert soft_topk(torch.randn(0, 4), 1, relax=relax).shape == (0, 4)
    assert soft_topk(torch.randn(4), 2, relax=relax, eligible=torch.zeros(4, dtype=torch.bool)).tolist() == [0] * 4


@pytest.mark.parametrize("relax", RELAXES)
def test_infinite_scores_are_forced_or_left_out(relax: str) -> None:
    inf = torch.inf
    p = soft_topk(torch.tensor([inf, 0.3, -inf, 0.1, 0.2]), 2, relax=relax)
    torch.testing.assert_close(p[[1, 3, 4]], soft_topk(torch.tensor([0.3, 0.1, 0.2]), 1, relax=relax))
    assert p[0] == 1 and p[2] == 0
    assert soft_topk(torch.tensor([inf, inf, inf, 5.0]), 2, relax=relax).tolist() == pytest.approx([2 / 3] * 3 + [0])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scores": torch.tensor([0.0, torch.nan])}, "NaN"),
        ({"k": -1}, "'k': negative"),
        ({"temperature": 0.0}, "'temperature': not a positive"),
        ({"scores": torch.arange(3)}, "'scores': torch.int64"),
        ({"eligible": torch.ones(2, 7, dtype=torch.bool)}, "'eligible': shape"),
        ({"eligible": torch.ones(3)}, "'eligible': torch.float32"),
        ({"k": torch.ones(4)}, "'k': shape"),
        ({"relax": "softmax"}, "choose one of sparsek, lapsum, soft_topk"),
    ],
)
def test_refusals(arguments: dict, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        soft_topk(**{"scores": torch.zeros(3), "k": 1, **arguments})


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-2, 2), min_size=0, max_size=12), st.integers(0, 14), st.integers(0, 2**12 - 1))
def test_hard_topk_is_the_first_of_the_greatest(values: list[int], k: int, mask: int) -> None:
    eligible = [bool(mask >> place & 1) for place in range(len(values))]
    order = sorted((place for place in range(len(values)) if eligible[place]), key=lambda place: -values[place])
    expected = [place in order[:k] for place in range(len(values))]
    found = hard_topk(torch.tensor(values, dtype=torch.float32), k, eligible=torch.tensor(eligible, dtype=torch.bool))
    assert found.tolist() == expected


def test_hard_topk_refuses() -> None:
    with pytest.raises(ArgumentError, match="NaN"):
        hard_topk(torch.tensor([1.0, torch.nan]), 1)
    with pytest.raises(ArgumentError, match="negative"):
        hard_topk(torch.zeros(2), -1)


@pytest.mark.parametrize("relax", RELAXES)
def test_cold_soft_is_hard(relax: str) -> None:
    scores = torch.randn(6, 50, dtype=torch.float64)
    p = soft_topk(scores, 7, relax=relax, temperature=1e-7)
    torch.testing.assert_close(p, hard_topk(scores, 7).double(), atol=1e-9, rtol=0)


def test_straight_through_has_the_values_of_one_and_the_gradient_of_the_other() -> None:
    scores = torch.randn(3, 9, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(3, 9, dtype=torch.float64)
    p = soft_topk(scores, 2)
    gate = straight_through(hard_topk(scores, 2), p)
    assert set(gate.unique().tolist()) == {0.0, 1.0}
    gradients = [torch.autograd.grad((each * weight).sum(), scores, retain_graph=True)[0] for each in (gate, p)]
    assert torch.equal(*gradients) and gradients[0].abs().max() > 0


def test_memory_is_linear() -> None:
    """A row that would need 4 TB as a matrix."""
    p = soft_topk(torch.randn(1, 1 << 20), 512, relax="lapsum")
    assert abs(p.double().sum() - 512) < 1e-2
