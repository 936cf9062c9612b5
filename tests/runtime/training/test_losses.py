"""What is lost, and how tokens rank, against loops over the whole matrix of dense attention in float64."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
import torch
from dense_layers import DIRECTIONS, case, whole_of
from learned_layers import data, layer, pattern
from selector_layers import learned
from torch.nn import functional as F

from patternc.compiler.relations.integer import Binary, Compare, Const, Var
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.selectors import Inputs
from patternc.runtime.training import DenseAttention, dense_maps, distillation_loss
from patternc.runtime.training.losses.gates import gate_effects, gate_loss

TIGHT = {"atol": 1e-12, "rtol": 1e-12}
FAR = Compare(">", Binary("-", Var("i"), Var("j")), Const(3))
"""The pairs that a window of four does not hold."""


@pytest.fixture(params=[1 << 24, 1], ids=["at once", "row by row"])
def table(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense_maps, "LARGEST_TABLE", request.param)


def agrees(selector, dense: DenseAttention, wanted: torch.Tensor) -> None:
    """The loss is the one wanted, and so are its gradients, which the model does not share."""
    found = distillation_loss(selector, dense)
    torch.testing.assert_close(found, wanted, **TIGHT)
    learning = list(selector.parameters())
    slopes = torch.autograd.grad(wanted, learning, allow_unused=True)
    assert any(slope is not None and slope.abs().max() > 1e-6 for slope in slopes)
    for one, other in zip(torch.autograd.grad(found, learning, allow_unused=True), slopes, strict=True):
        torch.testing.assert_close(torch.zeros(()) if one is None else one, torch.zeros(()) if other is None else other)


def far(whole: torch.Tensor) -> torch.Tensor:
    return whole.tril(-4)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize(("lengths", "softcap"), [(None, None), ([14, 6], None), ([14, 6], 0.4)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_tokens_rank_as_each_row_does(direction: Direction, lengths: list[int] | None, softcap: float | None) -> None:
    selector = learned("topk(k = 3, per = group)", direction.value).selectors["s"]
    dense = case(direction, lengths, softcap=softcap)
    whole, scores = whole_of(dense), selector.scorer(dense.inputs)
    losses = []
    for element, group, i in product(range(2), range(2), range(14)):
        end = int(dense.inputs.key.counts()[element])
        end = min(end, i + 1) if direction is Direction.CAUSAL else end
        if end > 1 and i < int(dense.inputs.query.counts()[element]):
            p = whole[element, 2 * group : 2 * group + 2, i, :end].mean(0)
            losses.append(F.kl_div(torch.log_softmax(scores[element, group, :end], 0), p, reduction="sum"))
    agrees(selector, dense, torch.stack(losses).mean())


@pytest.mark.usefixtures("table")
def test_tokens_rank_where_a_window_does_not_reach() -> None:
    selector = learned("topk(k = 3, per = layer)", "causal").selectors["s"]
    dense = replace(case(Direction.CAUSAL), within=FAR)
    whole, scores = far(whole_of(dense)), selector.scorer(dense.inputs)
    losses = []
    for element, i in product(range(2), range(4, 14)):
        p = whole[element, :, i, : i + 1].mean(0)
        log_p = torch.log_softmax(scores[element, 0, : i + 1], 0)
        losses.append(F.kl_div(log_p, p / p.sum(), reduction="sum"))
    agrees(selector, dense, torch.stack(losses).mean())


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("lengths", [None, [14, 6]])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("window", [False, True])
def test_what_unimportant_tokens_lose(direction: Direction, lengths: list[int] | None, window: bool) -> None:
    selector = learned("importance()", direction.value).selectors["s"]
    dense = replace(case(direction, lengths), **({"within": FAR} if window else {}))
    whole = (far if window else torch.clone)(whole_of(dense)).mean(1)
    columns, rows = (None if each is None else torch.sigmoid(each[:, 0]) for each in selector.scorer(dense.inputs))
    assert (rows is None) == (direction is Direction.CAUSAL)
    lost = torch.zeros((), dtype=torch.float64)
    for element, i, j in product(range(2), range(whole.shape[1]), range(whole.shape[2])):
        closed = 1.0 if rows is None else 1 - rows[element, i]
        lost = lost + whole[element, i, j] * closed * (1 - columns[element, j])
    agrees(selector, dense, lost / whole.sum())


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("lengths", [None, [14, 6]])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_levels_lose(direction: Direction, lengths: list[int] | None) -> None:
    block, levels = 4, ("skip", "coarse", "medium", "fine")
    declaration = f"granularity(block = {block}, levels = [{', '.join(levels)}])"
    selector = learned(declaration.replace("medium", "medium"), direction.value).selectors["s"]
    dense = case(direction, lengths, n=14)
    whole = whole_of(dense)
    logits = selector.scorer(dense.inputs, block, direction)
    lost, mass = torch.zeros((), dtype=torch.float64), 0.0
    for element, head, a, b in product(range(2), range(4), range(logits.shape[2]), range(logits.shape[3])):
        if (direction is not Direction.CROSS and a == b) or (direction is Direction.CAUSAL and b > a):
            continue
        chance = torch.softmax(logits[element, head // 2, a, b], 0)
        last = min(block * b + block, int(dense.inputs.key.counts()[element]))
        rows = whole[element, head, block * a : block * a + block, block * b : last]
        mass += float(rows.sum())
        for row in rows if last > block * b else ():
            # Blocks of four: a summary of four is the block's.
            even = (row - row.mean()).abs().sum() / 2
            lost = lost + chance[0] * row.sum() + (chance[1] + chance[2]) * even
    agrees(selector, dense, lost / mass)


def test_summaries_of_four_within_a_block_of_eight() -> None:
    selector = learned("granularity(block = 8, levels = [medium, fine])", "bidirectional").selectors["s"]
    dense = case(Direction.BIDIRECTIONAL)
    whole = whole_of(dense)
    logits = selector.scorer(dense.inputs, 8, dense.direction)
    lost, mass = torch.zeros((), dtype=torch.float64), 0.0
    for element, head, (a, b) in product(range(2), range(4), [(0, 1), (1, 0)]):
        rows = whole[element, head, 8 * a : 8 * a + 8, 8 * b : 8 * b + 8]
        mass += float(rows.sum())
        parts = [rows[:, start : start + 4] for start in range(0, rows.shape[1], 4)]
        error = sum((part - part.mean(1, keepdim=True)).abs().sum() / 2 for part in parts)
        lost = lost + torch.softmax(logits[element, head // 2, a, b], 0)[0] * error
    agrees(selector, dense, lost / mass)


def test_a_uniform_row_loses_nothing_by_a_summary() -> None:
    """Queries of 0 attend evenly: skipping loses all, summaries nothing."""
    selector = learned("granularity(block = 4, levels = [skip, coarse])", "bidirectional").selectors["s"]
    dense = case(Direction.BIDIRECTIONAL, n=12)
    dense = replace(dense, q=torch.zeros_like(dense.q))
    chances = torch.softmax(selector.scorer(dense.inputs, 4, dense.direction), -1)[..., 0]
    free = ~torch.eye(3, dtype=torch.bool)
    torch.testing.assert_close(distillation_loss(selector, dense), chances[..., free].mean(), **TIGHT)


@pytest.mark.parametrize("softcap", [None, 0.4])
@pytest.mark.parametrize("engine", ["compose", "reference"])
def test_what_closed_gates_lose(engine: str, softcap: float | None) -> None:
    """Two gates that overlap, beside a window, by loops over the pairs of the text."""
    subject = pattern("local(2) | gated local(6) | gated strided(3)")
    one = layer(subject, engine)
    tensors = data(13)
    inputs = tensors.inputs().detached()
    dense = DenseAttention(tensors.q.detach(), tensors.k.detach(), inputs, Direction.CAUSAL, softcap=softcap)
    selections = one.select(dense.inputs, dense.k, dense.k)
    whole = whole_of(dense)
    wide, sparse = one.learned.gates[0].logits, one.learned.gates[1].logits
    lost = torch.zeros((), dtype=torch.float64)
    for head, i, j in product(range(4), range(13), range(13)):
        if j > i or i - j < 2:
            continue
        near, third = i - j < 6, (i - j) % 3 == 0
        mass = whole[:, head, i, j].mean() / 13
        # Both gates are soft, so both are open: a pair that both hold is lost by neither alone.
        if near and not third:
            lost = lost + mass * (1 - torch.sigmoid(wide[head]))
        if third and not near:
            lost = lost + mass * (1 - torch.sigmoid(sparse[head]))
    effects = gate_effects(one, dense, selections)
    found = gate_loss(effects)
    torch.testing.assert_close(found, lost / 4, atol=1e-9, rtol=1e-9)
    wanted = torch.autograd.grad(lost / 4, [wide, sparse])
    for slope, other in zip(torch.autograd.grad(found, [wide, sparse]), wanted, strict=True):
        torch.testing.assert_close(slope, other, atol=1e-9, rtol=1e-9)
    pairs = sum(1 for i in range(13) for j in range(i + 1) if 2 <= i - j < 6 and (i - j) % 3)
    torch.testing.assert_close(effects[0].density, torch.full((4,), pairs / 91, dtype=torch.float64))


@pytest.mark.parametrize(
    "declaration", ["importance()", "topk(k = 2)", "topk_blocks(k = 2, block = 4)", "topk_keys(k = 2)", "granularity()"]
)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_nothing_to_choose_is_no_nan(declaration: str, n: int) -> None:
    """An element without tokens, and one with few, of which a window of four leaves nothing."""
    selector = learned(declaration, "causal").selectors["s"]
    hidden = torch.randn(2, n, 12, dtype=torch.float64)
    q, k = torch.randn(2, 4, n, 6, dtype=torch.float64), torch.randn(2, 2, n, 6, dtype=torch.float64)
    inputs = Inputs.self_attention(hidden, q, k, torch.tensor([n, 0]))
    loss = distillation_loss(selector, DenseAttention(q, k, inputs, Direction.CAUSAL, within=FAR))
    assert loss == 0
    loss.backward()
    assert all(each.grad is None or (each.grad == 0).all() for each in selector.parameters())


@pytest.mark.parametrize("declaration", ["importance()", "topk(k = 2)", "granularity(block = 4)"])
def test_no_gradient_reaches_the_model(declaration: str) -> None:
    dense = case(Direction.BIDIRECTIONAL)
    leaves = [each.requires_grad_() for each in (dense.q, dense.k, dense.inputs.query.hidden, dense.inputs.query.heads)]
    distillation_loss(learned(declaration, "bidirectional").selectors["s"], dense).backward()
    assert all(leaf.grad is None for leaf in leaves)
