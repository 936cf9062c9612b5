"""What the documents promise is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from patternc.compiler.examine import CODES, UNDECIDED
from patternc.patterns_dsl import codes

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| (P\d+) \| (.+) \|$", text, re.MULTILINE))
    assert table.keys() == {*codes.TITLES, *CODES.values(), UNDECIDED}
    assert {code: table[code] for code in codes.TITLES} == codes.TITLES


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_glossary_defines_each_term_once() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:[^|\\]|\\.)+?) \|", text, re.MULTILINE)[1:]
    terms = [term for row in rows for term in re.findall(r"`[^`]*`|[^,`]+", row) if term.strip() and term != "---"]
    assert len(terms) == len(set(terms))
