"""Texts that need not be well-formed: anything at all, words of the language in any order, and files with edits."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from ...patterns_dsl.parsing.parse import words

_SIGNS = (
    "(", ")", "{", "}", "[", "]", ":", ",", "=", "..", ".", "|", "&", "-", "@", "+", "*", "^",
    "<", "<=", ">", ">=", "!=",
)  # fmt: skip
_OTHERS = (
    "i", "j", "n", "nq", "w", "p", "local", "columns", "first", "0", "1", "4", "128", "4611686018427387905", "1_0",
    "10%",
    "100.5%", '"""', '"x.pat"', '"library:dense"', "#", "\n", "\n    ", "\t", "²", "é", "\0",
)  # fmt: skip

MOST_WORDS = 80


def arbitrary(most: int = 300) -> SearchStrategy[bytes]:
    """Any bytes, most of them UTF-8."""
    return st.text(max_size=most).map(str.encode) | st.binary(max_size=most)


def soups() -> SearchStrategy[bytes]:
    """Words and signs of the language in any order."""
    vocabulary = sorted(words()) + list(_SIGNS) + list(_OTHERS)
    return st.lists(st.sampled_from(vocabulary), max_size=MOST_WORDS).map(" ".join).map(str.encode)


@st.composite
def edited(draw: DrawFn, texts: Sequence[str], most: int = 6) -> bytes:
    """One of the texts after a few edits: bytes, words or lines inserted, left out, doubled, or moved; and words that
    become others of the text, which seldom spoils its form."""
    content, gently = draw(st.sampled_from(texts)).encode(), draw(st.booleans())
    for _ in range(draw(st.integers(1, most))):
        content = draw(_other_word(content) if gently or draw(st.booleans()) else _edit(content))
    return content


@st.composite
def _other_word(draw: DrawFn, content: bytes) -> bytes:
    pattern = draw(st.sampled_from([rb"[A-Za-z_]\w*", rb"\d+", rb"[<>=!]+", rb"[|&@+*-]"]))
    found = list(re.finditer(pattern, content))
    if not found:
        return content
    one, other = (draw(st.sampled_from(found)) for _ in range(2))
    word = other.group() if draw(st.integers(0, 4)) else draw(st.sampled_from(_OTHERS)).encode()
    return content[: one.start()] + word + content[one.end() :]


@st.composite
def _edit(draw: DrawFn, content: bytes) -> bytes:
    start = draw(st.integers(0, len(content)))
    end = min(len(content), start + draw(st.sampled_from([0, 1, 1, 2, 5, 20, 200])))
    before, cut, after = content[:start], content[start:end], content[end:]
    match draw(st.sampled_from(["leave out", "word", "bytes", "double", "move", "end here", "nest"])):
        case "word":
            word = draw(st.sampled_from([*sorted(words()), *_SIGNS, *_OTHERS])).encode()
            return before + draw(st.sampled_from([word, b" " + word + b" "])) + after
        case "bytes":
            return before + draw(st.binary(min_size=1, max_size=4)) + after
        case "double":
            return before + cut * draw(st.integers(2, 4)) + after
        case "move":
            place = draw(st.integers(0, len(before) + len(after)))
            return (before + after)[:place] + cut + (before + after)[place:]
        case "end here":
            return before
        case "nest":
            depth = draw(st.sampled_from([1, 3, 30, 300]))
            opening, closing = draw(st.sampled_from([(b"(", b")"), (b"not ", b""), (b"{ (i, j) : ", b" }")]))
            return before + opening * depth + cut + closing * depth + after
        case _:
            return before + after
