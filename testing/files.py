"""Whole files, as modules, patterns and plans that bind."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import note
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from ..compiler.pattern import Module, Pattern, Plan, loads
from ..patterns_dsl.syntax import Direction
from .text.declarations import declared_rules, pattern_texts
from .text.plans import plan_texts
from .text.terms import repeated
from .text.vocabulary import Vocabulary

directions = st.sampled_from(list(Direction))


@st.composite
def file_texts(
    draw: DrawFn, vocabulary: Vocabulary, *, patterns: int = 1, plans: int = 0, claims: bool = True, depth: int = 2
) -> str:
    """The text of a file: up to two rules, then the patterns `p`, `p1`, ... and the plans `model`, `model1`, ..."""
    parts, names = [], [f"p{place or ''}" for place in range(patterns)]
    for place in repeated(draw, 2):
        text, rule = draw(declared_rules(vocabulary, f"rule{place}"))
        parts.append(text)
        vocabulary = replace(vocabulary, rules=(*vocabulary.rules, rule))
    parts += [draw(pattern_texts(vocabulary, name, depth, claims=claims)) for name in names]
    for place in range(plans):
        parts.append(draw(plan_texts(names, vocabulary, f"model{place or ''}", claims=claims)))
    return "\n".join(parts) + "\n"


@st.composite
def modules(
    draw: DrawFn,
    *,
    direction: Direction | str | None = None,
    learned: bool = False,
    tables: bool = True,
    summaries: bool = True,
    claims: bool = True,
    patterns: int = 1,
    plans: int = 0,
    depth: int = 2,
) -> Module:
    """A file that binds, its ``source.text`` in the language. A test that fails shows the text.

    ``direction`` None: any of the three. ``learned``: selections, gates and documents occur; ``tables``: seeded random
    blocks; ``summaries``: pooled terms. Without the three, the engines run every pattern that is not ``cross``.
    """
    chosen = draw(directions) if direction is None else Direction(direction)
    vocabulary = Vocabulary(chosen, learned=learned, tables=tables, summaries=summaries)
    text = draw(file_texts(vocabulary, patterns=patterns, plans=plans, claims=claims, depth=depth))
    note(text)
    return loads(text, "drawn.pat")


def patterns(
    *,
    direction: Direction | str | None = None,
    learned: bool = False,
    tables: bool = True,
    summaries: bool = True,
    claims: bool = True,
    depth: int = 2,
) -> st.SearchStrategy[Pattern]:
    """A pattern with the values of its defaults: see ``modules``."""
    drawn = modules(
        direction=direction, learned=learned, tables=tables, summaries=summaries, claims=claims, depth=depth
    )
    return drawn.map(lambda module: module["p"].bind())


def plans(
    *, direction: Direction | str | None = None, learned: bool = False, claims: bool = True, depth: int = 1
) -> st.SearchStrategy[Plan]:
    """A plan over two patterns of its file and stock patterns."""
    drawn = modules(direction=direction, learned=learned, claims=claims, patterns=2, plans=1, depth=depth)
    return drawn.map(lambda module: module.plans["model"])
