"""Whatever a file holds, `patternc check` ends in a diagnostic or a verdict, never in a traceback.

Each case took less than ten seconds when it was measured by hand; no test measures time.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from patternc.cli import app


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(*arguments: str) -> Result:
    """A bug would raise through; what is printed stays readable whatever the file holds."""
    done = CliRunner().invoke(app, ["check", *arguments], catch_exceptions=False)
    assert done.exit_code in (0, 1, 2)
    assert max(map(len, done.output.splitlines()), default=0) < 1000
    return done


def codes(content: str | bytes, *arguments: str) -> list[str]:
    Path("x.pat").write_bytes(content if isinstance(content, bytes) else content.encode())
    done = check("x.pat", *arguments)
    found = re.findall(r"\[(P\d+)\]: ", done.stdout)
    assert done.exit_code == (1 if found else 0)
    return found


def causal(*statements: str) -> str:
    return "pattern p causal {\n" + "\n".join(statements) + "\n}\n"


BYTES: dict[str, tuple[bytes, set[str]]] = {
    "10 MB": (b"# x\n" * 2_600_000, {"P108"}),
    "nothing": (b"", set()),
    "comments only": (b"# nothing\n# here", set()),
    "a NUL": (b"pattern p causal { step self\0 }", {"P101"}),
    "NULs only": (b"\0" * 5000, {"P107"}),
    "latin-1": ("# café".encode("latin-1"), {"P107"}),
    "UTF-16": ("pattern p causal { step self }".encode("utf-16"), {"P107"}),
    "UTF-16 without a mark": ("pattern p causal { step self }".encode("utf-16-le"), {"P107"}),
    "UTF-32": ("pattern p causal { step self }".encode("utf-32"), {"P107"}),
    "every byte": (bytes(range(256)) * 20, {"P107"}),
    "half a character": ("# é".encode()[:-1], {"P107"}),
    "UTF-8 with a mark": (b"\xef\xbb\xbfpattern p causal { step self }", set()),
    "CRLF": (b"pattern p causal {\r\n    step self\r\n}\r\n", set()),
    "CR": (b"pattern p causal {\r    step slf\r}\r", {"P201"}),
    "a lone docstring mark": (b'"""', {"P101"}),
    "a docstring that is not closed": (b'pattern p causal { """ step self }', {"P101"}),
}


@pytest.mark.parametrize("name", BYTES)
def test_bytes(name: str) -> None:
    content, expected = BYTES[name]
    assert set(codes(content)) == expected


def test_a_line_end_of_any_kind_counts_as_one() -> None:
    for end in (b"\n", b"\r\n", b"\r"):
        Path("x.pat").write_bytes(end.join([b"pattern p causal {", b"    step slf", b"}"]))
        assert "x.pat:2:10" in check("x.pat").stdout


DEEP = {
    "round brackets": causal(f"step {'(' * 100_000}self{')' * 100_000}"),
    "round brackets left open": causal(f"step {'(' * 100_000}self"),
    "curly brackets": causal(f"step {'{' * 100_000}"),
    "brackets in a formula": causal(f"step {{ (i, j) : {'(' * 50_000}i = j{')' * 50_000} }}"),
    "not": causal(f"step {'not ' * 50_000}self"),
    "minus": causal(f"step local({'-' * 100_000}1)"),
    "a row of |": causal(f"step {' | '.join(['self'] * 20_000)}"),
    "a row of or": causal(f"step {{ (i, j) : {' or '.join(['i = j'] * 20_000)} }}"),
    "a tower of powers": causal(f"step local({'^'.join('1' * 20_000)})"),
    "exists": causal(f"step {{ (i, j) : {''.join(f'exists k{n} : ' for n in range(5000))}i = j }}"),
    "rules in rules": "rule r0 = self\n"
    + "".join(f"rule r{k} = not r{k - 1}\n" for k in range(1, 500))
    + causal("step r499"),
    "rules of two levels": "rule r0 = self\n"
    + "".join(f"rule r{k} = not (r{k - 1} & strided(7))\n" for k in range(1, 100))
    + causal("step r99", "prove nonempty"),
}  # fmt: skip


@pytest.mark.parametrize("name", DEEP)
def test_nesting(name: str) -> None:
    assert set(codes(DEEP[name])) == {"P104"}


def test_brackets_that_close_nothing() -> None:
    assert codes(causal(f"step {')' * 100_000}")) == ["P101"]


MANY = {
    "steps": causal(*["step self"] * 20_000),
    "claims": causal("step self", *["prove causal"] * 15_000),
    "patterns": "".join(f"pattern p{k} causal {{ step self }}\n" for k in range(7_000)),
    "100,000 statements": causal(*["step self"] * 100_000),
    "10,000 patterns": "".join(f"pattern p{k} causal {{ step self }}\n" for k in range(10_000)),
    "rules": "".join(f"rule r{k} = self\n" for k in range(13_000)),
}


@pytest.mark.parametrize("name", MANY)
def test_more_than_anyone_writes(name: str) -> None:
    assert codes(MANY[name]) == ["P108"]


def test_as_much_as_is_allowed() -> None:
    names = "".join(f"rule r{k} = r{k - 1}\n" for k in range(1, 700))
    assert codes("rule r0 = self\n" + names + causal("step self", "step { (i, j) : i = j }")) == []
    steps = [f"step s{k} = local({k})" for k in range(1, 900)]
    assert codes(causal(*steps, "prove nonempty at n = 3")) == []


def test_errors_without_end() -> None:
    found = codes("\n".join(["rule a = = self"] * 900))
    assert set(found) == {"P101"}
    assert len(found) <= 50


NUMBERS = {
    "1,000 digits": (causal(f"step local({'9' * 1000})"), {"P103"}),
    "100,000 digits": (causal(f"step local({'9' * 100_000})"), {"P103"}),
    "a ratio of 1,000 digits": (f"pattern p(d: ratio = {'9' * 1000}%) causal {{ step self }}", {"P216"}),
    "a product": (causal("step local(2^61 * 4)"), {"P103"}),
    "a power": (causal("step local(10^10^10)"), {"P103"}),
    "div by zero": (causal("step { (i, j) : i div 0 = j }"), {"P211"}),
    "mod zero": (causal("step { (i, j) : i mod (3 - 3) = j }"), {"P211"}),
    "a negative window": (causal("step local(-3)", "prove nonempty"), {"P302"}),
    "a negative band": (causal("step band(-3, -5)", "prove nonempty"), {"P302"}),
    "a layer too many": ("plan p { layers 0..99999999 : dense }", {"P216"}),
    "a layer of 1,000 digits": (f"plan p {{ layers 0..{'9' * 1000} : dense }}", {"P103"}),
    "a backward interval": (causal("step columns({9..0}) | self"), {"P214"}),
    "claims that contradict": (causal("step self", "prove reach in 2 steps", "prove not reach in 2 steps"), {"P225"}),
    "a length beyond reach": (causal("step local(2)", "prove nonempty at n = 10^18"), set()),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers(name: str) -> None:
    text, expected = NUMBERS[name]
    assert set(codes(text)) == expected


# --- files ---


def write(**files: str) -> None:
    for name, text in files.items():
        Path(f"{name}.pat").write_text(text, encoding="utf-8")


USES = causal("step r")

IMPORTS = {
    "missing": ('from "nowhere.pat" import r', {"P218"}),
    "a folder": ('from "folder" import r', {"P218"}),
    "itself": ('from "x.pat" import r', {"P219"}),
    "itself by another name": ('from "./x.pat" import r', {"P219"}),
    "itself by a link": ('from "link.pat" import r', {"P219"}),
    "a loop of links": ('from "loop.pat" import r', {"P218"}),
    "a binary": ('from "binary.pat" import r', {"P107"}),
    "a file with errors": ('from "broken.pat" import r', {"P101"}),
    "an unknown stock file": ('from "library:nonexistent" import r', {"P218"}),
    "a stock path": ('from "library:../x" import r', {"P218"}),
    "an empty path": ('from "" import r', {"P101"}),
    "a NUL in a path": ('from "a\0b" import r', {"P218"}),
    "a long path": (f'from "{"a" * 5000}" import r', {"P218"}),
    "what is not declared": ('from "other.pat" import q', {"P201"}),
}


@pytest.mark.parametrize("name", IMPORTS)
def test_imports(name: str, folder: Path) -> None:
    (folder / "folder").mkdir()
    (folder / "link.pat").symlink_to("x.pat")
    (folder / "loop.pat").symlink_to("loop.pat")
    (folder / "binary.pat").write_bytes(b"\x7fELF\x02\x01\xff\xfe")
    write(broken="rule r = = self", other="rule s = self")
    line, expected = IMPORTS[name]
    assert set(codes(f"{line}\n{USES}")) == expected


def test_a_cycle_of_imports() -> None:
    write(
        a='from "b.pat" import b\nrule a = b',
        b='from "c.pat" import c\nrule b = c',
        c='from "a.pat" import a\nrule c = a',
    )
    assert set(codes(f'from "a.pat" import a\n{causal("step a")}')) == {"P219"}


def test_a_rule_that_calls_itself_by_way_of_an_import() -> None:
    """An imported rule keeps the names of its own file, so that it cannot: the name is unknown there."""
    write(other="rule far = near")
    assert set(codes(f'from "other.pat" import far\nrule near = far\n{causal("step near")}')) == {"P201"}


@pytest.mark.parametrize(
    "name", ["folder", "folder.pat", "missing.pat", "loop.pat", "", "::", "x::y::", "library:", "nul\0.pat"]
)
def test_what_is_no_file(name: str, folder: Path) -> None:
    (folder / "folder").mkdir()
    (folder / "folder.pat").mkdir()
    (folder / "loop.pat").symlink_to("loop.pat")
    done = check(name + ("nonexistent" if name == "library:" else ""))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every file")
def test_a_file_that_must_not_be_read(folder: Path) -> None:
    write(x=causal("step self"))
    (folder / "x.pat").chmod(0)
    done = check("x.pat")
    assert (done.exit_code, "Permission denied" in done.stderr) == (2, True)


def test_a_file_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    write(x=causal("step self"))

    opened = Path.open

    def refused(self: Path, *arguments: Any, **more: Any) -> Any:
        if self.name != "x.pat":  # the prelude is read too, by the first test that needs it
            return opened(self, *arguments, **more)
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refused)
    done = check("x.pat")
    assert (done.exit_code, done.stderr) == (2, "error: x.pat: Permission denied\n")


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="no file that opens and cannot be read")
def test_a_file_that_breaks_off_is_named() -> None:
    done = check("/proc/self/mem")
    assert (done.exit_code, done.stderr) == (2, "error: /proc/self/mem: Input/output error\n")


# --- settings ---

TAKES = "pattern p(l: int = 8, d: ratio = 10%, g: set = first(2), r: relation = self) causal {\n"
TAKES += "require l >= 1 step local(l) | columns(g) | r prove nonempty }"

SETTINGS = {
    "l=x": {"P201"},
    "l=10%": {"P206"},
    "l={1}": {"P206"},
    "l=self": {"P102"},
    "l=n": {"P209"},
    "l=-3": {"P208"},
    "l=1 div 0": {"P211"},
    "l=3.5": {"P101"},
    "l=1; x": {"P101"},
    "l=[a]": {"P101"},
    f"l={'9' * 1000}": {"P103"},
    f"l={'(' * 5000}": {"P104"},
    "l=\udce9": {"P101"},
    "d=3": {"P206"},
    "d=200%": {"P216"},
    "d=-10%": {"P102"},
    "d=0.1": {"P101"},
    "g=3": {"P206"},
    "g=self": {"P207"},
    "g=((": {"P101"},
    f"g={'not ' * 20_000}first(1)": {"P104"},
    "r=3": {"P206"},
    "r=first(3)": {"P207"},
    "r=nope": {"P201"},
}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda text: ascii(text[:12]))
def test_settings(setting: str) -> None:
    assert SETTINGS[setting] <= set(codes(TAKES, "-p", setting))


@pytest.mark.parametrize("settings", [["l="], ["l"], ["=3"], ["q=3"], ["l=\t"], ["l=3", "l=4"], ["l l=3"]])
def test_settings_that_are_none(settings: list[str]) -> None:
    write(x=TAKES)
    done = check("x.pat", *(part for setting in settings for part in ("-p", setting)))
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")


LARGE = {
    "cases": causal(f"step {{ (i, j) : min({', '.join(f'i + {k}' for k in range(900))}) = j }}"),
    "cases in a bound": causal("step self", f"prove keys <= max({', '.join(f'n + {k}' for k in range(300))})"),
    "doubling rules": "rule r0 = self\n"
    + "".join(f"rule r{k} = r{k - 1} | r{k - 1}\n" for k in range(1, 60))
    + causal("step r59"),
    "an interval": causal("step { (i, j) : exists k in 0..10^9 : i - j = k }"),
    "intervals in each other": causal("step { (i, j) : exists a in 0..140 : exists b in 0..140 : i - j = a * b }"),
    "a set of thirty thousand": causal(f"step columns({{{', '.join(str(2 * k) for k in range(30_000))}}})"),
}


@pytest.mark.parametrize("name", LARGE)
def test_what_expands_too_far(name: str) -> None:
    assert set(codes(LARGE[name])) == {"P214"}
