"""Imports: names of other files, with the scope of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

import patternc as pc
from patternc.patterns_dsl.diagnostics.diagnostic import Diagnostic


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        folder.joinpath(*f"{name}.pat".split("__")).parent.mkdir(exist_ok=True)
        folder.joinpath(*f"{name}.pat".split("__")).write_text(text, encoding="utf-8")
    return folder / "main.pat"


def refused(path: Path) -> Diagnostic:
    with pytest.raises(pc.PatternError) as raised:
        _ = pc.load(path)["p"].bound
    (found,) = raised.value.diagnostics
    return found


def test_an_imported_rule_keeps_its_own_scope(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        sub__windows="rule size(w: int) = local(w) rule near(w: int = 2) = size(w) | local(1)",
        main="""
        from "sub/windows.pat" import near, near as close
        rule size(w: int) = everything           # not the one that `near` speaks of
        pattern p causal { step near(3) & close }
        """,
    )
    assert pc.load(main)["p"].mask(6).sum() == 6 + 5


def test_chains_and_diamonds(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        base="rule one = shift(self, 1)",
        left='from "base.pat" import one rule two = one @ one',
        right='from "base.pat" import one as hop rule three = hop @ hop @ hop',
        main='from "left.pat" import two from "right.pat" import three pattern p causal { step two | three }',
    )
    assert pc.load(main)["p"].mask(5).nonzero().tolist() == [[2, 0], [3, 0], [3, 1], [4, 1], [4, 2]]


def test_patterns_and_stock_files(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        mine="pattern narrow(w: int = 4) causal { step local(w) }",
        main="""
        from "library:streaming" import streaming as sinks
        from "mine.pat" import narrow
        plan x { layers 0 : sinks(sink = 1, w = 3) layers 1 : narrow layers 2 : dense }
        """,
    )
    patterns = [pattern.name for _, pattern in pc.load(main).plans["x"].assignments]
    assert patterns == ["streaming", "narrow", "dense"]


@pytest.mark.parametrize(
    ("importing", "code", "words"),
    [
        ('from "nowhere.pat" import a', "P218", "nowhere.pat cannot be read"),
        ('from "library:longfromer" import a', "P218", "did you mean 'longformer'"),
        ('from "." import a', "P218", "cannot be read"),
        ('from "main.pat" import a', "P219", "imports itself"),
        ('from "other.pat" import nera', "P201", "declares no rule or pattern `nera`"),
        ('from "other.pat" import near rule near = self', "P202", "`near` is defined twice"),
        ('from "broken.pat" import a', "P101", "expected"),
        ('from "binary.pat" import a', "P107", "is not UTF-8"),
    ],
)
def test_what_cannot_be_imported(importing: str, code: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "binary.pat").write_bytes(b"rule a = self # \xff\xfe")
    body = "pattern p causal { step self }"
    found = refused(write(tmp_path, other="rule near = self", broken="rule a =", main=f"{importing} {body}"))
    assert found.code == code
    assert words in found.message + " ".join(found.help)


def test_a_circle_shows_each_import(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        a='from "b.pat" import two rule one = two',
        b='from "a.pat" import one rule two = one',
        main='from "a.pat" import one pattern p causal { step one }',
    )
    found = refused(main)
    assert (found.code, len(found.labels)) == ("P219", 1)
    assert Path(found.span.source.name).name == "b.pat"


def test_a_text_in_no_folder_imports_stock_files_only() -> None:
    module = pc.loads('from "library:fixed_factorized" import fixed_factorized plan x { layers 0 : fixed_factorized }')
    assert module.plans["x"].assignments
    with pytest.raises(pc.PatternError, match="lies in no folder"):
        pc.loads('from "x.pat" import a pattern p causal { step a }')


def test_a_finding_in_an_imported_rule_names_the_call(tmp_path: Path) -> None:
    main = write(
        tmp_path,
        other="rule every(s: int) = strided(s) | { (i, j) : j mod s = 0 }",
        main='from "other.pat" import every pattern p causal { step every(0) }',
    )
    with pytest.raises(pc.PatternError) as raised:
        _ = pc.load(main)["p"].bound
    for found in raised.value.diagnostics:
        assert Path(found.span.source.name).name == "other.pat"
        assert any(Path(label.span.source.name).name == "main.pat" for label in found.labels)
