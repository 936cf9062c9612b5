"""Where names lead to: in the text, in the file that it imports, in the files that patternc brings along."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from marked import CURSOR, EVERYTHING, cut, names

import patternc
from patternc.compiler.editor.definition import definition
from patternc.compiler.editor.positions import position
from patternc.patterns_dsl.diagnostics.source import Source

ROOT = Path(patternc.__file__).parent


def at(text: str, sought: str) -> str:
    """The text with a cursor in the word that is group 1 of a regular expression."""
    found = re.search(sought, text)
    assert found is not None
    place = found.start(1) + 1
    return text[:place] + CURSOR + text[place:]


@pytest.mark.parametrize(
    ("use", "leads_to"),
    [
        (r"= (near)\(w, s", r"rule (near)"),
        (r"near\((w), s = g", r"p\((w): int"),
        (r"near\(w, (s) = g", r", (s): set = \{0, 5"),
        (r"s = (g)\)", r", (g): set"),
        (r"select\((hot)", r"learn (hot)"),
        (r"columns\((seen)", r"learn (seen)"),
        (r"budget = (share)", r"(share): ratio"),
        (r"i\.(x)", r"y, (x) = 4"),
        (r": (i)\.x", r"\{ \((i), j\)"),
        (r"2\^(k)", r"exists (k)"),
        (r"prove (a) <=", r"step (a)"),
        (r": (p)\(w = 8", r"pattern (p)"),
        (r"p\((w) = 8", r"p\((w): int"),
        (r"rule (near)", r"rule (near)"),
    ],
)
def test_in_the_text(use: str, leads_to: str) -> None:
    found = definition(*names(at(EVERYTHING, use)))
    place = re.search(leads_to, EVERYTHING)
    assert found is not None and found.file is None and place is not None
    assert found.range.start == position(Source("x", EVERYTHING), place.start(1))


@pytest.mark.parametrize(
    ("use", "file", "line"),
    [
        (r"= (local)\(", "patterns_dsl/builtin/prelude.pat", "rule local"),
        (r"<= (causal)", "patterns_dsl/builtin/prelude.pat", "rule causal"),
        (r"g = (first)", "patterns_dsl/builtin/prelude.pat", "rule first"),
        (r": (streaming)", "library/streaming.pat", "pattern streaming"),
        (r"import (dense)", "library/dense.pat", "pattern dense"),
        (r"as (full)", "library/dense.pat", "pattern dense"),
        (r"\"(library):", "library/dense.pat", ""),
    ],
)
def test_in_the_files_that_patternc_brings_along(use: str, file: str, line: str) -> None:
    found = definition(*names(at(EVERYTHING, use)))
    assert found is not None and found.file == ROOT / file
    assert found.file.read_text(encoding="utf-8").splitlines()[found.range.start.line].startswith(line)


@pytest.mark.parametrize("use", [r"(nonempty)", r"(step) a", r"(select)\(", r"(64)", r"\) (causal) grid", r"(Inside)"])
def test_what_leads_nowhere(use: str) -> None:
    assert definition(*names(at(EVERYTHING, use))) is None


def test_in_another_file(tmp_path: Path) -> None:
    (tmp_path / "windows.pat").write_text("# first\nrule near(w: int) = local(w)\n", encoding="utf-8")
    text = 'from "windows.pat" import near as close\npattern p causal { step clo§se(w = 4) }'
    found = definition(*names(text, tmp_path))
    assert found is not None and found.file == tmp_path / "windows.pat" and found.range.start.line == 1
    parameter = definition(*names(text.replace(CURSOR, "").replace("w =", "w§ ="), tmp_path))
    assert parameter is not None and parameter.file == found.file and parameter.range.start.column == 10


def test_a_name_of_the_language_can_be_a_rule() -> None:
    text = "rule keys = self\npattern p causal { step ke§ys prove keys <= keys }"
    found = definition(*names(text))
    assert found is not None and found.range.start.column == 5
    claim = names(cut(text)[0].replace("prove keys", "prove ke§ys"))
    assert definition(*claim) is None
