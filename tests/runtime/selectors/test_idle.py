"""A selection that decides on nothing is named, and one that is not named decides."""

from __future__ import annotations

import itertools
import warnings

import pytest
import torch
from selector_layers import SHAPE, layer_inputs, learned, pairs_of

import patternc as pc
from patternc.compiler.idle_choices import forced_choices, idle_choices
from patternc.runtime.errors import AttachError, IdleWarning
from patternc.runtime.models.subjects import check_decides

FORCED = ("[]", "[first]", "[diagonal]", "[first, diagonal]")


def bound(declaration: str, direction: str, step: str = "select(s)"):
    return pc.loads(f"pattern p {direction} {{ learn s = {declaration} step {step} | columns(first(1)) }}")["p"].bind()


@pytest.mark.parametrize("direction", ["causal", "bidirectional", "cross"])
@pytest.mark.parametrize("kind", ["topk_blocks", "topk_keys"])
@pytest.mark.parametrize("size", [1, 3])
def test_what_is_named_is_what_no_score_changes(kind: str, direction: str, size: int) -> None:
    named = "block" if kind == "topk_blocks" else "tile"
    inputs = layer_inputs(13, 13 if direction == "cross" else None)
    for k, forced in itertools.product((1, 2, 3), FORCED):
        if k < max(1, forced.count(",") + (forced != "[]")) or (direction == "cross" and "diagonal" in forced):
            continue
        declaration = f"{kind}(k = {k}, {named} = {size}, forced = {forced})"
        idle = bool([*forced_choices(bound(declaration, direction).bound)])
        layer, found = learned(declaration, direction), set()
        for _ in range(5):
            for parameter in layer.parameters():
                torch.nn.init.normal_(parameter)
            found.add(pairs_of(layer(inputs)["s"], inputs).numpy().tobytes())
        assert idle == (len(found) == 1), (declaration, direction)


@pytest.mark.parametrize(
    ("declaration", "words"),
    [
        ("topk_blocks(k = 2)", r"`s` decides on nothing, since k = 2 and first and diagonal are forced"),
        ("topk_keys(k = 1)", r"since k = 1 and diagonal is forced: choose more keys, or force less"),
    ],
)
def test_it_is_said_when_it_is_compiled(declaration: str, words: str) -> None:
    pattern = bound(declaration, "causal", "select(s) | gated local(2)")
    with pytest.warns(IdleWarning, match=f"pattern 'p': .*{words}"):
        pc.compile(pattern, heads=4, kv_heads=2, head_dim=6, hidden_size=SHAPE.width)
    check_decides(pattern)  # a gate decides on something


@pytest.mark.parametrize(
    ("declaration", "step", "words"),
    [
        ("topk_blocks(k = 2)", "select(s)", "p has nothing to train: `s` decides on nothing"),
        ("granularity(levels = [fine])", "refine(s)", "since fine is its only level: name another"),
        ("importance()", "self | pooled(4)", "no step reads `s`: leave it out, or write it into a step"),
    ],
)
def test_training_of_what_decides_on_nothing_is_refused(declaration: str, step: str, words: str) -> None:
    with pytest.raises(AttachError, match=words):
        check_decides(bound(declaration, "causal", step))


def test_what_decides_is_trained() -> None:
    check_decides(bound("topk_blocks(k = 3)", "causal"))
    check_decides(pc.loads("pattern p causal { step self }")["p"].bind())


def test_stock_patterns_decide() -> None:
    from patternc.library import catalogue

    for name in catalogue.names():
        for pattern in pc.load(f"library:{name}").patterns.values():
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert not [*idle_choices(pattern.bind().bound)]
