"""A text is broken most of the time while it is written: nothing raises, at no keystroke, at no place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from marked import CURSOR, EVERYTHING, names

from patternc.compiler.editor.buffers import Buffers
from patternc.compiler.editor.completion import complete
from patternc.compiler.editor.definition import definition, entries
from patternc.compiler.editor.diagnostics import findings
from patternc.compiler.editor.hover import about
from patternc.compiler.editor.reading import read
from patternc.compiler.editor.symbols import symbol_at
from patternc.library import source

ODD = [
    '"""',
    '"',
    "#",
    "\0",
    "é",
    "😀",
    "\ud800",
    "\u2028",
    "\x0c",
    "\t",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "|",
    "=",
    ":",
    "%",
]
WORDS = [
    "pattern",
    "plan",
    "rule",
    "from",
    "step",
    "learn",
    "prove",
    "layers",
    "causal",
    "keys",
    "in",
    "exists",
    "1",
    "x",
]


def ask_everything(text: str, offset: int) -> None:
    known, place = names(text[:offset] + CURSOR + text[offset:], Path("/nowhere"))
    made = read(known.outline.source, Buffers().read)
    for one in findings(made.errors, (), made.source):
        assert one.range.start < one.range.end or not text
    entries(known.outline)
    for item in complete(known, place):
        assert 0 <= item.start <= place
    definition(known, place)
    if found := symbol_at(known, place):
        assert about(found[0])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(source("fixed_factorized").text, id="a stock pattern"),
        pytest.param("pattern p causal { step self }\nfrom", id="an import begun"),
        pytest.param(EVERYTHING, id="everything", marks=pytest.mark.slow),
    ],
)
def test_every_prefix(text: str) -> None:
    for end in range(len(text) + 1):
        ask_everything(text[:end], end)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_texts_with_pieces_cut_out_and_put_in(data: st.DataObject) -> None:
    text = EVERYTHING
    for _ in range(data.draw(st.integers(1, 6))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.sampled_from([0, 0, 1, 3, 10, 40])))
        put = data.draw(st.sampled_from(["", *ODD, *(f" {word} " for word in WORDS)]))
        text = text[:start] + put + text[end:]
    text = text.replace(CURSOR, "")
    ask_everything(text, data.draw(st.integers(0, len(text))))
