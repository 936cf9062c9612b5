"""Declarations of learned selections as text: `learn hot = topk_blocks(k = 4)`."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from ...patterns_dsl.builtin.selectors import KINDS, MEDIUM_SIZE, Role
from ...patterns_dsl.syntax import Direction
from .terms import numbers
from .vocabulary import Vocabulary


@st.composite
def selectors(draw: DrawFn, vocabulary: Vocabulary, kind: str) -> str:
    """A selector with some of its options given, each as the selector allows it."""
    options: dict[str, str] = {}
    cross = vocabulary.direction is Direction.CROSS
    forced = 0 if cross else 2  # what is forced must fit into the k that are chosen
    for name, wanted in KINDS[kind].options.items():
        if wanted.default is not None and draw(st.booleans()):
            continue
        match wanted.kind:
            case "int" if name == "k":
                text = f"{draw(numbers(vocabulary, simple=True))} + {forced}"
            case "int" if kind == "granularity":  # summaries of the medium level divide into blocks
                text = f"{MEDIUM_SIZE} * {draw(numbers(vocabulary, simple=True))}"
            case "int":
                text = draw(numbers(vocabulary))
            case "ratio":
                text = draw(st.sampled_from([*vocabulary.ratios, "25%", "0.5%", "100%"]))
            case "word":
                text = draw(st.sampled_from(wanted.words))
            case "words":
                text = f"[{', '.join(draw(_words(name, wanted.words, cross)))}]"
        options[name] = text
    if "skip" not in options.get("levels", "skip"):
        options["budget"] = "100%"  # less may be beneath the cheapest level
    return f"{kind}({', '.join(f'{name} = {text}' for name, text in options.items())})"


def _words(option: str, words: tuple[str, ...], cross: bool) -> st.SearchStrategy[list[str]]:
    """Words of an option. Some level must be left to attend at; a cross pattern has no diagonal."""
    if option == "levels":
        return st.lists(st.sampled_from(words), min_size=1, unique=True).filter(lambda chosen: chosen != ["skip"])
    return st.lists(st.sampled_from([word for word in words if word != "diagonal" or not cross]), unique=True)


@st.composite
def selections(draw: DrawFn, vocabulary: Vocabulary) -> tuple[tuple[str, ...], Vocabulary]:
    """Up to two `learn` lines, and the vocabulary that speaks of them."""
    lines = []
    for name in draw(st.sampled_from([("hot",), ("hot", "cold"), ()])):
        kind = draw(st.sampled_from(sorted(KINDS)))
        lines.append(f"learn {name} = {draw(selectors(vocabulary, kind))}")
        match KINDS[kind].role:
            case Role.SET:
                vocabulary = replace(vocabulary, sets=(*vocabulary.sets, name))
            case Role.RELATION:
                vocabulary = replace(vocabulary, selections=(*vocabulary.selections, name))
            case Role.LEVELS:
                vocabulary = replace(vocabulary, refinements=(*vocabulary.refinements, name))
    return tuple(lines), vocabulary
