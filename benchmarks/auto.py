"""Every stock pattern under `auto` beside dense attention without a pattern: attaching one may not slow a model down.

    python benchmarks/auto.py [-n 1024,4096,16384] [--backward] [--patterns window,strided] [--clock thread]

Dense attention is torch's, causal for a causal pattern and over every pair for a bidirectional one. Each round runs
everything once, dense included, so that all share what the machine does in that time. Told beside the ratio: the way
that was chosen, what was predicted for it, and the time of the first call, which plans.

`--clock thread` times one thread's own CPU seconds, which other processes hardly disturb: for a machine that is not
idle. The default is the clock on the wall with all of torch's threads.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from record import RESULTS, Spread, Target, machine, write
from stock_patterns import stock

import patternc as pc
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.bench.clock import calls_of, interleaved, seconds_of
from patternc.runtime.bench.inputs import Inputs, forward, forward_backward
from patternc.runtime.bench.rivals import dense
from patternc.runtime.compiled import Compiled
from patternc.runtime.errors import EngineError

LEAST = 0.95
"""Times as fast as dense attention that a stock pattern is to be, at any length."""

Subject = tuple[str, pc.Pattern, Compiled]


def main() -> None:
    options = _parse()
    where, results, targets = machine(), [], []
    subjects, left_out = _subjects(options)
    if options.clock == "thread":
        torch.set_num_threads(1)
    threads = torch.get_num_threads()
    print(f"{where['cpu']}, {threads} threads, {options.clock} clock, load {where['load_1min_before']} before the run")
    for n in options.lengths:
        for row in _measure(subjects, n, options):
            results.append(row)
            what = f"{row['pattern']} at n = {n}, {row['pass']}: times as fast as dense"
            targets.append(Target(what, LEAST, row["ratio"]["median"], True))
            print(as_text(row), flush=True)
    print(*[target.as_text() for target in targets if not target.met], sep="\n")
    print(f"{sum(target.met for target in targets)} of {len(targets)} are at least {LEAST} times as fast as dense")
    settings = {
        name: getattr(options, name) for name in ("lengths", "clock", "heads", "head_dim", "rounds", "backward")
    }
    write(options.out, "auto", settings | {"threads": threads}, targets, where, results=results, left_out=left_out)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", dest="lengths", default="1024,2048,4096,8192,16384", help="separated by commas")
    parser.add_argument("--backward", action="store_true", help="forward and backward together too")
    parser.add_argument("--patterns", help="part of the names, separated by commas; all by default")
    parser.add_argument("--clock", choices=["wall", "thread"], default="wall")
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "auto.json")
    options = parser.parse_args()
    options.lengths = [int(n) for n in options.lengths.split(",")]
    return options


def _subjects(options: argparse.Namespace) -> tuple[list[Subject], dict[str, str]]:
    """The patterns that an engine runs for one sequence, and why the others do not take part."""
    subjects: list[Subject] = []
    left_out: dict[str, str] = {}
    for name, pattern in stock(options.patterns):
        try:
            program = pc.compile(pattern, head_dim=options.head_dim, device="cpu")
        except (PatternError, EngineError) as error:
            left_out[name] = str(error).splitlines()[0]
            continue
        if not isinstance(program, Compiled) or program.program is None:
            left_out[name] = "what it attends to is decided at run time"
        elif pattern.direction is Direction.CROSS:
            left_out[name] = "it has two sequences"
        else:
            subjects.append((name, pattern, program))
    return subjects, left_out


def _measure(subjects: list[Subject], n: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each pattern and pass."""
    inputs = Inputs.draw((1, options.heads, n, options.head_dim), "cpu", torch.float32)
    timer = time.thread_time if options.clock == "thread" else time.perf_counter
    passes = {"forward": forward, **({"forward+backward": forward_backward} if options.backward else {})}
    runs: dict[tuple[str, str], Callable[[], Any]] = {}
    first: dict[tuple[str, str], float] = {}
    for label, make in passes.items():
        for name, pattern, program in subjects:
            runs[name, label] = make(program, inputs)
            runs[f"dense, {pattern.direction}", label] = make(dense(pattern, inputs).attend, inputs)
    print(f"n = {n}: first calls", file=sys.stderr)
    for key, run in runs.items():
        first[key] = seconds_of(run, timer=timer)
    print(f"n = {n}: timing", file=sys.stderr)
    calls = {key: calls_of(run, timer=timer) for key, run in runs.items()}
    seconds = interleaved(runs, calls, options.rounds, timer=timer)
    for label in passes:
        for name, pattern, program in subjects:
            ours, other = seconds[name, label], seconds[f"dense, {pattern.direction}", label]
            yield {
                "pattern": name,
                "n": n,
                "pass": label,
                "ours": asdict(Spread.of(ours)),
                "dense": asdict(Spread.of(other)),
                "ratio": asdict(Spread.of([y / x for x, y in zip(ours, other, strict=True)])),
                "first_call_seconds": first[name, label],
                **_predicted(program, n, label, options),
            }


def _predicted(program: Compiled, n: int, label: str, options: argparse.Namespace) -> dict[str, Any]:
    found = program.predict(n, heads=options.heads)
    choices = [found.forward, *([found.backward] if "backward" in label else [])]
    return {
        "way": " + ".join(dict.fromkeys(choice.chosen.name for choice in choices)),
        "predicted_seconds": sum(choice.chosen.seconds for choice in choices),
        "predicted_dense_seconds": sum(choice.dense for choice in choices),
    }


def as_text(row: dict[str, Any]) -> str:
    ratio, ours = row["ratio"], row["ours"]["median"]
    spread = f"({ratio['quartile_1']:.2f}..{ratio['quartile_3']:.2f})"
    predicted = f"predicted {1e3 * row['predicted_seconds']:9.2f} ms"
    return (
        f"{row['n']:>6} {row['pattern']:30} {row['pass']:17} {ratio['median']:7.2f} {spread:16}"
        f" {1e3 * ours:9.2f} ms, {predicted}, {row['way']}"
    )


if __name__ == "__main__":
    main()
