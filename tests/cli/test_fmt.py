"""patternc fmt as a user runs it: what it writes, prints and leaves alone, and how it exits."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patternc.cli import app

UNTIDY = "rule a=b # why\npattern p causal { step a }"
TIDY = "rule a = b  # why\n\npattern p causal { step a }\n"
BROKEN = "rule a = = b\n"


@pytest.fixture
def untidy(tmp_path: Path) -> Path:
    path = tmp_path / "untidy.pat"
    path.write_bytes(UNTIDY.encode())
    return path


@pytest.fixture
def tidy(tmp_path: Path) -> Path:
    path = tmp_path / "tidy.pat"
    path.write_bytes(TIDY.encode())
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.pat"
    path.write_bytes(BROKEN.encode())
    return path


def run(*arguments: str | Path, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["fmt", *(str(argument) for argument in arguments)], input=stdin)


class TestWriting:
    def test_a_file(self, untidy: Path, tidy: Path) -> None:
        written = tidy.stat().st_mtime_ns
        done = run(untidy, tidy)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"formatted {untidy}\n")
        assert untidy.read_bytes() == TIDY.encode()
        assert tidy.stat().st_mtime_ns == written
        assert run(untidy, tidy).stderr == ""

    def test_line_ends_and_the_mark_stay(self, tmp_path: Path) -> None:
        path = tmp_path / "windows.pat"
        path.write_bytes(b"\xef\xbb\xbf" + UNTIDY.replace("\n", "\r\n").encode())
        assert run(path).exit_code == 0
        assert path.read_bytes() == b"\xef\xbb\xbf" + TIDY.replace("\n", "\r\n").encode()
        assert run("--check", path).exit_code == 0

    def test_a_link_stays_a_link(self, untidy: Path, tmp_path: Path) -> None:
        link = tmp_path / "link.pat"
        link.symlink_to(untidy)
        assert run(link).exit_code == 0
        assert link.is_symlink()
        assert untidy.read_bytes() == TIDY.encode()

    def test_a_folder(self, untidy: Path, tidy: Path, tmp_path: Path) -> None:
        inner = tmp_path / "deep" / "er"
        inner.mkdir(parents=True)
        hidden = tmp_path / ".hidden"
        hidden.mkdir()
        for folder in (inner, hidden):
            (folder / "other.pat").write_text(UNTIDY)
        (inner / "other.txt").write_text(UNTIDY)
        done = run(tmp_path, untidy)
        assert done.exit_code == 0
        assert done.stderr == f"formatted {inner / 'other.pat'}\nformatted {untidy}\n"
        assert (hidden / "other.pat").read_text() == (inner / "other.txt").read_text() == UNTIDY

    def test_quietly(self, untidy: Path) -> None:
        done = run("--quiet", untidy)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")
        assert untidy.read_bytes() == TIDY.encode()

    def test_stdin_to_stdout(self) -> None:
        done = run("-", stdin=UNTIDY)
        assert (done.exit_code, done.stdout, done.stderr) == (0, TIDY, "")
        assert run("-", stdin=TIDY).stdout == TIDY


class TestLooking:
    def test_check_names_what_would_change(self, untidy: Path, tidy: Path) -> None:
        done = run("--check", untidy, tidy)
        assert (done.exit_code, done.stdout) == (1, f"{untidy}\n")
        assert done.stderr == "1 of 2 would change: run `patternc fmt` on them\n"
        assert untidy.read_bytes() == UNTIDY.encode()

    def test_check_is_content_with_tidy_files(self, tidy: Path) -> None:
        done = run("--check", tidy)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "", "")

    def test_check_of_stdin(self) -> None:
        assert (run("--check", "-", stdin=UNTIDY).exit_code, run("--check", "-", stdin=TIDY).exit_code) == (1, 0)
        assert run("--check", "-", stdin=UNTIDY).stdout == "-\n"

    def test_diff(self, untidy: Path, tidy: Path) -> None:
        done = run("--diff", untidy, tidy)
        assert done.exit_code == 0
        assert done.stdout.splitlines() == [
            f"--- {untidy}",
            f"+++ {untidy}",
            "@@ -1,2 +1,3 @@",
            "-rule a=b # why",
            "-pattern p causal { step a }",
            "\\ No newline at end of file",
            "+rule a = b  # why",
            "+",
            "+pattern p causal { step a }",
        ]
        assert untidy.read_bytes() == UNTIDY.encode()

    def test_check_with_diff(self, untidy: Path) -> None:
        done = run("--check", "--diff", untidy)
        assert done.exit_code == 1
        assert done.stdout.startswith(f"--- {untidy}\n")


class TestRefusals:
    def test_a_file_that_cannot_be_parsed(self, broken: Path, untidy: Path) -> None:
        done = run(broken, untidy)
        assert done.exit_code == 1
        assert "error[P101]" in done.stderr
        assert f"--> {broken}:1:10" in done.stderr
        assert broken.read_bytes() == BROKEN.encode()
        assert untidy.read_bytes() == TIDY.encode()

    def test_what_is_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "bytes.pat"
        path.write_bytes(b"rule a = b # \xff")
        assert run(path).exit_code == run("-", stdin=b"rule a = b # \xff").exit_code == 1
        assert path.read_bytes() == b"rule a = b # \xff"

    @pytest.mark.parametrize(
        ("argument", "message"),
        [
            ("library:dense", "library:dense is a stock file: `patternc library copy` gives you one to change"),
            ("{}::p", "{}::p is a part of a file, and files are formatted whole: leave ::p out"),
            ("{}.not", "{}.not: No such file or directory"),
        ],
    )
    def test_what_is_no_file_to_change(self, argument: str, message: str, untidy: Path) -> None:
        done = run(untidy, argument.format(untidy))
        assert (done.exit_code, done.stderr) == (2, f"error: {message.format(untidy)}\n")
        assert untidy.read_bytes() == UNTIDY.encode()

    def test_a_folder_without_patterns(self, tmp_path: Path) -> None:
        done = run(tmp_path)
        assert (done.exit_code, done.stderr) == (2, f"error: {tmp_path} holds no .pat file\n")
