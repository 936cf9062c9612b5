"""What the language promises of a selection is what the modules do, and each example of it can really occur."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from selector_layers import USES, layer_inputs, learned, pairs_of

import patternc as pc
from patternc.compiler import bruteforce
from patternc.patterns_dsl.builtin.selectors import KINDS
from patternc.patterns_dsl.syntax import Direction


def promised(declaration: str, direction: str, choice) -> torch.Tensor:
    step = USES[declaration.split("(")[0]]
    bound = pc.loads(f"pattern p {direction} {{ learn s = {declaration} step {step} }}")["p"].bind().bound
    n, nk = (11, 14 if bound.direction is Direction.CROSS else None)
    return torch.from_numpy(bruteforce.mask(bound.union, bound.direction, n, nk, choice=choice))


@st.composite
def declarations(draw: st.DrawFn) -> tuple[str, str]:
    direction = draw(st.sampled_from(["causal", "bidirectional", "cross"]))
    words = ["first"] if direction == "cross" else ["first", "diagonal"]
    forced = draw(st.lists(st.sampled_from(words), unique=True))
    k = draw(st.integers(max(1, len(forced)), 6))
    block = draw(st.integers(1, 5))
    options = f"k = {k}, forced = [{', '.join(forced)}]"
    levels = draw(st.sampled_from(["skip, coarse, fine", "coarse, fine", "skip, fine", "fine"]))
    return direction, draw(
        st.sampled_from(
            [
                f"topk(k = {k})",
                f"topk_blocks({options}, block = {block})",
                f"topk_keys({options}, tile = {block})",
                f"granularity(block = {block}, levels = [{levels}], budget = {'25%' if 'skip' in levels else '100%'})",
                "importance(budget = 30%)",
            ]
        )
    )


@settings(max_examples=60, deadline=None)
@given(declarations(), st.integers(0, 999))
def test_must_and_may_hold(example: tuple[str, str], seed: int) -> None:
    direction, declaration = example
    torch.manual_seed(seed)
    layer, inputs = learned(declaration, direction), layer_inputs(11, 14 if direction == "cross" else None)
    selection = layer(inputs)["s"]
    found = pairs_of(selection, inputs)
    must, may = (promised(declaration, direction, choice) for choice in ("must", "may"))
    if declaration.startswith("granularity"):
        block = selection.block
        wide = (selection.level > 0).repeat_interleave(block, -2).repeat_interleave(block, -1)
        found = wide[..., : may.shape[0], : may.shape[1]] & may  # a summary reads its whole block
    assert (found <= may).all() and (must <= found).all()
    most = KINDS[declaration.split("(")[0]].contract(dict(options(declaration, direction)), Direction(direction)).most
    assert most is None or found.sum(-1).max() <= most


def options(declaration: str, direction: str):
    step = USES[declaration.split("(")[0]]
    bound = pc.loads(f"pattern p {direction} {{ learn s = {declaration} step {step} }}")["p"].bind().bound
    return bound.selectors[0].options


class ByPlace(torch.nn.Module):
    """Scores that fall or rise with the place of a key (or of its block)."""

    frozen, heads = True, 1

    def __init__(self, sign: int) -> None:
        super().__init__()
        self.sign = sign

    def prepare(self, inputs, tile, direction, first: int = 0):
        return inputs

    def scores(self, prepared, start: int, stop: int) -> torch.Tensor:
        batch, n, _ = prepared.key.shape
        return (self.sign * torch.arange(n).double()).expand(batch, 1, stop - start, n)

    def forward(self, inputs, block: int | None = None, direction=None, first: int = 0) -> torch.Tensor:
        (batch, nq, _), (_, nk, _) = inputs.query.shape, inputs.key.shape
        if block is None:
            return (self.sign * torch.arange(nk).double()).expand(batch, 1, nk)
        a, b = (torch.arange(-(-n // block)).double() for n in (nq, nk))
        # The nearest: of those up to the own block the last, and only then the later ones.
        near = torch.where(b <= a[:, None], b, -b - 100) if self.sign > 0 and direction is not Direction.CROSS else None
        return (self.sign * b.expand(len(a), -1) if near is None else near).expand(batch, 1, -1, -1)


@settings(max_examples=80, deadline=None)
@given(declarations().filter(lambda example: "topk" in example[1]), st.sampled_from([0, 1]))
def test_examples_can_occur(example: tuple[str, str], number: int) -> None:
    direction, declaration = example
    kind = declaration.split("(")[0]
    count = len(KINDS[kind].contract(dict(options(declaration, direction)), Direction(direction)).examples)
    if number >= count:
        return
    if kind == "topk_keys" and number == 1 and direction == "bidirectional":
        return  # its nearest end with the tile, which scores by place alone do not say
    layer, inputs = learned(declaration, direction), layer_inputs(11, 14 if direction == "cross" else None)
    layer.selectors["s"].scorer = ByPlace(1 if number else -1)
    found = pairs_of(layer(inputs)["s"], inputs)
    expected = promised(declaration, direction, {"s": number})
    assert torch.equal(found, expected.expand_as(found))


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_nothing_and_everything_can_be_important(direction: str) -> None:
    layer, inputs = learned("importance()", direction), layer_inputs(11)
    for number, bias in enumerate((-1e3, 1e3)):
        for parameter in (layer.selectors["s"].scorer.columns, layer.selectors["s"].scorer.rows):
            if parameter is not None:
                torch.nn.init.constant_(parameter.bias, bias)
        found = pairs_of(layer(inputs)["s"], inputs)
        assert torch.equal(found, promised("importance()", direction, {"s": number}).expand_as(found))
