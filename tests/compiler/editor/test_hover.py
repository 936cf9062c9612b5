"""What hovering tells about words; figures and verdicts are in test_server.py."""

from __future__ import annotations

import pytest
from marked import EVERYTHING, names
from test_definition import at

from patternc.compiler.editor.hover import about, verdict
from patternc.compiler.editor.symbols import symbol_at
from patternc.compiler.editor.words import CLAIMS, PLAN_CLAIMS, WORDS
from patternc.patterns_dsl.builtin.natives import NATIVES
from patternc.patterns_dsl.builtin.selectors import KINDS
from patternc.patterns_dsl.diagnostics.source import Source
from patternc.patterns_dsl.parsing.parse import parse, words


def shown(marked: str) -> str:
    found = symbol_at(*names(marked))
    assert found is not None
    return about(found[0])


@pytest.mark.parametrize(
    ("use", "code", "text"),
    [
        (r"= (near)\(", "rule near(w: int, s: set = {0, 5}) = local(w) | columns(s)", "A window of w keys."),
        (r"= (local)\(", "rule local(w: int) = { (i, j) : -w < i - j < w }", "w keys each side"),
        (r"(pooled)", "pooled(s: int)", "summaries of s tokens each"),
        (r"(topk_blocks)", "learn name = topk_blocks(k, block = 64", "k key blocks for each query block"),
        (r"(forced)", "topk_blocks(k, block", "Some of first, diagonal"),
        (r"\[(first)", "topk_blocks(k, block", "**first**"),
        (r"\((k) = 4", "topk_blocks(k, block", "It must be given."),
        (r"select\((hot)", "learn hot = topk_blocks(k = 4", "write `select(name)`"),
        (r"(streaming)", "pattern streaming(sink: int", "Attention sinks"),
        (r"import (dense)", "pattern dense", "Vaswani"),
        (r"\) (causal) grid", "pattern NAME causal", "j <= i"),
        (r"prove (nonempty)", "prove nonempty", "at least one key"),
        (r"in 1 (step)", "step NAME = R", "layer"),
        (r"at (n) =", "n", "length of the sequence"),
        (r"g: (set)", "NAME: set", "positions"),
        (r"2\^(k)", "k", "variable"),
        (r"(interleaved)", "PATTERN interleaved", "step r mod p"),
        (r"(library):", 'from "library:dense"', ""),
    ],
)
def test_words(use: str, code: str, text: str) -> None:
    found = shown(at(EVERYTHING, use))
    assert code in found.split("```")[1] and text in found


def test_every_word_of_the_language_is_explained() -> None:
    assert WORDS.keys() == words()


@pytest.mark.parametrize("name", NATIVES)
def test_every_native_relation_is_explained(name: str) -> None:
    assert len(shown(f"pattern p causal {{ step {name[:1]}§{name[1:]}(x) }}").splitlines()) > 4


@pytest.mark.parametrize("name", KINDS)
def test_every_selector_is_explained(name: str) -> None:
    found = shown(f"pattern p causal {{ learn h = {name[:1]}§{name[1:]}(k = 1) }}")
    assert len(found.split("\n\n")) == 3


def test_every_claim_that_is_offered_is_one() -> None:
    for (insert, _), plan in [
        *((one, False) for one in CLAIMS.values()),
        *((one, True) for one in PLAN_CLAIMS.values()),
    ]:
        claim = insert.replace("${1:R}", "self").replace("${2:S}", "causal")
        for field in ("${1:2}", "${1:64}", "${1:10}", "${2:4096}"):
            claim = claim.replace(field, field[4:-1])
        body = f"layers all : dense prove {claim}" if plan else f"step self prove {claim}"
        parse(Source("x", f"plan p {{ {body} }}" if plan else f"pattern p causal {{ {body} }}"))


def test_a_claim_without_a_verdict() -> None:
    assert verdict(None) == "not decided yet"
