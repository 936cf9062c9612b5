"""Excerpts: long lines, tabs, wide characters, several files."""

from __future__ import annotations

from pathlib import Path

from patternc.patterns_dsl.diagnostics.diagnostic import Diagnostic, Label
from patternc.patterns_dsl.diagnostics.source import Source, Span


def rendered(text: str, marked: str, *labels: str) -> list[str]:
    source = Source("x.pat", text)

    def span(part: str) -> Span:
        start = text.index(part)
        return Span(source, start, start + len(part))

    one = Diagnostic("P101", "no", span(marked), labels=tuple(Label(span(label), label) for label in labels))
    return one.render().splitlines()


def test_of_a_long_line_the_part_around_the_mark_is_shown() -> None:
    text = "a" * 1000 + "HERE" + "b" * 1000
    _, place, _, line, mark = rendered(text, "HERE")
    assert place == " --> x.pat:1:1001"
    assert line.startswith("1 | ...aaa") and line.endswith("bbb...")
    assert len(line) < 180
    assert line[mark.index("^") : mark.index("^") + 4] == "HERE"
    assert mark.endswith("^^^^")


def test_a_long_line_is_cut_at_one_end_where_the_mark_is_near_the_other() -> None:
    assert rendered("HERE" + "b" * 1000, "HERE")[3].startswith("1 | HEREb")
    assert rendered("a" * 1000 + "HERE", "HERE")[3].endswith("aHERE")


def test_a_mark_longer_than_the_part_ends_with_it() -> None:
    *_, line, mark = rendered("a" * 50 + "B" * 1000, "B" * 1000)
    assert len(mark) <= len(line)


def test_a_label_outside_the_part_is_still_there() -> None:
    lines = rendered("FIRST" + "a" * 1000 + "HERE", "HERE", "FIRST")
    assert any(line.endswith("FIRST") and "-" in line for line in lines)


def test_signs_stand_under_wide_characters_and_accents() -> None:
    *_, mark = rendered("# 漢字 HERE", "HERE")
    assert mark == "  |        ^^^^"  # each of the two takes two columns
    *_, mark = rendered("# e\N{COMBINING ACUTE ACCENT} HERE", "HERE")
    assert mark == "  |     ^^^^"
    *_, mark = rendered("# 漢字", "漢字")
    assert mark == "  |   ^^^^"


def test_tabs_are_kept() -> None:
    *_, mark = rendered("\tstep\tHERE", "HERE")
    assert mark == "  | \t    \t^^^^"


def test_a_file_that_was_not_read_has_no_excerpt() -> None:
    one = Diagnostic("P108", "too large", Span(Source("x.pat", "", Path()), 0, 0), help=("less",))
    assert one.render().splitlines() == ["error[P108]: too large", " --> x.pat", "  = help: less"]


def test_what_quotes_much_is_shortened() -> None:
    one = Diagnostic("P101", "a" * 5000, Span(Source("x.pat", "x"), 0, 1), notes=("b" * 5000,), help=("c" * 5000,))
    assert max(map(len, one.render().splitlines())) < 450
    assert "aaa ... aaa" in one.render()
