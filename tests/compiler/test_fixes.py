"""Every fix there is mends what it says, changes nothing else, and loosens no claim."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patternc.compiler.examine import examine_module
from patternc.compiler.mend import Mended, mend
from patternc.compiler.pattern import Module
from patternc.compiler.selection import Reference
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.patterns_dsl.diagnostics.source import Source

ROOT = Path(__file__).resolve().parents[2]


def mended(text: str, **given: str) -> Mended:
    return mend(Source("x.pat", text), Reference("x.pat", None), given)


def pattern(*statements: str, head: str = "causal") -> str:
    return f"pattern p {head} {{\n" + "".join(f"    {statement}\n" for statement in statements) + "}\n"


# Each once: the code, the text, and the text as it should be.
FIXES = [
    # signs of other languages
    ("P101", pattern("step { (i, j) : i == j }"), pattern("step { (i, j) : i = j }")),
    ("P101", pattern("step { (i, j) : j =< i }"), pattern("step { (i, j) : j <= i }")),
    ("P101", pattern("step { (i, j) : i => j }"), pattern("step { (i, j) : i >= j }")),
    ("P101", pattern("step { (i, j) : i <> j }"), pattern("step { (i, j) : i != j }")),
    ("P101", pattern("step { (i, j) : i <= 3 && j <= 3 }"), pattern("step { (i, j) : i <= 3 and j <= 3 }")),
    ("P101", pattern("step { (i, j) : i = 3||j = 3 }"), pattern("step { (i, j) : i = 3 or j = 3 }")),
    ("P101", pattern("step { (i, j) : i <= 3 & j <= 3 }"), pattern("step { (i, j) : i <= 3 and j <= 3 }")),
    ("P101", pattern("step { (i, j) : i <= 3 | j <= 3 }"), pattern("step { (i, j) : i <= 3 or j <= 3 }")),
    ("P101", pattern("step local(3) && causal"), pattern("step local(3) & causal")),
    ("P101", pattern("step local(3) || self"), pattern("step local(3) | self")),
    ("P101", pattern("step local(3) or self"), pattern("step local(3) | self")),
    ("P101", pattern("step local(3) and causal"), pattern("step local(3) & causal")),
    ("P101", pattern("step local(2 ** 3)"), pattern("step local(2 ^ 3)")),
    ("P101", pattern("step { (i, j) : i // 8 = j // 8 }"), pattern("step { (i, j) : i div 8 = j div 8 }")),
    ("P101", pattern("step { (i, j) : i/8 = j/8 }"), pattern("step { (i, j) : i div 8 = j div 8 }")),
    ("P101", pattern("step { (i, j) : (i - j) % 8 = 0 }"), pattern("step { (i, j) : (i - j) mod 8 = 0 }")),
    ("P101", pattern("step { (i, j) : ! i = j }"), pattern("step { (i, j) : not i = j }")),
    ("P101", pattern("step ~self | self"), pattern("step not self | self")),
    ("P101", pattern("step self;"), pattern("step self")),
    ("P101", pattern("step near := self"), pattern("step near = self")),
    ("P101", pattern("step near : self"), pattern("step near = self")),
    ("P101", pattern("step { (i, j) : j ≤ i }"), pattern("step { (i, j) : j <= i }")),
    ("P101", pattern("step { (i, j) : j ≠ i }"), pattern("step { (i, j) : j != i }")),
    ("P101", pattern("step { (i, j) : j = i ∨ j = 0 }"), pattern("step { (i, j) : j = i or j = 0 }")),
    ("P101", pattern("step { (i, j) : ∃ k : i - j = 2 * k }"), pattern("step { (i, j) : exists k : i - j = 2 * k }")),
    ("P101", pattern("step local(2) ∪ self"), pattern("step local(2) | self")),
    ("P101", pattern("step { i, j : j = i }"), pattern("step { (i, j) : j = i }")),
    ("P101", "plan m {\n    layers 0-3 : dense\n}\n", "plan m {\n    layers 0..3 : dense\n}\n"),
    ("P101", "plan m {\n    layers 0..3 = dense\n}\n", "plan m {\n    layers 0..3 : dense\n}\n"),
    ("P101", "plan m causal {\n    layers 0..3 : dense\n}\n", "plan m {\n    layers 0..3 : dense\n}\n"),
    # misspelled words
    ("P101", pattern("stp self"), pattern("step self")),
    ("P101", pattern("steps self"), pattern("step self")),
    ("P101", pattern("step self", head="casual"), pattern("step self")),
    ("P101", f"patern{pattern('step self')[7:]}", pattern("step self")),
    ("P101", pattern("step self", "prove nonemtpy"), pattern("step self", "prove nonempty")),
    ("P101", pattern("step everything", "prove reech in 1 step"), pattern("step everything", "prove reach in 1 step")),
    ("P101", pattern("step everything", "prove reach in 1 stpe"), pattern("step everything", "prove reach in 1 step")),
    ("P102", pattern("step self", "prove key <= 1"), pattern("step self", "prove keys <= 1")),
    ("P101", "plan m {\n    layer 0 : dense\n}\n", "plan m {\n    layers 0 : dense\n}\n"),
    ("P101", "plan m {\n    layers 0 : dense merge\n}\n", "plan m {\n    layers 0 : dense merged\n}\n"),
    # misspelled names
    ("P201", pattern("step locl(8)"), pattern("step local(8)")),
    ("P201", pattern("step local(widt)", head="causal")[:9] + "(width: int = 8)" + pattern("step local(widt)")[9:],
     pattern("step local(width)")[:9] + "(width: int = 8)" + pattern("step local(width)")[9:]),
    ("P205", pattern("step band(bakc = 3, ahead = 0)"), pattern("step band(back = 3, ahead = 0)")),
    ("P212", pattern("step { (i, j) : j < nq }"), pattern("step { (i, j) : j < n }")),
    ("P215", "plan m {\n    layers all : streming\n}\n", "plan m {\n    layers all : streaming\n}\n"),
    ("P220", pattern("learn hot = topk_block(k = 3)", "step select(hot)"),
     pattern("learn hot = topk_blocks(k = 3)", "step select(hot)")),
    ("P221", pattern("learn hot = topk_blocks(k = 3, blok = 64)", "step select(hot)"),
     pattern("learn hot = topk_blocks(k = 3, block = 64)", "step select(hot)")),
    ("P221", pattern("learn hot = topk_blocks(k = 3, relax = lapsun)", "step select(hot)"),
     pattern("learn hot = topk_blocks(k = 3, relax = lapsum)", "step select(hot)")),
    ("P221", pattern("learn hot = topk_blocks(k = 3, forced = [diagonl, first])", "step select(hot)"),
     pattern("learn hot = topk_blocks(k = 3, forced = [diagonal, first])", "step select(hot)")),
    ("P224", pattern("step { (i, j) : i.rows = j.row }", head="causal grid(row, column = 8)"),
     pattern("step { (i, j) : i.row = j.row }", head="causal grid(row, column = 8)")),
    ("P224", pattern("step { (i, j) : i.row = j.row }", head="causal grid(row = 4, column = 8)"),
     pattern("step { (i, j) : i.row = j.row }", head="causal grid(row, column = 8)")),
    # intervals and ends
    ("P101", pattern("step self")[:-3], pattern("step self")),
    ("P214", "plan m {\n    layers 11..0 : dense\n}\n", "plan m {\n    layers 0..11 : dense\n}\n"),
    ("P214", pattern("step columns({9..0, 12})"), pattern("step columns({0..9, 12})")),
    ("P214", pattern("step { (i, j) : exists k in 9..0 : i - j = k }"),
     pattern("step { (i, j) : exists k in 0..9 : i - j = k }")),
    # proofs
    ("P302", pattern("step block(8) - self", "prove nonempty"),
     pattern("step block(8) - self | self", "prove nonempty")),
    ("P302", pattern("step fixed(8, 2) # summary", "step self", "prove nonempty"),
     pattern("step fixed(8, 2) | self # summary", "step self", "prove nonempty")),
    ("P302", pattern("step { (i, j) : i < j }", "prove nonempty", head="cross"),
     pattern("step { (i, j) : i < j } | columns(first(1))", "prove nonempty", head="cross")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "text", "wanted"), FIXES, ids=[f"{code}-{n}" for n, (code, *_) in enumerate(FIXES)])
def test_each_fix_mends_what_it_says_and_nothing_else(code: str, text: str, wanted: str) -> None:
    assert codes(text) == {code}
    done = mended(text)
    assert done.text == wanted
    assert done.fixes
    assert not done.report.errors
    assert code not in {one.code for one in done.report.diagnostics()}
    assert mended(done.text).fixes == ()  # a second time changes nothing


def codes(text: str) -> set[str]:
    """The codes of a text's diagnostics, with nothing mended."""
    try:
        report = examine_module(Module(Source("x.pat", text)), Reference("x.pat", None), {})
    except PatternError as error:
        return {one.code for one in error.diagnostics}
    return {one.code for one in report.diagnostics()}


PAGES = sorted((ROOT / "docs/errors").glob("P*.md"))


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "P401"], ids=lambda page: page.stem)
def test_a_fix_never_loosens_a_claim(page: Path) -> None:
    """Over the examples of all pages: every claim stays as it is written."""
    text = re.findall(r"^```pat\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)[0]
    claims = re.findall(r"^ *(?:prove|require) .*$", text, re.MULTILINE)
    assert re.findall(r"^ *(?:prove|require) .*$", mended(text).text, re.MULTILINE) == claims
