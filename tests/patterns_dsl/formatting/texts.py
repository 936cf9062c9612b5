"""Random texts: the words of a random tree, badly laid out, with comments anywhere. And what holds of every text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trees
from hypothesis import strategies as st

from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.formatting.format import formatted
from patternc.patterns_dsl.formatting.spell import spell
from patternc.patterns_dsl.parsing.declare import plain
from patternc.patterns_dsl.parsing.lexeme import COMMENT
from patternc.patterns_dsl.parsing.parse import lexemes, parse

SPACES = st.sampled_from(["", "", "", " ", " ", "  ", "\t", "\n", "\n\n", "\n \n\n    ", "\r\n"])
COMMENTS = st.text(st.sampled_from('ab #"{}\t'), max_size=6).map(lambda text: f"#{text}\n")
ENDS = st.sampled_from(["", "", "\n", "\n\n", "# no line end"])


@st.composite
def texts(draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    """Texts that can be parsed."""
    text, before = "", ""
    for lexeme in lexemes(Source("spelled", spell(draw(trees.modules)))):
        text += _gap(draw, bool(before) and _word(before[-1]) and _word(lexeme.text[0])) + lexeme.text
        before = lexeme.text
    return text + _gap(draw, False) + draw(ENDS)


def _gap(draw: Callable[[st.SearchStrategy[Any]], Any], needed: bool) -> str:
    kind = draw(st.integers(0, 11))
    if kind < 8:
        return " " * needed
    gap = draw(SPACES)
    if kind > 9:
        gap += draw(COMMENTS) + draw(SPACES)
    return gap or " " * needed


def _word(character: str) -> bool:
    return character.isalnum() or character == "_"


def laid_out(text: str) -> str:
    return formatted(Source("test.pat", text))


def words(text: str) -> list[tuple[str, str]]:
    """The tokens and comments in order; of a docstring what it says."""
    found = list(lexemes(Source("test.pat", text)))
    return [(each.kind, plain(each.text) if each.kind == "DOC" else each.text) for each in found]


def on_own_line(text: str) -> list[bool]:
    """Of each comment, whether nothing stands before it on its line."""
    found = list(lexemes(Source("test.pat", text)))
    return [each.breaks > 0 or place == 0 for place, each in enumerate(found) if each.kind == COMMENT]


def without_docstrings(text: str) -> str:
    for each in reversed(list(lexemes(Source("test.pat", text)))):
        if each.kind == "DOC":
            text = text[: each.start] + '""' + text[each.start + len(each.text) :]
    return text


def check(text: str) -> str:
    """What must hold of every text."""
    result = laid_out(text)
    assert laid_out(result) == result
    assert parse(Source("test.pat", result)) == parse(Source("test.pat", text))
    assert words(result) == words(text)
    assert on_own_line(result) == on_own_line(text)
    return result


def dedented(text: str) -> str:
    """An example as it would stand in a file."""
    lines = text.split("\n")
    margin = 8 if len(lines) > 2 and lines[0] == "" else 0
    return "\n".join(line[margin:] for line in lines).strip("\n") + "\n"
