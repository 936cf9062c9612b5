"""What the documents promise is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import patternc as pc
from patternc.compiler.examine import CODES
from patternc.compiler.report.draw import save
from patternc.patterns_dsl.binding.prelude import prelude
from patternc.patterns_dsl.diagnostics import codes

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_code_is_documented_and_every_documented_code_exists() -> None:
    text = (ROOT / "docs/errors.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| (P\d+) \| (.+) \|$", text, re.MULTILINE))
    written = {code for room in ("patterns_dsl", "compiler", "runtime", "library") for code in _codes(ROOT / room)}
    assert table.keys() == {*codes.TITLES, *CODES.values(), *written}
    assert {code: table[code] for code in codes.TITLES} == codes.TITLES


def _codes(room: Path) -> set[str]:
    texts = (path.read_text(encoding="utf-8") for path in room.rglob("*.py"))
    return {code for text in texts for code in re.findall(r'"(P[1-4]\d\d)"', text)}


def test_the_language_reference_is_true() -> None:
    text = (ROOT / "docs/language.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```pat\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 4
    for block in blocks:
        module = pc.loads(block, "docs/language.md")
        for plan in module.plans.values():
            assert plan.assignments
        for pattern in module.patterns.values():
            assert {result.status for result in pc.check(pattern)} <= {pc.Status.PROVED, pc.Status.CHECKED}
    for rule in prelude().rules:
        assert f"`{rule.name}" in text, rule.name


def test_the_picture_is_what_show_draws(tmp_path: Path) -> None:
    save(pc.load("library:fixed_factorized")["fixed_factorized"], 512, tmp_path / "x.svg")
    assert (tmp_path / "x.svg").read_bytes() == (ROOT / "docs/fixed_factorized.svg").read_bytes()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_glossary_defines_each_term_once() -> None:
    text = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:[^|\\]|\\.)+?) \|", text, re.MULTILINE)[1:]
    terms = [term for row in rows for term in re.findall(r"`[^`]*`|[^,`]+", row) if term.strip() and term != "---"]
    assert len(terms) == len(set(terms))
