"""The pytest plugin: `.pat` files as tests, where a project asks for it."""

from __future__ import annotations

import pytest

# pytester forgets what a run in this process imported, and isl and NumPy cannot be loaded twice: here they come first.
from patternc.compiler.verify import guard
from patternc.compiler.verify.oracle import claims as oracle  # noqa: F401

pytest_plugins = ["pytester"]

TWO = '''"""Two patterns and a plan."""
pattern good(l: int = 4) causal {
    require l >= 1
    step near = local(l)
    prove nonempty
    prove reach in 3 steps at n = 10
    prove nonempty
}
pattern bad causal {
    step { (i, j) : j mod 4 = 3 }
    prove causal
    prove nonempty
}
plan both { layers 0..1 : good prove not reach in 1 layer }
'''


@pytest.fixture
def files(pytester: pytest.Pytester) -> pytest.Pytester:
    (pytester.path / "two.pat").write_text(TWO, encoding="utf-8")
    (pytester.path / "broken.pat").write_text("pattern p causal { step nowhere(3) }", encoding="utf-8")
    (pytester.path / "test_other.py").write_text("def test_other(): pass", encoding="utf-8")
    return pytester


def run(files: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    return files.runpytest_inprocess("-p", "no:cacheprovider", *arguments)


def test_nothing_is_collected_unless_asked_for(files: pytest.Pytester) -> None:
    run(files).assert_outcomes(passed=1)


@pytest.mark.parametrize("way", ["option", "configuration"])
def test_one_test_for_each_claim(files: pytest.Pytester, way: str) -> None:
    if way == "configuration":
        files.makeini("[pytest]\npatternc_collect = true")
    done = run(files, *(["--pat"] if way == "option" else []))
    done.assert_outcomes(passed=6, failed=2)
    assert done.ret == pytest.ExitCode.TESTS_FAILED


def test_a_failure_is_the_diagnostic_and_no_traceback(files: pytest.Pytester) -> None:
    done = run(files, "--pat", "two.pat")
    done.stdout.fnmatch_lines(
        [
            "*bad: nonempty*",
            "error*P302*: queries 0..2 attend to no key",
            " *--> two.pat:10:10",
            "*= witness: n = 1, i = 0",
            "FAILED two.pat::bad::nonempty*",
        ]
    )
    assert "Traceback" not in done.stdout.str() and ".py:" not in done.stdout.str()


def test_a_file_with_errors_is_one_failing_test(files: pytest.Pytester) -> None:
    (files.path / "latin.pat").write_bytes(b"# \xe9")
    done = run(files, "--pat", "broken.pat", "latin.pat")
    done.assert_outcomes(failed=2)
    done.stdout.fnmatch_lines(["error*P201*: unknown relation or set `nowhere`", "error*P107*: byte 0xe9 is not UTF-8"])


def test_an_import_is_found_beside_the_file(files: pytest.Pytester) -> None:
    text = 'from "parts/near.pat" import near\npattern p causal { step near prove nonempty }'
    (files.path / "parts").mkdir()
    (files.path / "parts" / "near.pat").write_text("rule near = local(3)", encoding="utf-8")
    (files.path / "uses.pat").write_text(text, encoding="utf-8")
    run(files, "--pat", "uses.pat").assert_outcomes(passed=1)


def test_what_could_not_be_decided_fails(files: pytest.Pytester) -> None:
    text = "pattern p causal { learn hot = topk(k = 3) step columns(hot) | self prove not reach in 1 step }"
    (files.path / "open.pat").write_text(text, encoding="utf-8")
    done = run(files, "--pat", "open.pat")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["warning*P310*could not be decided"])


def test_names_read_well_and_can_be_selected(files: pytest.Pytester) -> None:
    done = run(files, "--pat", "--collect-only", "-q", "two.pat")
    names = ["good::nonempty", "good::reach in 3 steps at n = 10", "good::nonempty (line 7)", "bad::causal"]
    assert done.outlines[:6] == [f"two.pat::{name}" for name in [*names, "bad::nonempty", "both::not reach in 1 layer"]]
    run(files, "--pat", "-k", "good and nonempty").assert_outcomes(passed=2, deselected=6)
    run(files, "--pat", "two.pat::both").assert_outcomes(passed=1)
    run(files, "--pat", "two.pat::good::nonempty").assert_outcomes(passed=1)


def test_no_two_tests_have_one_name(files: pytest.Pytester) -> None:
    """Of equal claims in one line, and of a plan that is called as a pattern is."""
    text = """pattern same causal { step local(3) prove nonempty prove cache <= 9 * n prove nonempty prove nonempty }
plan same { layers 0..1 : same prove cache <= 9 * n }
"""
    (files.path / "same.pat").write_text(text, encoding="utf-8")
    lines = run(files, "--pat", "--collect-only", "-q", "same.pat").outlines
    names = lines[: lines.index("")]
    assert names == [
        "same.pat::same::nonempty",
        "same.pat::same::cache <= 9 * n",
        "same.pat::same::nonempty (line 1)",
        "same.pat::same::nonempty (line 1, column 88)",
        "same.pat::plan same::cache <= 9 * n",
    ]
    run(files, "--pat", names[3]).assert_outcomes(passed=1)
    run(files, "--pat", names[4]).assert_outcomes(passed=1)


def test_a_claim_is_decided_by_itself(files: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    check_within = guard.check_within
    monkeypatch.setattr(guard, "check_within", lambda bound: asked.append(bound.claims) or check_within(bound))
    run(files, "--pat", "two.pat::good").assert_outcomes(passed=3)
    assert [len(claims) for claims in asked] == [1, 1, 1]


def test_with_workers_and_strict_settings(files: pytest.Pytester) -> None:
    """In a process of its own, as users run it: two workers, and every warning an error."""
    files.makeini("[pytest]\npatternc_collect = true\nfilterwarnings = error\nstrict_markers = true")
    done = files.runpytest_subprocess("-n", "2", "-p", "no:cacheprovider", "--import-mode=importlib")
    done.assert_outcomes(passed=6, failed=2)
