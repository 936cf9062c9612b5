"""`patternc check --fix`: fixes together, over and over, and in files. Each by itself is in test_fixes.py."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patternc.cli import app
from patternc.compiler.mend import Mended, mend, rewrite
from patternc.compiler.selection import Reference
from patternc.patterns_dsl.diagnostics.source import Source


def mended(text: str, **given: str) -> Mended:
    return mend(Source("x.pat", text), Reference("x.pat", None), given)


def pattern(*statements: str, head: str = "causal") -> str:
    return f"pattern p {head} {{\n" + "".join(f"    {statement}\n" for statement in statements) + "}\n"


def test_several_fixes_in_one_file() -> None:
    text = pattern("step locl(8) | { (i, j) : i == j }", "step strde(4);", "prove nonemty")
    done = mended(text)
    assert done.text == pattern("step local(8) | { (i, j) : i = j }", "step strided(4)", "prove nonempty")
    assert len(done.fixes) == 5  # in rounds: names are looked up once the text can be parsed
    assert done.report.passed


def test_fixes_that_overlap_are_applied_one_after_the_other() -> None:
    text = "plan m {\n    layers 7..0 : dens\n}\n"
    assert mended(text).text == "plan m {\n    layers 0..7 : dense\n}\n"
    nested = pattern("step blocks(locl(3), 8) | dilate(blocks(strde(4), 8), 2)")
    assert mended(nested).text == pattern("step blocks(local(3), 8) | dilate(blocks(strided(4), 8), 2)")


def test_a_fix_that_does_not_mend_is_not_kept() -> None:
    """Here `self` is not what the fix takes it for."""
    text = "rule self = { (i, j) : i = j + 1 }\n" + pattern("step strided(2) - causal", "prove nonempty")
    done = mended(text)
    assert (done.text, done.fixes) == (text, ())
    assert [one.code for one in done.report.diagnostics()] == ["P302"]


def test_a_useless_fix_does_not_keep_others_away() -> None:
    rule = "rule self = { (i, j) : i = j + 1 }\n"
    text = rule + pattern("step strided(2) - causal", "step columns({9..0})", "prove nonempty")
    assert mended(text).text == rule + pattern("step strided(2) - causal", "step columns({0..9})", "prove nonempty")


def test_what_has_no_fix_stays() -> None:
    text = pattern("step columns(4)", "step self @ nowhere", "prove density <= 10%")
    assert (mended(text).text, mended(text).fixes) == (text, ())


# --- files ---


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["check", "--fix", *map(str, arguments)])


BROKEN = pattern("step fixed(8, 2)", "prove nonempty")
WHOLE = pattern("step fixed(8, 2) | self", "prove nonempty")


def test_the_command_says_what_it_did(tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_text(BROKEN, encoding="utf-8")
    done = run(path)
    assert (done.exit_code, path.read_text(encoding="utf-8")) == (0, WHOLE)
    assert done.stderr == f"fixed {path}:2: add `| self`\n1 proved\n"
    assert [each.name for each in tmp_path.iterdir()] == ["x.pat"]
    assert "fixed" not in run(path).stderr


def test_quiet_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_text(BROKEN, encoding="utf-8")
    assert (run("--quiet", path).output, path.read_text(encoding="utf-8")) == ("", WHOLE)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_line_ends_and_the_mark_are_kept(end: bytes, mark: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_bytes(mark + BROKEN.encode().replace(b"\n", end))
    path.chmod(0o640)
    assert run(path).exit_code == 0
    assert path.read_bytes() == mark + WHOLE.encode().replace(b"\n", end)
    assert path.stat().st_mode & 0o777 == 0o640


def test_mixed_line_ends_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_bytes(b"# one\r\n# two\n" + BROKEN.encode().replace(b"8, 2)\n", b"8, 2)\r\n") + b"# no end")
    assert run(path).exit_code == 0
    wanted = b"# one\r\n# two\n" + WHOLE.encode().replace(b"| self\n", b"| self\r\n") + b"# no end"
    assert path.read_bytes() == wanted


def test_new_lines_end_as_the_others(tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_bytes(b"pattern p causal {\r\n    step self")
    assert run(path).exit_code == 0
    assert path.read_bytes() == b"pattern p causal {\r\n    step self\r\n}\r\n"


def test_what_is_imported_is_not_edited(tmp_path: Path) -> None:
    rules = "rule near = locl(3)\n"
    (tmp_path / "rules.pat").write_text(rules, encoding="utf-8")
    main = 'from "rules.pat" import nar\n' + pattern("step nar")
    (tmp_path / "main.pat").write_text(main, encoding="utf-8")
    done = run(tmp_path / "main.pat")
    assert done.exit_code == 1
    assert (tmp_path / "rules.pat").read_text(encoding="utf-8") == rules
    assert (tmp_path / "main.pat").read_text(encoding="utf-8").startswith('from "rules.pat" import near\n')
    assert "did you mean `local`?" in done.stdout


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "x.pat").write_text(BROKEN, encoding="utf-8")
    (tmp_path / "link.pat").symlink_to("x.pat")
    assert run(tmp_path / "link.pat").exit_code == 0
    assert (tmp_path / "link.pat").is_symlink()
    assert (tmp_path / "x.pat").read_text(encoding="utf-8") == WHOLE


def test_a_file_that_cannot_be_written_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pat"
    path.write_text(BROKEN, encoding="utf-8")

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    done = run(path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "No space left on device" in done.stderr
    assert path.read_text(encoding="utf-8") == BROKEN
    assert [each.name for each in tmp_path.iterdir()] == ["x.pat"]


def test_no_file_beside_it_is_touched(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".pat")  # as long as a name may be
    path.write_text(BROKEN, encoding="utf-8")
    (tmp_path / "x.pat").write_text(BROKEN, encoding="utf-8")
    (tmp_path / ".x.pat.new").write_text("precious", encoding="utf-8")
    assert run(tmp_path / "x.pat").exit_code == 0
    assert run(path).exit_code == 0
    assert (tmp_path / ".x.pat.new").read_text(encoding="utf-8") == "precious"
    assert path.read_text(encoding="utf-8") == (tmp_path / "x.pat").read_text(encoding="utf-8") == WHOLE
    assert len(list(tmp_path.iterdir())) == 3


def test_a_full_disk_is_said_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pat"
    path.write_text(BROKEN, encoding="utf-8")

    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")  # of a file that is open no name is told

    monkeypatch.setattr(Path, "write_bytes", full)
    assert f"error: {path}: No space left on device" in run(path).stderr


def test_a_text_that_is_whole_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pat"
    path.write_text(WHOLE, encoding="utf-8")
    monkeypatch.setattr("patternc.compiler.mend.rewrite", pytest.fail)
    assert run(path).exit_code == 0


@pytest.mark.parametrize("reference", ["library:dense", "library:", "library:dense::dense"])
def test_stock_files_are_refused_before_anything_is_written(reference: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_text(BROKEN, encoding="utf-8")
    done = run(path, reference)
    assert (done.exit_code, done.stdout) == (2, "")
    assert "patternc library copy" in done.stderr
    assert path.read_text(encoding="utf-8") == BROKEN


def test_what_is_no_text_is_left_to_the_check(tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_bytes(b"# \xff")
    done = run(path)
    assert (done.exit_code, path.read_bytes()) == (1, b"# \xff")
    assert "error[P107]" in done.stdout


def test_settings_and_names_are_heeded(tmp_path: Path) -> None:
    """Only what the command asks about is mended, under the values that it gives."""
    path = tmp_path / "x.pat"
    text = "pattern a(c: int = 8) causal { step fixed(8, c) prove nonempty }\n" + pattern("step first(3)")
    path.write_text(text, encoding="utf-8")
    assert run(f"{path}::a").exit_code == 0
    assert path.read_text(encoding="utf-8") == text
    assert run(f"{path}::a", "-p", "c=2").exit_code == 0
    assert path.read_text(encoding="utf-8") == text.replace("c) prove", "c) | self prove")


def test_rewrite_leaves_the_rest_of_a_long_file(tmp_path: Path) -> None:
    lines = [f"# {number}" + ("\r\n" if number % 3 else "\n") for number in range(500)]
    path = tmp_path / "x.pat"
    path.write_bytes("".join(lines).encode())
    text = "".join(line.replace("\r\n", "\n") for line in lines)
    rewrite(path, text.replace("# 250\n", "# new\n").replace("# 400\n", ""))
    lines[250] = "# new\r\n"
    del lines[400]
    assert path.read_bytes() == "".join(lines).encode()
