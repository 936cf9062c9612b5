"""The GPU suite where there is no GPU: its budget, its table, and all of it at tiny sizes on a CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def budget(benchmark_modules):
    return benchmark_modules("budget")


def item(budget, name, code, **arguments):
    return budget.Item(name, (sys.executable, "-c", code), **{"seconds": 60.0, **arguments})


def test_outcomes(budget, tmp_path):
    file = tmp_path / "found"
    items = [
        item(budget, "prints", "print('noise'); print('{}')"),
        item(budget, "writes", f"open({str(file)!r}, 'w').write('in a file')", file=file),
        item(budget, "fails", "raise SystemExit('why')"),
        item(budget, "silent", "raise SystemExit(3)"),
        item(budget, "hangs", "import time; time.sleep(60)", seconds=0.5),
    ]
    found = budget.Budget.of(60).run(items, workers=2)
    assert [outcome.item.name for outcome in found] == ["prints", "writes", "fails", "silent", "hangs"]
    assert [(outcome.status, outcome.text) for outcome in found[:2]] == [("done", "{}"), ("done", "in a file")]
    assert [outcome.word for outcome in found[2:4]] == ["why", "ended with 3"]
    assert found[4].status == "failed" and "before it was done" in found[4].word


def test_what_an_ended_item_has_written_is_kept(budget, tmp_path):
    file = tmp_path / "part"
    code = f"import time; open({str(file)!r}, 'w').write('the first length'); time.sleep(60)"
    found = budget.execute(item(budget, "half", code, file=file), 3.0)
    assert (found.status, found.text) == ("skipped", "the first length") and found.word


def test_what_an_item_has_started_ends_with_it(budget, tmp_path):
    file = tmp_path / "pid"
    code = f"import subprocess as s; p = s.Popen(['sleep', '60']); open({str(file)!r}, 'w').write(str(p.pid)); p.wait()"
    found = budget.execute(item(budget, "parent", code, seconds=2.0))
    assert found.status == "failed"
    pid = int(file.read_text())
    for _ in range(50):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return
        time.sleep(0.1)
    pytest.fail("the grandchild still runs")


def test_what_has_no_time_left_is_skipped_with_a_word(budget):
    clock = iter([0.0, 30.0, 41.0, 90.0])
    subject = budget.Budget(100.0, 0.0, lambda: next(clock))
    items = [item(budget, str(number), "print(1)", least=10) for number in range(3)]
    found = subject.run(items, share=0.5)
    assert [outcome.status for outcome in found] == ["done", "done", "skipped"]
    assert found[-1].word == "no time left for it (9 s of 100 s)"
    assert subject.left() == 10.0


SERVER = """
import os, sys, time
for line in sys.stdin:
    if line == "hang\\n":
        time.sleep(60)
    if line == "fault\\n":
        print("noise", file=sys.stderr)
        raise SystemExit("the device faulted")
    if line == "silent\\n":
        os._exit(3)
    print(line.strip(), os.getpid(), flush=True)
"""


def test_a_process_is_kept_until_an_item_ends_it(budget):
    requests = ("first", "second", "fault", "third", "silent", "hang", "fourth")
    items = [item(budget, each, SERVER, request=each, seconds=3.0 if each == "hang" else 60.0) for each in requests]
    found = {each.item.name: each for each in budget.Budget.of(120).run(items)}
    assert [found[each].status for each in requests] == [*["done"] * 2, "failed", "done", "failed", "failed", "done"]
    assert [found[each].word for each in ("fault", "silent")] == ["the device faulted", "ended with 3"]
    assert found["hang"].word == "ended after 3 s, before it was done"
    answers = {each: found[each].text.split() for each in ("first", "second", "third", "fourth")}
    assert all(answer[0] == name for name, answer in answers.items())
    pids = [int(answer[1]) for answer in answers.values()]
    assert pids[0] == pids[1] and len(set(pids)) == 3
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_what_is_asked_when_time_runs_out_is_skipped(budget):
    [found] = budget.Budget.of(2.0).run([item(budget, "late", SERVER, request="hang")])
    assert (found.status, found.text) == ("skipped", "") and "before it was done" in found.word


def outcome(budget, name, text="", status="done", word=""):
    return budget.Outcome(budget.Item(name, (), 1.0), status, 1.0, text, word)


def checked(budget, name, found, dtype="float32"):
    return outcome(budget, f"{name} {dtype}", json.dumps({dtype: found}))


def judged(wrong=None, share=0.5):
    call = {"out": share, "dq": share / 2} | ({"wrong": wrong} if wrong else {})
    return {"engine": "triton", "calls": {"whole": {"out": 0.1}, "padded": call}}


def test_verdicts(benchmark_modules, budget):
    table = benchmark_modules("gpu_table")
    [good] = table.verdicts(checked(budget, "x", judged(), "bfloat16"))
    [bad] = table.verdicts(checked(budget, "x", judged("out is off by 3", 7.5)))
    assert (good["verdict"], good["dtype"], good["share_of_allowed_error"]) == ("ok", "bfloat16", 0.5)
    assert (bad["verdict"], bad["word"]) == ("WRONG", "padded: out is off by 3")
    [refused] = table.verdicts(checked(budget, "y", {"refused": "P403: a table"}))
    assert (refused["verdict"], refused["word"]) == ("refused", "P403: a table")
    [skipped] = table.verdicts(outcome(budget, "z float32", status="skipped", word="no time"))
    assert (skipped["verdict"], skipped["word"], skipped["dtype"]) == ("skipped", "no time", "float32")


def measured(found):
    times = [
        {"pattern": "dense", "pass": "forward", "contestant": "dense", "median": 0.02},
        {"pattern": "p", "pass": "forward", "contestant": "ours, triton", "median": 0.001 * found},
    ]
    left_out = [
        {"pattern": "p", "contestant": "flex", "pass": "", "reason": "FAILED: no"},
        {"pattern": "p", "contestant": "expert", "pass": "", "reason": "nobody has written it"},
    ]
    target = {"what": "p, ms", "wanted": 5.0, "found": found, "at_least": False, "met": found <= 5}
    result = {"settings": {"n": 64}, "dense": {"p": "dense"}, "seconds": times, "left_out": left_out}
    return json.dumps({"targets": [target], "results": [result]})


@pytest.mark.parametrize("found, wrong, status", [(4.0, None, 0), (6.0, None, 0), (4.0, "dq is off", 1)])
def test_report(benchmark_modules, budget, tmp_path, capsys, found, wrong, status):
    gpu = benchmark_modules("gpu")
    plan = gpu.tiny("compose")
    correct = [checked(budget, "x", judged(wrong)), checked(budget, "y", {"refused": "P403: a table"})]
    timed = [outcome(budget, "p at 64", measured(found)), outcome(budget, "late", status="skipped", word="no time")]
    path = tmp_path / "gpu.json"
    where = {"cpu": "a CPU", "load_1min_before": 0.0}
    assert gpu.report(plan, where, correct, timed, budget.Budget.of(100), path) == status
    printed = capsys.readouterr().out
    for line in (
        "y float32",
        "refused: P403: a table",
        f"triton {found:g} ms",
        "dense 20",
        "FAILED: no",
        "skipped: no time",
    ):
        assert line in printed
    assert "nobody has written it" not in printed
    assert ("MISSED" in printed) == (found > 5) and ("WRONG: padded: dq is off" in printed) == bool(wrong)
    document = json.loads(path.read_text())
    assert document["targets"][0]["met"] == (found <= 5) and document["left_out"][0]["word"] == "no time"


def test_the_plan_covers_the_library_and_the_targets(benchmark_modules):
    gpu = benchmark_modules("gpu")
    from patternc import library

    plan = gpu.full()
    assert sorted(plan.files) == sorted(library.names()) and list(plan.calls) == ["bfloat16", "float32"]
    wanted = [case.name for case in plan.cases if gpu.H100 in case.goals]
    assert [case.name for case in plan.cases][: len(wanted)] == wanted and len(wanted) == 4
    items = gpu.checks_of(replace(plan, files=("bigbird", "dense", "logsparse")))
    slow = ("logsparse", "logsparse_local", "logsparse_restart")
    patterns = [(name, dtype) for dtype in plan.calls for name in slow]
    patterns += [(name, dtype) for dtype in plan.calls for name in ("bigbird", "bigbird_causal", "dense")]
    assert [tuple(each.name.split()) for each in items] == patterns
    assert {call for calls in plan.calls.values() for call in calls} == {"whole", "padded", "one row"}
    assert items[6].request == "bigbird bigbird --dtypes bfloat16 --calls 'whole,one row'"


def tiny(engine, tmp_path, **environment):
    path = tmp_path / "gpu.json"
    command = [sys.executable, str(FOLDER / "gpu.py"), "--tiny", engine, "--workers", "2", "--out", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=600, check=False, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(path.read_text()), done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["compose", "triton"])
def test_all_of_it_on_a_cpu(tmp_path, engine):
    """The kernels in Triton's interpreter."""
    environment = {"TRITON_INTERPRET": "1", "PATTERNC_CACHE_DIR": str(tmp_path)} if engine == "triton" else {}
    document, printed = tiny(engine, tmp_path, **environment)
    verdicts = {row["pattern"]: row["verdict"] for row in document["correctness"]}
    assert verdicts["sliding_window"] == "ok" and verdicts["bigbird"] == "ok"
    assert {call for row in document["correctness"] for call in row["calls"]} == {"whole", "padded", "one row"}
    timed = {(row["pass"], row["contestant"]) for result in document["results"] for row in result["seconds"]}
    assert {("forward+backward", f"ours, {engine}"), ("forward+backward", "dense")} <= timed
    assert "patterns are right" in printed and not document["left_out"]


def test_without_a_gpu_it_says_so(tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, str(FOLDER / "gpu.py")], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 0 and done.stdout.startswith("SKIPPED")
