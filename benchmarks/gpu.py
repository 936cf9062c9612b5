"""The GPU suite: is every stock pattern right on this card, and how fast are those that were promised to be fast?

    python benchmarks/gpu.py [--seconds 520] [--workers 14] [--thorough]        (or: make gpu)

Stages in the order of their worth, within one budget of time: correctness of all stock patterns in bfloat16, then in
float32, forward and backward; the benchmarks, those with targets first; correctness that the first stage had no time
for; further lengths. Each benchmark is a process of its own; correctness is asked of a few that are kept. One table at
the end, and benchmarks/results/gpu-CARD.json. It exits with 1 where something is wrong, and with 0 where a target was
missed: the table says MISSED. docs/gpu.md explains how to read it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import correctness
from budget import FAILED, SKIPPED, Budget, Item, Outcome
from cases import CASES, CPU, H100, Case, Setting
from gpu_table import WRONG, table, verdicts
from record import RESULTS, Target, machine, write

import patternc as pc
from patternc import library

HERE = Path(__file__).parent
SLOW = ("logsparse", "radial", "longnet")
"""Files that take long to compile: they begin first, so that nothing waits for them at the end."""

CALLS = {"bfloat16": ("whole", "one row"), "float32": ("padded",)}
"""What is judged in which data type. Triton compiles the kernels of a padded batch, which has a whole sequence in it,
apart from those of one without padding, and apart for each type: so every kind of kernel is compiled once."""

FIRST_SHARE = 0.5
"""Of the budget, for the first stage: what it leaves comes back after the benchmarks."""


@dataclass(frozen=True)
class Plan:
    """What is run. ``tiny`` settings run on a CPU, so that this file is tested where there is no GPU."""

    device: str
    engine: str
    setting: Setting
    length: int
    calls: Mapping[str, Sequence[str]]  # by data type
    rounds: int
    files: tuple[str, ...]
    cases: tuple[Case, ...]
    lengths: tuple[int, ...]
    without: str


def full() -> Plan:
    cases = tuple(case for case in CASES if H100 in case.goals) + tuple(
        case for case in CASES if H100 not in case.goals and "cuda" in case.devices
    )
    files = [case.file for case in cases if H100 in case.goals]
    files += [name for name in library.names() if name not in files]
    return Plan(
        device="cuda",
        engine="triton",
        setting=H100,
        length=1021,
        calls=CALLS,
        rounds=5,
        files=tuple(files),
        cases=cases,
        lengths=(4096, 16_384, 262_144),
        without="compose",  # that engine runs on CPUs
    )


def tiny(engine: str) -> Plan:
    """The cheapest pattern for an interpreter: a window, of one tile."""
    return Plan(
        device="cpu",
        engine=engine,
        setting=replace(CPU, heads=1, head_dim=16, n=70),
        length=70,
        calls={"float32": correctness.CALLS},
        rounds=2,
        files=("sliding_window", "bigbird"),
        cases=tuple(case for case in CASES if case.name == "sliding_window(1024)"),
        lengths=(33,),
        without="flex,auto" + ("" if engine == "compose" else ",compose"),
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    plan = options.plan
    os.environ.setdefault("TRITON_DISABLE_LINE_INFO", "1")  # only a profiler asks, and compiling takes a quarter less
    where, budget = machine(plan.device), Budget.of(options.seconds)
    say = lambda text: print(text, file=sys.stderr, flush=True)  # noqa: E731
    with tempfile.TemporaryDirectory() as folder:
        checks = checks_of(plan)
        checked = budget.run(checks, workers=options.workers, share=FIRST_SHARE, say=say)
        timed = budget.run([timing(plan, case, (plan.setting.n,), Path(folder)) for case in plan.cases], say=say)
        again = [outcome.item for outcome in checked if outcome.status == SKIPPED]
        checked = [outcome for outcome in checked if outcome.status != SKIPPED]
        checked += budget.run(again, workers=options.workers, say=say)
        swept = budget.run([timing(plan, case, plan.lengths, Path(folder)) for case in plan.cases[:3]], say=say)
    return report(plan, where, checked, [*timed, *swept], budget, options.out)


def checks_of(plan: Plan) -> list[Item]:
    """One item per data type and stock pattern, since compiling is what takes long: what takes longest, then in each
    type those with a target first."""
    command = (sys.executable, str(HERE / "correctness.py"), "--serve", "--device", plan.device)
    command += ("--engine", plan.engine, "-n", str(plan.length))
    names = [(file, name) for file in plan.files for name in pc.load(f"library:{file}").patterns]
    asked = [(*each, dtype) for dtype in plan.calls for each in names]
    items = []
    for file, name, dtype in sorted(asked, key=lambda each: each[0] not in SLOW):
        request = shlex.join((file, name, "--dtypes", dtype, "--calls", ",".join(plan.calls[dtype])))
        items.append(Item(f"{name} {dtype}", command, seconds=300, least=10, request=request))
    return items


def timing(plan: Plan, case: Case, lengths: Sequence[int], folder: Path) -> Item:
    s = plan.setting
    out = folder / f"{re.sub('[^a-z0-9]+', '-', case.name)}-{len(lengths)}.json"
    command = (
        sys.executable, str(HERE / "attention.py"), "--device", plan.device, "--dtype", s.dtype, "-B", str(s.batch),
        "-H", str(s.heads), "-D", str(s.head_dim), "-n", ",".join(map(str, lengths)), "--case", case.name,
        "--rounds", str(plan.rounds), "--most", "5", "--memory", str(s.n), "--out", str(out),
        "--without", plan.without,
    )  # fmt: skip
    names = ", ".join(map(str, lengths))
    return Item(f"{case.name} at {names}", command, seconds=150, least=20, file=out)


def report(
    plan: Plan, where: dict[str, Any], checked: list[Outcome], timed: list[Outcome], budget: Budget, out: Path | None
) -> int:
    """Print the table, write the file, and return the exit status."""
    correct = [row for outcome in checked for row in verdicts(outcome)]
    documents = [json.loads(outcome.text) for outcome in timed if outcome.text]
    results = [result for document in documents for result in document["results"]]
    targets = [each for document in documents for each in document["targets"]]
    print("\n".join(table(plan.calls, correct, timed, results, targets)))
    met = sum(each["met"] for each in targets)
    print(f"\n{met} of {len(targets)} targets met; {budget.seconds - budget.left():.0f} s")
    card = re.sub("[^a-z0-9]+", "-", where.get("gpu", "cpu").lower()).strip("-")
    settings = {"command": "gpu.py", "engine": plan.engine, "seconds": budget.seconds, "length": plan.length}
    settings |= {"calls": plan.calls}
    left_out = [{"what": each.item.name, "status": each.status, "word": each.word} for each in timed if each.word]
    rest = {"correctness": correct, "results": results, "left_out": left_out}
    write(out or RESULTS / f"gpu-{card}.json", "gpu", settings, [as_target(each) for each in targets], where, **rest)
    return 1 if any(row["verdict"] in (WRONG, FAILED) for row in correct) else 0


def as_target(found: dict[str, Any]) -> Target:
    return Target(found["what"], found["wanted"], found["found"], found["at_least"])


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=520.0, help="the budget of time")
    parser.add_argument("--workers", type=int, default=min(14, max(1, (os.cpu_count() or 1) - 2)))
    parser.add_argument("--thorough", action="store_true", help="every call in every data type")
    parser.add_argument("--tiny", choices=["compose", "triton"], help="on a CPU, at sizes that say nothing about speed")
    parser.add_argument("--out", type=Path, help="the JSON file; benchmarks/results/gpu-CARD.json by default")
    options = parser.parse_args(arguments)
    options.plan = tiny(options.tiny) if options.tiny else full()
    if options.thorough:
        options.plan = replace(options.plan, calls=dict.fromkeys(options.plan.calls, correctness.CALLS))
    return options


if __name__ == "__main__":
    import torch

    if "--tiny" not in sys.argv and not torch.cuda.is_available():
        print("SKIPPED: torch finds no CUDA or ROCm device here; neither GPU tests nor GPU benchmarks ran")
        sys.exit(0)
    sys.exit(main())
