"""verify finds nothing wrong where nothing is, and finds, shrinks and shows what was planted."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import patternc as pc
from patternc.compiler.report.palette import Paint
from patternc.compiler.selection import Reference
from patternc.testing.verify import report as reports
from patternc.testing.verify.batches import Batches
from patternc.testing.verify.closed_form import ClosedForm
from patternc.testing.verify.drawing import Drawing
from patternc.testing.verify.engines import Engine
from patternc.testing.verify.program import Lowering
from patternc.testing.verify.property import Property, Undecided
from patternc.testing.verify.reduce import reduced
from patternc.testing.verify.run import FileReport, Search, verify
from patternc.testing.verify.search import Failure, Outcome, search
from patternc.testing.verify.verdicts import Verdicts

TEXT = '''"""A file with more in it than a failure needs."""
rule near(w: int) = local(w) - self      # the neighbours
pattern mixed(w: int = 4, l: int = 8) causal {
    require w >= 1 and l >= 2
    step a = near(w) | self
    step b = strided(l) | columns({ j : j mod l = l - 1 and j mod 4 = 1 })
    prove nonempty
    prove reach in 2 steps
}
pattern other bidirectional { step local(3) }
plan model { layers 0..3 : mixed interleaved prove reach in 3 layers prove cache <= 4 * n }
'''
PROPERTIES: list[Any] = [
    ClosedForm(), Lowering(), Batches(), Verdicts(), Drawing(), Engine("reference"), Engine("compose"),
]  # fmt: skip


def try_out(prop: Any, text: str = TEXT, name: str = "mixed", *, examples: int = 40, seed: int = 0) -> Outcome:
    return search(prop, pc.loads(text)[name].bind(), fixed=(), examples=examples, seed=seed)


def shown(prop: Any, text: str = TEXT, **settings: Any) -> Failure:
    """The failure that is found, with its pattern made small."""
    found = try_out(prop, text, **settings).failure
    assert found is not None
    return reduced(prop, found)


# --- nothing wrong ---


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda prop: prop.name)
@pytest.mark.parametrize("name", ["mixed", "other"])
def test_every_property_holds(prop: Any, name: str) -> None:
    outcome = try_out(prop, name=name, examples=6)
    if isinstance(prop, Verdicts) and name == "other":
        assert outcome == Outcome("claims", left_out="no claims")
    else:
        assert (outcome.failure, outcome.left_out, outcome.undecided) == (None, "", 0)
        assert outcome.examples == max(1, round(6 * prop.share))


def test_claims_of_plans_are_tried_too() -> None:
    plan = pc.loads(TEXT).plans["model"]
    assert search(Verdicts(), plan, fixed=(), examples=10, seed=0) == Outcome("claims", examples=10)


OPEN = """
pattern learned causal {
    learn hot = topk(k = 3)
    step columns(hot) | gated local(3) | pooled(2)
    prove keys <= 3 + 3 + n div 2
    prove nonempty
}
pattern table bidirectional { step random(2, block = 3) | document(ids) prove symmetric prove keys <= 3 at n = 9 }
"""
CROSSING = "pattern crossing cross { step local(3) | { (i, j) : j >= nk - 2 } step block(4) prove nonempty }"


@pytest.mark.parametrize("name", ["learned", "table"])
def test_what_no_engine_runs_is_said_and_its_relations_are_tried(name: str) -> None:
    for prop in (ClosedForm(), Verdicts(), Drawing()):
        outcome = try_out(prop, OPEN, name=name, examples=15)
        assert (outcome.failure, outcome.examples) == (None, 15)
    reasons = {try_out(Engine(engine), OPEN, name=name).left_out for engine in ("reference", "compose")}
    expected = {"learned": r"P403: a program cannot hold what `hot` decides", "table": "P403"}
    assert all(re.match(expected[name], reason) for reason in reasons)


@pytest.mark.parametrize(
    "prop",
    [ClosedForm(), Lowering(), Batches(), Verdicts(), Engine("reference"), Engine("compose")],
    ids=lambda p: p.name,
)
def test_a_cross_pattern_is_tried_as_any_other(prop: Property[Any]) -> None:
    outcome = try_out(prop, CROSSING, name="crossing", examples=15)
    assert (outcome.failure, outcome.left_out) == (None, "") and outcome.examples > 0


def test_triton_is_left_out_without_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    assert "set TRITON_INTERPRET=1" in try_out(Engine("triton")).left_out


# --- planted bugs ---


@pytest.fixture(scope="module")
def wrong_mask() -> Failure:
    """What is found where the compose engine takes every mask for full."""
    from patternc.runtime.engines.compose import routes
    from patternc.runtime.engines.compose.planning import alone, masks

    right, evaluate = masks._evaluated, alone.evaluate
    routes.forget()  # plans of other tests have the right masks
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(masks, "_evaluated", lambda keep, tiles, known: right(keep, tiles, known) | True)
        patch.setattr(alone, "evaluate", lambda *given: evaluate(*given) | True)
        found = shown(Engine("compose"))
    routes.forget()  # and these have wrong ones
    return found


def test_a_wrong_mask_of_an_engine_is_found(wrong_mask: Failure) -> None:
    failure = wrong_mask
    assert re.match(r"(out|lse|dq|dk|dv) is off by .*, and .* is allowed", failure.message)
    assert failure.example.n <= 4
    # `self`, which is shorter, is a diagonal, and has no mask; so are short windows.
    assert failure.text == (
        "rule near(w: int) = local(w)\npattern mixed(w: int = 10) causal {\n    step a = near(w)\n}\n"
    )
    assert {"heads", "layout", "dtype", "scale", "seed"} <= failure.example.described().keys()


def test_a_wrong_gradient_of_an_engine_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from patternc.runtime.engines.compose.engine import ComposeEngine

    right = ComposeEngine.backward
    monkeypatch.setattr(ComposeEngine, "backward", lambda *a, **k: [x * 1.01 for x in right(*a, **k)])
    assert shown(Engine("compose")).message.startswith(("dq", "dk", "dv"))


def test_an_engine_that_breaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from patternc.runtime.engines.compose.engine import ComposeEngine

    def broken(self: Any, program: Any, q: Any, *rest: Any, **settings: Any) -> Any:
        raise IndexError(f"token {q.shape[2]}")

    monkeypatch.setattr(ComposeEngine, "forward", broken)
    assert shown(Engine("compose")).message == "IndexError: token 1"


def test_a_wrong_closed_form_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from patternc.compiler.relations import denote

    right = denote.number
    monkeypatch.setattr(denote, "number", lambda term: right(term).replace("mod 4", "mod 5"))
    failure = shown(ClosedForm())
    assert failure.message.startswith("the closed form is not the formula")
    assert re.search(r"\bmod 4\b", failure.text) and len(failure.text.splitlines()) == 3
    assert failure.example.n <= 8
    assert "is drawn as" in shown(Drawing()).message


def test_a_wrong_set_operation_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from patternc.compiler.relations.relation import Relation

    monkeypatch.setattr(Relation, "__sub__", lambda self, other: self)
    assert shown(Lowering()).message.startswith("Unconfirmed: ")


def test_a_lost_tile_is_found_without_the_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """With confirm out of the way, walking the tiles sees what it would have seen."""
    from dataclasses import replace

    from patternc.compiler.kernels.read.program import read
    from patternc.compiler.lowering import lower
    from patternc.compiler.relations.integer import Binary, Const

    def late(program: Any) -> Any:
        kernel = program.forward[0]
        sweep = kernel.sweeps[0]
        first = replace(sweep.ranges[0], lo=Binary("+", sweep.ranges[0].lo, Const(1)))
        sweeps = (replace(sweep, ranges=(first, *sweep.ranges[1:])), *kernel.sweeps[1:])
        return replace(program, forward=(replace(kernel, sweeps=sweeps), *program.forward[1:]))

    right = lower.fuse
    monkeypatch.setattr(lower, "confirm", lambda source, meaning: read(source))
    monkeypatch.setattr(lower, "fuse", lambda *arguments: late(right(*arguments)))
    assert (
        shown(Lowering()).message == "the forward kernels do not compute each pair of the pattern once: query 0, key 0"
    )


def test_a_wrong_verdict_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from patternc.compiler.verify.properties import nonempty
    from patternc.compiler.verify.properties.violations import Violations

    right = nonempty.violations
    monkeypatch.setattr(
        nonempty, "violations", lambda claim, subject: Violations((lambda p: p - p)(right(claim, subject).points))
    )
    text = (
        "pattern mixed(l: int = 8) causal { step strided(l) | self step fixed(l + 1, 1) prove nonempty prove causal }"
    )
    failure = shown(Verdicts(), text)
    assert re.match(r"`nonempty` is proved, and at n = \d+, i = 0 brute force finds otherwise", failure.message)
    assert failure.text.count("prove") == failure.text.count("step") == 1


# --- how it is said ---


def test_the_same_seed_tries_the_same_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    def examples(seed: int) -> list[str]:
        found: list[str] = []
        monkeypatch.setattr(ClosedForm, "judge", lambda self, example: found.append(str(example.described())))
        try_out(ClosedForm(), seed=seed, examples=20)
        return found

    assert examples(1) == examples(1) != examples(2)


def test_what_takes_too_long_is_counted_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(self: Any, example: Any) -> None:
        if example.n % 2:
            raise Undecided("too long")

    monkeypatch.setattr(ClosedForm, "judge", judge)
    outcome = try_out(ClosedForm(), examples=30)
    assert 0 < outcome.undecided < outcome.examples == 30
    rows = reports.text(_file(outcome), Paint(False), seed=0, quiet=False)
    assert f"30 examples, {outcome.undecided} of them beyond the budget" in rows


def test_when_the_time_is_up_the_row_says_so() -> None:
    outcome = search(ClosedForm(), pc.loads(TEXT)["mixed"].bind(), fixed=(), examples=30, seed=0, seconds=0)
    assert outcome == Outcome("closed form", examples=1, hurried=True)
    assert "1 example, then the time was up" in reports.text(_file(outcome), Paint(False), seed=0, quiet=False)


def test_a_result_that_changes_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    from patternc.testing.verify.property import Violated

    calls = []

    def judge(self: Any, example: Any) -> None:
        calls.append(example)
        if len(calls) == 3:
            raise Violated("now and then")

    monkeypatch.setattr(ClosedForm, "judge", judge)
    failure = try_out(ClosedForm()).failure
    assert failure is not None
    assert failure.message.startswith("it fails once, and not again")


def _file(*outcomes: Outcome) -> FileReport:
    from patternc.testing.verify.run import SubjectReport

    return FileReport("x.pat", (SubjectReport("p", outcomes),))


def test_a_file_is_reported_whole(tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_text(TEXT, encoding="utf-8")
    steps: list[str] = []
    found = verify(Reference(str(path), "other"), {}, Search(examples=2, seed=0, say=steps.append))
    assert found.passed and [subject.title for subject in found.subjects] == ["other"]
    assert steps[0] == "other: closed form"
    statuses = {o["property"]: o["status"] for o in _json(found)["files"][0]["subjects"][0]["properties"]}
    assert statuses["closed form"] == statuses["engine compose"] == "holds"
    assert statuses["claims"] == "left out"


def test_a_failure_is_reported_with_all_that_reproduces_it(wrong_mask: Failure) -> None:
    outcome = Outcome("engine compose", 5, failure=wrong_mask)
    report = _file(outcome)
    assert not report.passed
    said = reports.text(report, Paint(False), seed=7, quiet=True)
    assert "  FAILED    engine compose" in said and "(seed 7)" in said
    assert "\n    pattern mixed(w: int = 10) causal {\n        step a = near(w)\n    }\n" in said
    [failure] = [o["failure"] for o in _json(report)["files"][0]["subjects"][0]["properties"]]
    again = pc.loads(failure["text"])["mixed"]
    assert again.bound.steps and failure["arguments"]["keys"] <= 4
    assert reports.summary([report]) == "1 failed"


def _json(report: FileReport) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reports.as_json([report], seed=0, examples=2))
    return found


def test_a_file_with_errors_is_not_tried(tmp_path: Path) -> None:
    path = tmp_path / "x.pat"
    path.write_text("pattern p causal { step nowhere(3) }", encoding="utf-8")
    found = verify(Reference(str(path), None), {}, Search(examples=2, seed=0))
    assert [error.code for error in found.errors] == ["P201"] and not found.passed
    assert "error[P201]" in reports.text(found, Paint(False), seed=0, quiet=True)
