"""Parsing and binding at every change: what is found, where it is shown, and which files count."""

from __future__ import annotations

from pathlib import Path

import pytest

import patternc
from patternc.compiler.editor.buffers import Buffers
from patternc.compiler.editor.diagnostics import Finding, actions, findings
from patternc.compiler.editor.positions import Position, Range
from patternc.compiler.editor.reading import Reading, read
from patternc.compiler.pattern import load
from patternc.library import names
from patternc.patterns_dsl.diagnostics.source import Source


def reading(text: str, folder: Path | None = None, buffers: Buffers | None = None) -> Reading:
    name = "main.pat" if folder is None else str(folder / "main.pat")
    return read(Source(name, text, folder), (buffers or Buffers()).read)


def found(text: str, folder: Path | None = None, buffers: Buffers | None = None) -> tuple[Finding, ...]:
    made = reading(text, folder, buffers)
    return findings(made.errors, (), made.source)


@pytest.mark.parametrize("name", names())
def test_the_library_is_read_as_check_reads_it(name: str) -> None:
    module = load(f"library:{name}")
    made = reading(module.source.text)
    assert not made.errors
    assert made.bound == tuple(subject.bound for subject in (*module.patterns.values(), *module.plans.values()))


def test_all_errors_of_a_phase() -> None:
    one, two = found(
        "pattern p causal { step loc(3) }\npattern q causal { step local(w) }\npattern r causal { step self }"
    )
    assert (one.code, two.code) == ("P201", "P201")
    assert one.range == Range(Position(0, 24), Position(0, 30)) and two.range.start.line == 1
    assert "help: did you mean `local`?" in one.message
    assert one.edit is not None and one.edit.replacement == "local(3)"
    assert [bound.name for bound in reading("pattern p causal { step x }\npattern r causal { step self }").bound] == [
        "r"
    ]


def test_a_mistake_in_a_rule_is_shown_once() -> None:
    text = "rule far = loc(3)\npattern p causal { step far }\npattern q causal { step far | self }"
    assert [each.range.start.line for each in found(text)] == [0]


def test_edits_at_a_place() -> None:
    here = found("pattern p causal { step loc(3) }")
    ((one, edit),) = actions(here, Range(Position(0, 26), Position(0, 26)))
    assert one.edit is edit
    assert not actions(here, Range(Position(0, 5), Position(0, 6)))


def test_a_code_has_its_page_where_there_is_one() -> None:
    (one,) = found("pattern p causal { step loc(3) }")
    page = Path(patternc.__file__).parent / "docs" / "errors" / "P201.md"
    assert one.page == (page if page.is_file() else None)


def test_a_long_file_with_a_mistake() -> None:
    """What is recovered from is not copied at every statement: this took a minute."""
    text = "\n".join(f"pattern p{number} causal {{\n    step local({number})\n}}" for number in range(1, 200))
    assert [each.range.start.line for each in found(f"{text}\nrule r = ]\n{text}")] == [597]


def test_the_end_of_a_file_can_be_underlined() -> None:
    (one,) = found("pattern p causal { step self\n")
    assert one.range.start < one.range.end


class TestImports:
    def test_a_mistake_in_the_other_file(self, tmp_path: Path) -> None:
        (tmp_path / "good.pat").write_text("rule near = local(2)", encoding="utf-8")
        (tmp_path / "bad.pat").write_text("rule far = ", encoding="utf-8")
        text = 'from "good.pat" import near\nfrom "bad.pat" import far\npattern p causal { step near | far }'
        (one,) = found(text, tmp_path)
        assert (one.code, one.range.start) == ("P101", Position(1, 0))
        assert one.message.startswith(f"{tmp_path / 'bad.pat'}: expected")
        assert one.edit is None
        assert [(related.file, related.range.start.line) for related in one.related] == [(tmp_path / "bad.pat", 0)]

    def test_a_mistake_that_a_call_brings_about(self, tmp_path: Path) -> None:
        (tmp_path / "other.pat").write_text("rule every(m: int) = { (i, j) : j mod m = 0 }", encoding="utf-8")
        (one,) = found('from "other.pat" import every\npattern p causal { step every(0) }', tmp_path)
        assert (one.code, one.range.start) == ("P211", Position(1, 24))
        assert one.related[0].file == tmp_path / "other.pat"

    def test_a_plan_that_asks_for_what_a_pattern_forbids(self) -> None:
        text = "plan m {\n  layers 0 : dense\n  layers 1 : sliding_window(w = 0)\n}"
        (one,) = found(text)
        assert (one.code, one.range.start) == ("P208", Position(2, 13))

    def test_the_disk_counts_until_the_file_is_opened(self, tmp_path: Path) -> None:
        other, buffers = tmp_path / "other.pat", Buffers()
        text = 'from "other.pat" import near\npattern p causal { step near }'
        assert [each.code for each in found(text, tmp_path, buffers)] == ["P218"]
        assert reading(text, tmp_path, buffers).files == {other}  # it may come
        other.write_text("rule near = self", encoding="utf-8")
        assert not found(text, tmp_path, buffers)
        buffers.put("file:///other", other, "rule far = self", 1)
        assert [each.code for each in found(text, tmp_path, buffers)] == ["P201"]
        del buffers.documents["file:///other"]
        assert not found(text, tmp_path, buffers)

    def test_by_another_name_of_the_folder(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "real")
        buffers = Buffers()
        buffers.put("file:///other", tmp_path / "link" / "other.pat", "rule near = self", 1)
        assert not found('from "other.pat" import near\npattern p causal { step near }', tmp_path / "real", buffers)

    def test_a_circle_through_the_folder_above(self, tmp_path: Path) -> None:
        """Without one name for each file this would go on until the names are too long."""
        (tmp_path / "b.pat").write_text(f'from "../{tmp_path.name}/main.pat" import s\nrule r = s', encoding="utf-8")
        text = f'from "../{tmp_path.name}/b.pat" import r\nrule s = self\npattern p causal {{ step r }}'
        (tmp_path / "main.pat").write_text(text, encoding="utf-8")
        (one,) = found(text, tmp_path)
        assert (one.code, one.range.start.line) == ("P219", 0)

    @pytest.mark.parametrize("path", ["a\0b.pat", ".", "x" * 5000, "\ud800.pat"])
    def test_names_that_no_file_has(self, path: str, tmp_path: Path) -> None:
        (one,) = found(f'from "{path}" import near', tmp_path)
        assert one.code == "P218"

    def test_a_document_that_changes_is_known_to_its_importers(self, tmp_path: Path) -> None:
        (tmp_path / "deep.pat").write_text("rule r = self", encoding="utf-8")
        (tmp_path / "between.pat").write_text('from "deep.pat" import r rule s = r', encoding="utf-8")
        buffers = Buffers()
        main = buffers.put("file:///main", tmp_path / "main.pat", 'from "between.pat" import s', 1)
        buffers.put("file:///else", tmp_path / "else.pat", "rule t = self", 1)
        buffers.analyse(main)
        assert buffers.importers({tmp_path / "deep.pat"}) == [main]
        assert buffers.importers({tmp_path / "else.pat"}) == []
