"""Plans as text: which layers and heads run which pattern."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from ...patterns_dsl.syntax import Direction, Integration
from .claims import bound, stated
from .terms import repeated
from .vocabulary import CLOSED, Vocabulary

STOCK = {
    Direction.CAUSAL: (
        "dense",
        "sliding_window(w = 3)",
        "streaming(sink = 1, w = 2)",
        "fixed_factorized(l = 4, c = 1)",
    ),
    Direction.BIDIRECTIONAL: ("longformer(w = 2)", "prefix_lm(p = 3)"),
    Direction.CROSS: (),
}
"""Stock patterns that a plan may name beside those of its file."""


@st.composite
def plan_texts(
    draw: DrawFn,
    patterns: Sequence[str],
    vocabulary: Vocabulary = CLOSED,
    name: str = "model",
    *,
    claims: bool = True,
) -> str:
    """The declaration of a plan over patterns of its file, which are called without arguments, and stock patterns."""
    uses = st.sampled_from([*patterns, *STOCK[vocabulary.direction]])
    integrations = st.sampled_from(["", *(f" {each}" for each in Integration)])

    def line(layers: str, heads: str = "") -> str:
        return f"layers {layers}{heads} : {draw(uses)}{draw(integrations)}"

    def lines(layers: str) -> list[str]:
        if draw(st.integers(0, 2)) < 2:
            return [line(layers)]
        return [line(layers, " heads 0..1"), line(layers, " heads 2, 4..5")]

    depth = None if draw(st.integers(0, 3)) == 3 else draw(st.integers(1, 5))
    found = lines("all") if depth is None else [each for layers in draw(_runs(depth)) for each in lines(layers)]
    if claims and vocabulary.hops:
        found += draw(_claims(vocabulary, depth))
    return "\n".join([f"plan {name} {{", *(f"    {each}" for each in found), "}"])


@st.composite
def _runs(draw: DrawFn, depth: int) -> list[str]:
    """The layers 0..depth-1 cut into runs, as a plan writes them; a run may be left to the model."""
    cuts = sorted({0, depth, *draw(st.lists(st.integers(0, depth), max_size=2))})
    runs = [f"{low}" if high == low + 1 else f"{low}..{high - 1}" for low, high in pairwise(cuts)]
    if len(runs) > 2 and draw(st.booleans()):
        return [f"{runs[0]}, {runs[2]}", runs[1]]
    return runs[-1:] if draw(st.integers(0, 4)) == 4 else runs


@st.composite
def _claims(draw: DrawFn, vocabulary: Vocabulary, depth: int | None) -> list[str]:
    """Claims that such a plan can make. The cache of `layers all` depends on the model."""
    connects = draw(st.booleans())
    found = []
    for _ in repeated(draw, 2):
        layers = draw(st.integers(1, depth or 4))
        within = f" in {layers} layer{'s' * (layers > 1)}"
        texts = [f"reach{within}", "reach", f"reach in any{within.removeprefix(' in')}"]
        if not connects:
            texts = [f"not reach{within}", "not reach"]
        if vocabulary.direction is Direction.CAUSAL and depth is not None:
            texts.append(f"cache <= {bound(draw, vocabulary)}")
        found.append(f"prove {draw(st.sampled_from(texts))}{stated(draw, vocabulary)}")
    return found
