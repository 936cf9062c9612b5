"""What a pattern reads of a selection is what is learned of it, held to the budget, and drawn by a control."""

from __future__ import annotations

import pytest
import torch
from selector_layers import SHAPE, layer_inputs

import patternc as pc
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Inputs, Learned
from patternc.runtime.training import DenseAttention, distillation_loss

READINGS = {
    "columns(s)": (True, False),
    "rows(s)": (False, True),
    "axis(s)": (True, True),
    "(columns(s) & local(4)) | (rows(s) - local(2))": (True, True),
    "gated columns(s)": (True, False),
    "{ (i, j) : i in s and j mod 2 = 0 }": (False, True),
}


def layer_of(step: str, direction: str, **options) -> Learned:
    text = f"pattern p {direction} {{ learn s = importance(budget = 20%) step {step} }}"
    return Learned(pc.loads(text)["p"].bind(), SHAPE, **options).eval()


def read_pairs(selection, n: int, nk: int):
    """bool [n, nk], from the tables alone."""
    columns = torch.arange(n)[:, None] < selection.until[0, 0]
    return columns if selection.rows is None else columns | selection.rows[0, 0, :, None].expand(n, nk)


@pytest.mark.parametrize("direction", ["bidirectional", "cross"])
@pytest.mark.parametrize("step", READINGS)
def test_there_is_an_indicator_for_what_is_read(step: str, direction: str) -> None:
    if direction == "cross" and "local" in step:
        step = step.replace("local(4)", "columns(first(9))").replace("local(2)", "columns(first(2))")
    columns, rows = next(value for key, value in READINGS.items() if key[:9] == step[:9])
    names = {name.split(".")[-2] for name, _ in layer_of(step, direction).named_parameters() if "selectors" in name}
    assert names == {*(["columns"] if columns else []), *(["rows"] if rows else [])}


@pytest.mark.parametrize("random", [None, 7])
@pytest.mark.parametrize("step", ["columns(s)", "rows(s)", "axis(s)"])
@pytest.mark.parametrize("nk", [None, 23])
def test_the_density_is_that_of_the_pairs_that_are_read(step: str, nk: int | None, random: int | None) -> None:
    layer, inputs = layer_of(step, "bidirectional" if nk is None else "cross", random=random), layer_inputs(31, nk)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    [selection] = layer.double()(inputs).values()
    pairs = read_pairs(selection, 31, 31 if nk is None else nk)
    assert pairs.any()
    torch.testing.assert_close(selection.density[0, 0].double(), pairs.double().mean())


@pytest.mark.parametrize("step", ["columns(s)", "rows(s)", "axis(s)"])
def test_a_control_reads_the_budget(step: str) -> None:
    inputs = layer_inputs(3000, batch=1)
    for seed in range(4):
        [selection] = layer_of(step, "bidirectional", random=seed)(inputs).values()
        assert abs(read_pairs(selection, 3000, 3000).float().mean() - 0.2) < 0.03


@pytest.mark.parametrize("step", ["columns(s)", "rows(s)"])
def test_what_is_not_read_takes_nothing_off_the_loss(step: str) -> None:
    layer, inputs = layer_of(step, "bidirectional").double(), layer_inputs(9, batch=1)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    selector = layer.selectors["s"]
    dense = DenseAttention(inputs.query.heads, inputs.key.heads, inputs, Direction.BIDIRECTIONAL)
    keys = inputs.key.heads.repeat_interleave(2, 1)
    weights = torch.softmax(inputs.query.heads @ keys.mT * SHAPE.head_dim**-0.5, -1).mean(1)[0]
    linear = selector.scorer.columns or selector.scorer.rows
    closed = 1 - torch.sigmoid(linear(inputs.query.hidden)[0, :, 0])
    wanted = (weights * (closed if step == "columns(s)" else closed[:, None])).sum() / weights.sum()
    torch.testing.assert_close(distillation_loss(selector, dense), wanted)


def test_controls_of_neighbouring_seeds_have_nothing_in_common() -> None:
    text = "pattern p bidirectional { learn a = importance() learn b = importance() step axis(a) | axis(b) }"
    n = 4000
    hidden = torch.randn(1, n, SHAPE.width)
    drawn = []
    for seed in range(3):
        layer = Learned(pc.loads(text)["p"].bind(), SHAPE, random=seed)
        for one in layer(Inputs.self_attention(hidden)).values():
            drawn += [one.until[0, 0] > 0, one.rows[0, 0]]
    chances = torch.stack(drawn).double()
    correlation = torch.corrcoef(chances) - torch.eye(len(drawn), dtype=torch.float64)
    assert correlation.abs().max() < 5 / n**0.5
