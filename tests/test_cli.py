"""The commands as a user runs them: what they print, where, and how they exit."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from patternc.cli import app

TEXT = '''"""Two patterns."""
pattern good(l: int = 4) causal {
    require l >= 1
    step near = local(l)
    prove nonempty
}
pattern bad() causal {
    step { (i, j) : j mod 4 = 3 }
    prove nonempty
}
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "two.pat"
    path.write_text(TEXT, encoding="utf-8")
    return path


def run(*arguments: str | Path, columns: int = 120) -> Result:
    environment = {"COLUMNS": str(columns)}
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env=environment)


class TestCheck:
    def test_proved(self) -> None:
        done = run("check", "library:fixed_factorized")
        assert done.exit_code == 0
        assert done.stdout.startswith("library:fixed_factorized: fixed_factorized(l = 128, c = 8)\n")
        assert "  PROVED   nonempty\n" in done.stdout
        assert "REFUTED" not in done.stdout
        assert re.fullmatch(r"\d+ proved\n", done.stderr)

    def test_refuted(self, file: Path) -> None:
        done = run("check", file)
        assert done.exit_code == 1
        assert re.search(r"error\[P302\]: quer.* to no key", done.stdout)
        assert "- `nonempty` does not hold" in done.stdout
        assert "= witness: n = 1, i = 0" in done.stdout
        assert done.stderr == "1 proved, 1 refuted (1 with a fix: --fix applies it)\n"

    def test_one_pattern_of_a_file(self, file: Path) -> None:
        assert run("check", f"{file}::good", "-p", "l=9").exit_code == 0
        assert run("check", f"{file}::bad").exit_code == 1

    def test_the_whole_library(self) -> None:
        done = run("check", "library:")
        assert done.exit_code == 0
        assert len(re.findall(r"^library:\w+: ", done.stdout, re.MULTILINE)) >= 12

    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("plan p { layers all : nonexistent }", "P215"),
            ("pattern a(l: int = 4) causal { require l > 1 step block(l) } plan p { layers 0 : a(l = 1) }", "P208"),
            ("rule idle(w: int) = lcoal(w) pattern a causal { step self }", "P201"),
            ("rule idle = local(1, 2) pattern a causal { step self }", "P204"),
            ("rule idle = not idle pattern a causal { step self }", "P213"),
            ("pattern a causal { step self } pattern a causal { step self }", "P202"),
            ("pattern a causal { step self\0 }", "P101"),
        ],
    )
    def test_what_no_pattern_uses_is_checked_too(self, text: str, code: str, tmp_path: Path) -> None:
        path = tmp_path / "x.pat"
        path.write_text(text, encoding="utf-8")
        done = run("check", path)
        assert (done.exit_code, done.stdout.count(f"error[{code}]")) == (1, 1)

    @pytest.mark.parametrize("ending", ["\n", "\r\n", ""])
    @pytest.mark.parametrize("mark", ["", "\ufeff"])
    def test_line_ends_and_byte_order_marks(self, ending: str, mark: str, tmp_path: Path) -> None:
        path = tmp_path / "x.pat"
        lines = ["pattern p causal {", "\tstep local(3) # \u2264", "prove nonempty }"]
        path.write_bytes((mark + (ending or "\n").join(lines) + ending).encode())
        assert run("check", path).exit_code == 0

    def test_a_file_that_is_not_utf8_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "latin.pat"
        path.write_bytes(b"# \xe9")
        done = run("check", path)
        assert done.exit_code == 1
        assert "error[P107]: byte 0xe9 is not UTF-8" in done.stdout

    def test_quiet_prints_failures_only(self, file: Path) -> None:
        done = run("check", "--quiet", f"{file}::good")
        assert (done.exit_code, done.output) == (0, "")

    def test_errors_of_one_file_do_not_hide_another(self, file: Path, tmp_path: Path) -> None:
        broken = tmp_path / "broken.pat"
        broken.write_text("pattern p() causal { step nowhere(3) }", encoding="utf-8")
        done = run("check", broken, f"{file}::good")
        assert done.exit_code == 1
        assert "error[P201]" in done.stdout
        assert "PROVED" in done.stdout

    def test_json(self, file: Path) -> None:
        done = run("check", "--output-format", "json", file)
        found = json.loads(done.stdout)
        assert (done.exit_code, found["passed"]) == (1, False)
        assert [p["pattern"] for p in found["files"][0]["patterns"]] == ["good(l = 4)", "bad"]

    @pytest.mark.parametrize("name", ["sarif", "github"])
    def test_other_formats(self, name: str, file: Path) -> None:
        done = run("check", "--output-format", name, file)
        assert done.exit_code == 1
        assert "P302" in done.stdout

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["missing.pat"], "missing.pat"),
            (["library:missing"], "missing"),
            (["FILE::nobody"], "has no pattern or plan 'nobody'; it has good, bad"),
            (["FILE", "-p", "l"], "-p takes name=value"),
            (["FILE", "-p", "q=1"], "no pattern of .* has a parameter 'q'; it has l"),
            (["FILE", "-p", "l=1", "-p", "l=2"], "-p l is given twice"),
            ([], "Missing argument"),
            (["FILE", "--output-format", "xml"], "xml"),
        ],
    )
    def test_usage(self, arguments: list[str], message: str, file: Path) -> None:
        done = run("check", *(argument.replace("FILE", str(file)) for argument in arguments))
        assert done.exit_code == 2
        assert done.stdout == ""
        assert re.search(message, done.stderr)

    def test_a_plan_takes_no_parameters(self, tmp_path: Path) -> None:
        """Though a pattern of its file has one of that name."""
        path = tmp_path / "both.pat"
        text = "pattern p(w: int = 3) causal { step local(w) }\nplan m { layers all : p }"
        path.write_text(text, encoding="utf-8")
        done = run("check", f"{path}::m", "-p", "w=4")
        assert (done.exit_code, done.stderr) == (2, "error: a plan has no parameters, and -p w is given\n")
        assert run("check", path, "-p", "w=4").exit_code == 0

    @pytest.mark.parametrize(("setting", "code"), [("l=0", "P208"), ("l={1}", "P206"), ("l=(", "P101")])
    def test_bad_argument(self, setting: str, code: str, file: Path) -> None:
        done = run("check", f"{file}::good", "-p", setting)
        assert code in done.output
        assert done.exit_code == 1

    def test_colour(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert "\x1b[" in run("check", "--color", "always", file).stdout
        assert "\x1b[" not in run("check", file).stdout


class TestShow:
    def test_terminal(self, file: Path) -> None:
        done = run("show", f"{file}::good", "-p", "l=2", "-n", "4")
        assert done.exit_code == 0
        assert done.stdout == "█···\n██··\n·██·\n··██\n█ near = local(l)   (4 queries down, 4 keys across)\n"

    def test_long_sequences_are_sampled(self) -> None:
        done = run("show", "library:fixed_factorized", "-n", "1048576")
        assert done.exit_code == 0
        assert "1048576 queries down" in done.stdout

    @pytest.mark.parametrize("ending", ["svg", "png", "html"])
    def test_pictures_are_reproducible(self, ending: str, tmp_path: Path) -> None:
        first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
        for path in (first, second):
            done = run("show", "library:strided_factorized", "-n", "300", "-o", path)
            assert (done.exit_code, done.stdout) == (0, "")
        assert first.read_bytes() == second.read_bytes()

    def test_unknown_picture(self, tmp_path: Path) -> None:
        done = run("show", "library:dense", "-o", tmp_path / "x.gif")
        assert done.exit_code == 2
        assert ".svg, .png or .html" in done.stderr

    def test_a_file_of_two_patterns_needs_a_name(self, file: Path) -> None:
        done = run("show", file)
        assert done.exit_code == 2
        assert "2 patterns (good, bad): pick one with FILE::NAME" in done.stderr


class TestExplain:
    def test_a_pattern_without_pairs(self, tmp_path: Path) -> None:
        path = tmp_path / "x.pat"
        path.write_text("pattern p causal { step { (i, j) : i < j } }", encoding="utf-8")
        done = run("explain", path, "-n", "9", "--query", "3")
        assert done.exit_code == 0

    def test_text(self) -> None:
        done = run("explain", "library:strided_factorized", "-n", "16384", "--query", "300")
        assert done.exit_code == 0
        assert "residue 128 / residue 128" in done.stdout
        assert "query 300 attends to" in done.stdout

    def test_json_counts_pairs_exactly(self, file: Path) -> None:
        done = run("explain", f"{file}::good", "-n", "100", "--query", "9", "--output-format", "json")
        found = json.loads(done.stdout)
        assert found["pairs"] == 1 + 2 + 3 + 4 * 97
        assert found["keys"] == [[6, 9]]
        assert found["exact"] is True

    @pytest.mark.parametrize("option", [["--query", "3"], ["--heads", "4"], ["--head-dim", "64"], ["--device", "h100"]])
    def test_what_is_asked_of_a_pattern_is_refused_of_a_plan(self, option: list[str], tmp_path: Path) -> None:
        path = tmp_path / "plan.pat"
        path.write_text("pattern near causal { step local(4) }\nplan all { layers all : near }", encoding="utf-8")
        assert run("explain", f"{path}::all", "-n", "64").exit_code == 0
        done = run("explain", f"{path}::all", "-n", "64", *option)
        assert (done.exit_code, done.stdout) == (2, "")
        assert (
            done.stderr == f"error: {option[0]} is for a pattern: explain those that the plan names, each by itself\n"
        )

    def test_one_token_reaches_itself_in_no_layers(self, file: Path) -> None:
        assert "every pair within 0 layers at n = 1" in run("explain", f"{file}::good", "-n", "1").stdout

    def test_query_outside(self, file: Path) -> None:
        done = run("explain", f"{file}::good", "-n", "8", "--query", "8")
        assert (done.exit_code, done.stderr) == (2, "error: there is no query 8 at n = 8\n")


class TestLibrary:
    def test_list_is_a_table_to_choose_from(self) -> None:
        lines = run("library", "list", "--color", "never").stdout.splitlines()
        assert re.split("  +", lines[0]) == [
            "pattern", "kind", "direction", "keys of a query", "hops", "KV bound", "paper",
        ]  # fmt: skip
        assert all(len(line) <= 120 for line in lines)
        (streaming,) = (line for line in lines if line.startswith("streaming "))
        assert re.split("  +", streaming) == [
            "streaming", "positional", "causal", "sink + w", "4 at n = 4081", "sink + w", "Xiao 2023",
        ]  # fmt: skip
        assert lines[lines.index("  deepspeed_bslongformer_causal") + 1].split()[:2] == ["positional", "causal"]
        assert any(line.startswith("  axial_wrapped ") for line in lines)
        assert any("-: does not apply." in line for line in lines)

    def test_a_narrow_terminal_gets_two_lines_for_a_pattern(self) -> None:
        lines = run("library", "list", columns=80).stdout.splitlines()
        assert all(len(line) <= 80 for line in lines)
        row = lines.index(f"{'streaming':31} {'positional':14} {'causal':13} Xiao 2023")
        assert lines[row + 1] == "      keys sink + w, hops 4 at n = 4081, KV bound sink + w"
        row = lines.index(f"{'granular':31} {'content':14} {'cross':13} Zeng 2022")
        assert lines[row + 1] == "      keys nk"

    def test_list_as_json(self) -> None:
        found = json.loads(run("library", "list", "--output-format", "json").stdout)
        assert found["version"] == 1
        assert len({each["file"] for each in found["patterns"]}) >= 48
        (fixed,) = (each for each in found["patterns"] if each["name"] == "fixed_factorized")
        assert fixed["parameters"] == "l = 128, c = 8"
        assert fixed["keys"] == fixed["cache"] == "l + c * ((n - 1) div l)"
        assert fixed["hops"] == "2"
        (granular,) = (each for each in found["patterns"] if each["name"] == "granular")
        assert granular["hops"] is granular["cache"] is None

    def test_list_in_a_format_that_there_is_not(self) -> None:
        done = run("library", "list", "--output-format", "xml")
        assert done.exit_code == 2
        assert "'xml'" in done.stderr

    def test_show_prints_the_file(self) -> None:
        assert "pattern fixed_factorized(" in run("library", "show", "fixed_factorized").stdout

    def test_copy_makes_a_file_that_checks_and_never_overwrites(self, tmp_path: Path) -> None:
        assert run("library", "copy", "streaming", tmp_path).exit_code == 0
        assert run("check", tmp_path / "streaming.pat").exit_code == 0
        again = run("library", "copy", "streaming", tmp_path)
        assert again.exit_code == 2
        assert "exists" in again.stderr

    def test_a_name_may_be_written_as_the_other_commands_take_it(self, tmp_path: Path) -> None:
        assert run("library", "show", "library:streaming").stdout == run("library", "show", "streaming").stdout
        assert run("library", "copy", "library:streaming", tmp_path).exit_code == 0
        assert [path.name for path in tmp_path.iterdir()] == ["streaming.pat"]

    def test_unknown(self) -> None:
        assert run("library", "show", "nonsense").exit_code == 2


class TestCompile:
    def test_cpu(self, file: Path, tmp_path: Path) -> None:
        done = run("compile", f"{file}::good", "-o", tmp_path / "built")
        assert done.exit_code == 0
        assert {Path(line).name for line in done.stdout.splitlines()} == {
            "pattern.pat",
            "proofs.json",
            "plan.json",
            "kernels.py",
            "manifest.json",
        }

    def test_a_refuted_pattern_is_not_built(self, file: Path, tmp_path: Path) -> None:
        done = run("compile", f"{file}::bad", "-o", tmp_path / "built")
        assert done.exit_code == 1
        assert "`nonempty` is refuted" in done.stderr
        assert not (tmp_path / "built").exists()

    @pytest.mark.parametrize(
        ("option", "value", "message"),
        [
            ("--target", "sm_75", "--target takes cpu, sm_80"),
            ("--dtype", "fp8", "--dtype takes fp32"),
            ("--dtype", "bf16,fp16", "--dtype takes one of fp32, bf16, fp16, not 'bf16,fp16'"),
            ("--emit", "exe", "--emit takes plan"),
            ("--emit", "cubin", "no target of --target cpu has it"),
        ],
    )
    def test_usage(self, option: str, value: str, message: str, file: Path) -> None:
        done = run("compile", f"{file}::good", option, value)
        assert done.exit_code == 2
        assert message in done.stderr


class TestStreams:
    """Of a process of its own: what is full or closed is its stdout."""

    def started(self, *arguments: str, shell: str) -> subprocess.CompletedProcess[str]:
        program = "from patternc.cli import main; main()"
        command = ["bash", "-c", f'exec "$@" {shell}', "bash", sys.executable, "-c", program, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
    @pytest.mark.parametrize(
        "arguments",
        [("library", "list"), ("check", "library:dense"), ("explain", "library:dense", "-n", "64")],
        ids=lambda arguments: arguments[0],
    )
    def test_a_full_disk_is_said_in_a_line(self, arguments: tuple[str, ...]) -> None:
        done = self.started(*arguments, shell="> /dev/full")
        assert done.returncode == 2
        assert done.stderr.splitlines()[-1] == "error: what was to be written: No space left on device"
        assert "Traceback" not in done.stderr

    def test_a_closed_stdout_is_nobody_listening(self) -> None:
        done = self.started("library", "list", shell=">&-")
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_reader_that_leaves_ends_the_command_without_a_word(self) -> None:
        code = (
            "import os, sys\n"
            "read, write = os.pipe()\n"
            "os.close(read)\n"
            "os.dup2(write, 1)\n"
            "sys.argv = ['patternc', 'check', 'library:dense']\n"
            "from patternc.cli import main\n"
            "main()\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (1, "")

    def test_a_warning_is_a_line(self, tmp_path: Path) -> None:
        (tmp_path / "taken").write_text("", encoding="utf-8")
        arguments = ["compile", "library:sliding_window", "-q", "-o", str(tmp_path / "built")]
        program = "from patternc.cli import main; main()"
        command = [sys.executable, "-c", program, *arguments]
        surroundings = {**os.environ, "PATTERNC_CACHE_DIR": str(tmp_path / "taken")}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
        assert done.returncode == 0
        assert done.stderr
        for line in done.stderr.splitlines():
            assert line.startswith("warning: cannot keep ") and "PATTERNC_CACHE_DIR" in line
