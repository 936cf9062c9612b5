"""Claims as text, of every kind that a direction allows."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from ...patterns_dsl.syntax import Direction
from .relations import relations
from .terms import Writer, choose, numbers, repeated, terms
from .vocabulary import CLOSED, Vocabulary


@st.composite
def claims(draw: DrawFn, vocabulary: Vocabulary = CLOSED, most: int = 3) -> list[str]:
    """Up to ``most`` lines such as ``prove reach in 2 steps``; none contradicts another, whether they hold or not."""
    connects = draw(st.booleans())  # that a pattern reaches, and that it does not, cannot both be claimed
    kinds: list[Writer] = [_nonempty, _inclusion, _inclusion, _keys, _density]
    kinds += [_cache] * (vocabulary.direction is Direction.CAUSAL)
    kinds += [_symmetric, *[_reach if connects else _not_reach] * 2] * vocabulary.hops
    return [f"prove {choose(draw, *kinds)(draw, vocabulary, 1)}" for _ in repeated(draw, most)]


def stated(draw: DrawFn, vocabulary: Vocabulary, *, always: bool = False) -> str:
    """`` at n = 12``, or nothing."""
    if not always and draw(st.integers(0, 2)) < 2:
        return ""
    lengths = (f"{name} = {draw(numbers(vocabulary, simple=True))}" for name in vocabulary.lengths)
    return f" at {', '.join(lengths)}"


def bound(draw: DrawFn, vocabulary: Vocabulary) -> str:
    """A bound in the lengths and the known numbers."""
    return draw(terms(replace(vocabulary, positions=(), axes=()), 1))


def _nonempty(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return draw(st.sampled_from(["nonempty", "causal"])) + stated(draw, vocabulary)


def _symmetric(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return "symmetric" + stated(draw, vocabulary)


def _reach(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    steps = draw(st.integers(1, 4))
    within = f"in {steps} step{'s' * (steps > 1)}"
    order = "in any layer order"
    return f"reach {draw(st.sampled_from([within, order, f'{within} {order}']))}{stated(draw, vocabulary)}"


def _not_reach(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    within = draw(st.sampled_from(["", f" in {draw(st.integers(1, 4))} steps"]))
    return f"not reach{within}{stated(draw, vocabulary)}"


def _inclusion(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    left, right = (draw(relations(vocabulary, depth, alone=True)) for _ in range(2))
    forms = [f"{left} <= {right}", f"{left} = {right}", f"disjoint({left}, {right})", f"{left} <= ({left}) | ({right})"]
    return draw(st.sampled_from(forms)) + stated(draw, vocabulary)


def _keys(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"keys <= {bound(draw, vocabulary)}{stated(draw, vocabulary)}"


def _cache(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    return f"cache <= {bound(draw, vocabulary)}{stated(draw, vocabulary)}"


def _density(draw: DrawFn, vocabulary: Vocabulary, depth: int) -> str:
    ratio = draw(st.sampled_from([*vocabulary.ratios, "10%", "50%", "100%"]))
    return f"density <= {ratio}{stated(draw, vocabulary, always=True)}"
