"""Sparse attention side by side, in one run: dense SDPA, FlexAttention, an expert's composition, libraries, patternc.

    python benchmarks/attention.py [-n 1024,16384] [--device cuda] [--dtype bfloat16] [--patterns strided] [--memory]

Forward, forward with backward, and one step of decoding, at each length from short to long. Everything takes turns; a
ratio is the median over rounds of (seconds of the rival) / (seconds of ours): above 1 ours is faster. What is not
installed, cannot do something, fails or would take too long is named with the reason, in the table and in the file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from cases import CASES, Case, Goal, Setting, without_pattern
from comparison import Comparison, Limits
from contestants import CONTESTANTS
from estimate import History
from record import RESULTS, Target, machine, write
from tables import table


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parse(arguments)
    where, results, targets, history = machine(options.device), [], [], History()
    path = options.out or RESULTS / f"attention-{options.device}.json"
    with threads(options.threads) as count:
        print(f"{where.get('gpu', where['cpu'])}, {count} threads, load {where['load_1min_before']} before the run")
        for n in options.lengths:
            settings = {name: getattr(options, name) for name in ("device", "dtype", "batch", "heads", "head_dim")}
            settings |= {"n": n, "threads": count, "rounds": options.rounds}
            comparison = Comparison(
                settings, options.contestants, history, Limits(options.most), lambda text: print(text, file=sys.stderr)
            )
            result = comparison.run(options.cases, options.rounds, memory=n in options.memory)
            found = targets_of(result, options.cases)
            results.append(result)
            targets += found
            result["dense"] = {case.name: without_pattern(case).name for case in options.cases}
            print(table(result), *[target.as_text() for target in found], sep="\n", flush=True)
            # After every length: a long run that is stopped keeps what it has.
            write(path, "attention", {"command": "attention.py"}, targets, where, results=results)


@contextmanager
def threads(count: int | None) -> Iterator[int]:
    """torch's threads for operators, restored afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def targets_of(result: dict[str, Any], cases: Sequence[Case]) -> list[Target]:
    """What was promised beside what was found, where this is the configuration for which it was promised."""
    settings = result["settings"]
    mine = "ours, triton" if settings["device"] == "cuda" else "ours, compose"
    times = {(row["pattern"], row["pass"], row["contestant"]): row["median"] for row in result["seconds"]}
    ratios = {(row["pattern"], row["pass"], row["contestant"], row["rival"]): row["median"] for row in result["ratios"]}
    targets = []
    for case in cases:
        for setting, goals in case.goals.items():
            if all(settings[name] == value for name, value in asdict(setting).items()):
                targets += [_target(case, setting, goal, mine, times, ratios) for goal in goals]
    return targets


def _target(case: Case, setting: Setting, goal: Goal, mine: str, times: Any, ratios: Any) -> Target:
    """What could not be timed is a miss: the promise was that it runs."""
    if goal.rival is None:
        assert goal.milliseconds is not None
        found = 1e3 * times.get((case.name, goal.what, mine), float("inf"))
        return Target(f"{case.name}, {goal.what}, {mine}, ms", goal.milliseconds, found, False)
    found = ratios.get((case.name, goal.what, mine, goal.rival), float("nan"))
    return Target(f"{case.name}, {goal.what}, {mine}, times faster than {goal.rival}", goal.times, found, True)


def _parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", dest="lengths", default="16384", help="lengths, separated by commas")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="float32; on cuda bfloat16")
    parser.add_argument("--batch", "-B", type=int, default=1)
    parser.add_argument("--heads", "-H", type=int, default=4)
    parser.add_argument("--head-dim", "-D", type=int, default=64)
    parser.add_argument("--patterns", help="part of the names, separated by commas; all by default")
    parser.add_argument("--case", help="the whole name of the one case")
    parser.add_argument("--only", help="part of the names of contestants, separated by commas; all by default")
    parser.add_argument("--without", help="part of the names of contestants that are left out")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--most", type=float, default=20.0, help="seconds of one call beyond which it is left out")
    parser.add_argument("--memory", default="", help="lengths of which the most memory is measured too")
    parser.add_argument("--threads", type=int, help="torch's threads; its own choice by default")
    parser.add_argument("--out", type=Path, help="the JSON file; benchmarks/results/attention-DEVICE.json by default")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA or ROCm device here")
    options.lengths = sorted(int(n) for n in options.lengths.split(","))
    options.memory = [int(n) for n in options.memory.split(",") if n]
    options.dtype = options.dtype or ("bfloat16" if options.device == "cuda" else "float32")
    named = [case for case in CASES if options.patterns or options.case or options.device in case.devices]
    options.cases = [case for case in chosen(options.patterns, named) if options.case in (None, case.name)]
    options.contestants = chosen(options.only, CONTESTANTS)
    if options.without:
        options.contestants = [c for c in options.contestants if c not in chosen(options.without, CONTESTANTS)]
    if not options.cases or not options.contestants:
        parser.error(f"no such name; there are: {'; '.join(each.name for each in (*CASES, *CONTESTANTS))}")
    return options


def chosen(parts: str | None, among: Sequence[Any]) -> list[Any]:
    """Those whose names have one of ``parts``, written with commas between them."""
    return [each for each in among if not parts or any(part in each.name for part in parts.split(","))]


if __name__ == "__main__":
    main()
