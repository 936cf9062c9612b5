"""The pages of the codes are golden files: each example is run, and prints what its page says.

A page holds a ```pat block with the mistake, a ```text block whose first line is the command and whose rest is what
that prints, and mostly a second ```pat block that is mended. A block ```pat other.pat is a file beside the example. A
comment in front of the example can say how it is written: in another encoding, or several times over. After a message
was changed on purpose, `pytest tests/test_error_pages.py --update-golden` writes the new ones.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patternc.cli import app
from patternc.compiler.report.pages import page as printed
from patternc.patterns_dsl.diagnostics.codes import TITLES

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs/errors"
SLOW = {"P401"}  # it takes seconds to find out that a relation is too complex


@dataclass(frozen=True)
class Page:
    """``examples``: the text with the mistake, and the mended one if there is one. ``beside``: further files."""

    text: str
    command: str
    output: str
    examples: tuple[str, ...]
    beside: dict[str, str]
    encoding: str
    times: int

    @classmethod
    def parse(cls, text: str) -> Page:
        blocks = re.findall(r"^```pat(?: (\S+))?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        outputs = re.findall(r"^```text\n\$ patternc (.*?)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        assert len(outputs) == 1, "a page has one ```text block, which begins with `$ patternc ...`"
        encoding = re.search(r"^<!-- example\.pat is written in (\S+) -->$", text, re.MULTILINE)
        times = re.search(r"^<!-- example\.pat is written (\d+) times over -->$", text, re.MULTILINE)
        return cls(
            text,
            *outputs[0],
            examples=tuple(content for name, content in blocks if not name),
            beside={name: content for name, content in blocks if name},
            encoding=encoding[1] if encoding else "utf-8",
            times=int(times[1]) if times else 1,
        )

    def run(self, example: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Result:
        monkeypatch.chdir(folder)
        for name, content in self.beside.items():
            Path(name).write_text(content, encoding="utf-8")
        Path("example.pat").write_bytes((example * self.times).encode(self.encoding))
        return CliRunner().invoke(app, shlex.split(self.command))

    def printing(self, output: str) -> str:
        """The page with another output in its block."""
        block = f"```text\n$ patternc {self.command}\n"
        start = self.text.index(block) + len(block)
        return self.text[:start] + output + self.text[start + len(self.output) :]


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.stem for path in FOLDER.iterdir()} == {*TITLES, "README"}


def test_the_table_lists_every_code() -> None:
    rows = re.findall(r"^\| \[(P\d+)\]\((.+)\) \| (.+) \|$", (FOLDER / "README.md").read_text("utf-8"), re.MULTILINE)
    assert rows == [(code, f"{code}.md", title) for code, title in TITLES.items()]


@pytest.mark.parametrize("code", [pytest.param(c, marks=pytest.mark.slow) if c in SLOW else c for c in TITLES])
def test_what_is_printed(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, update_golden: bool) -> None:
    path = FOLDER / f"{code}.md"
    page = Page.parse(path.read_text(encoding="utf-8"))
    assert page.text.startswith(f"# {code}: {TITLES[code]}\n\n")
    done = page.run(page.examples[0], tmp_path, monkeypatch)
    assert f"[{code}]: " in done.output
    assert done.exit_code == (0 if f"warning[{code}]" in done.output and code != "P310" else 1)
    if update_golden:
        path.write_text(page.printing(done.output), encoding="utf-8")
    else:
        assert done.output == page.output


@pytest.mark.parametrize("code", TITLES)
def test_what_is_mended(code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page.parse((FOLDER / f"{code}.md").read_text(encoding="utf-8"))
    for example in page.examples[1:]:
        done = page.run(example, tmp_path, monkeypatch)
        assert (done.exit_code, re.findall(r"\w+\[P\d+\]", done.output)) == (0, []), done.output


def test_few_pages_have_nothing_that_is_mended() -> None:
    pages = {code: Page.parse((FOLDER / f"{code}.md").read_text(encoding="utf-8")) for code in TITLES}
    assert {code for code, page in pages.items() if len(page.examples) != 2} == {"P107", "P108"}


@pytest.mark.parametrize("code", ["P302", "p302"])
def test_a_page_is_printed(code: str) -> None:
    done = CliRunner().invoke(app, ["check", "--explain", code])
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == (FOLDER / "P302.md").read_text(encoding="utf-8") == printed(code)


def test_a_code_that_does_not_exist() -> None:
    done = CliRunner().invoke(app, ["check", "--explain", "P399"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert re.fullmatch(r"error: there is no code 'P399'; did you mean P39?\d+\?\n", done.stderr)
