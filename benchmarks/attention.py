"""Sparse attention side by side: dense causal SDPA, compiled FlexAttention and patternc, interleaved in one run.

    python benchmarks/attention.py [-n 4096,16384] [--device cuda] [--dtype bfloat16] [--rounds 7]

Every round runs every contestant once, every other round in reverse order, so that a machine that slows down slows all
of them. A ratio is the median over rounds of (seconds of the rival) / (seconds of ours): above 1 ours is faster.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import contestants
import torch
from cases import CASES, Case, is_reference
from contestants import Inputs
from record import RESULTS, Spread, Target, machine, write

FORWARD, BOTH, MASK = "forward", "forward+backward", "mask"
Key = tuple[str, str, str]
"""(pattern, pass, engine); the pattern of dense SDPA is ``""``: it is the same for all."""


def main() -> None:
    options = _parse()
    where, results, targets = machine(options.device), [], []
    with contestants.threads(options.threads) as threads:
        print(f"{where.get('gpu', where['cpu'])}, {threads} threads, load {where['load_1min_before']} before the run")
        for n in options.lengths:
            settings = {name: getattr(options, name) for name in ("device", "dtype", "batch", "heads", "head_dim")}
            settings |= {"n": n, "threads": threads, "rounds": options.rounds}
            result = run(options, settings)
            found = targets_of(result) if is_reference(settings) else []
            print(table(result), *[target.as_text() for target in found], sep="\n", flush=True)
            results.append(result)
            targets += found
    path = options.out or RESULTS / f"attention-{options.device}.json"
    write(path, "attention", {"command": "attention.py"}, targets, where, results=results)


def run(options: argparse.Namespace, settings: dict[str, Any]) -> dict[str, Any]:
    """Check and time one length. Raises Disagreement where an engine computes something else."""
    shape = (options.batch, options.heads, settings["n"], options.head_dim)
    dtype = getattr(torch, options.dtype)
    inputs = Inputs.draw(shape, options.device, dtype)
    short = Inputs.draw((1, options.heads, min(settings["n"], 515), options.head_dim), options.device, dtype)
    runs: dict[Key, Callable[[], Any]] = {
        ("", FORWARD, "dense"): contestants.forward(contestants.dense, inputs),
        ("", BOTH, "dense"): contestants.forward_backward(contestants.dense, inputs),
    }
    notes: dict[str, dict[str, Any]] = {}
    for case in options.cases:
        print(f"n={settings['n']}: preparing {case.name}", file=sys.stderr)
        notes[case.name] = _enter(case, options, inputs, short, runs)
    print(f"n={settings['n']}: timing", file=sys.stderr)
    return {"settings": settings, "patterns": notes, **_measure(runs, options.rounds, options.device)}


def _enter(
    case: Case, options: argparse.Namespace, inputs: Inputs, short: Inputs, runs: dict[Key, Callable[[], Any]]
) -> dict[str, Any]:
    """Add a pattern's contestants once they agree with the formula; what is told about them beside their times."""
    ours = contestants.ours(case, inputs, options.engine)
    note = {"engine": ours.engine, "lower_seconds": ours.lower_seconds, "first_call_seconds": ours.first_call_seconds}
    runs[case.name, FORWARD, "ours"] = contestants.forward(ours.attend, inputs)
    runs[case.name, BOTH, "ours"] = contestants.forward_backward(ours.attend, inputs)
    note["output_error"] = contestants.check_output(
        f"ours, {case.name}", runs[case.name, FORWARD, "ours"](), case.mask, inputs
    )
    note["gradient_error"] = contestants.check_gradients(f"ours, {case.name}", ours.attend, case.mask, short)
    if not options.flex:
        return note
    try:
        flex = contestants.flex(case, inputs)
    except (RuntimeError, NotImplementedError) as error:  # said in the table and in the file, not passed over
        return {**note, "flex_failed": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
    note |= {"flex_blocks": flex.blocks, "flex_compile_seconds": flex.compile_seconds}
    runs[case.name, MASK, "flex"] = flex.make_mask
    runs[case.name, FORWARD, "flex"] = contestants.forward(flex.attend, inputs)
    out = runs[case.name, FORWARD, "flex"]()
    note["flex_output_error"] = contestants.check_output(f"FlexAttention, {case.name}", out, case.mask, inputs)
    if options.device != "cpu":  # on a CPU FlexAttention has no backward
        runs[case.name, BOTH, "flex"] = contestants.forward_backward(flex.attend, inputs)
    return note


def _measure(runs: dict[Key, Callable[[], Any]], rounds: int, device: str) -> dict[str, Any]:
    calls = {key: _calls(run, device) for key, run in runs.items()}
    seconds: dict[Key, list[float]] = {key: [] for key in runs}
    order = list(runs)
    # A recompilation would be counted as attention: after the warm-up it is an error.
    with torch.compiler.set_stance("fail_on_recompile"):
        for index in range(rounds):
            for key in order if index % 2 == 0 else reversed(order):
                seconds[key].append(_seconds(runs[key], calls[key], device))
    ratios = []
    for (name, what, engine), own in seconds.items():
        if engine != "ours":
            continue
        rivals = {"dense": seconds["", what, "dense"], "flex": seconds.get((name, what, "flex"))}
        if rivals["flex"] and what == FORWARD:
            rivals["flex+mask"] = [x + y for x, y in zip(rivals["flex"], seconds[name, MASK, "flex"], strict=True)]
        for rival, theirs in rivals.items():
            if theirs:
                spread = Spread.of([x / y for x, y in zip(theirs, own, strict=True)])
                ratios.append({"pattern": name, "pass": what, "rival": rival, **asdict(spread)})
    times = [
        {
            "pattern": name,
            "pass": what,
            "engine": engine,
            "calls": calls[name, what, engine],
            **asdict(Spread.of(values)),
        }
        for (name, what, engine), values in seconds.items()
    ]
    return {"seconds": times, "ratios": ratios}


def _calls(run: Callable[[], Any], device: str) -> int:
    """Warm up; calls per measurement such that it takes at least 10 ms, which a clock and a launch do not disturb."""
    run()
    seconds = statistics.median(_seconds(run, 1, device) for _ in range(2))
    return max(1, min(100, round(0.01 / seconds)))


def _seconds(run: Callable[[], Any], calls: int, device: str) -> float:
    contestants.synchronise(device)
    begin = time.perf_counter()
    for _ in range(calls):
        run()
    contestants.synchronise(device)
    return (time.perf_counter() - begin) / calls


def targets_of(result: dict[str, Any]) -> list[Target]:
    """The promised ratios beside those found."""
    found = {(row["pattern"], row["pass"], row["rival"]): row["median"] for row in result["ratios"]}
    return [
        Target(f"{case.name}, {what}, times faster than {rival}", wanted, found[case.name, what, rival], True)
        for case in CASES
        for (what, rival), wanted in case.targets.items()
        if (case.name, what, rival) in found
    ]


def table(result: dict[str, Any]) -> str:
    """Medians in milliseconds with the quartiles' distance in percent, and the ratios."""
    times = {(row["pattern"], row["pass"], row["engine"]): row for row in result["seconds"]}
    ratios = {(row["pattern"], row["pass"], row["rival"]): row["median"] for row in result["ratios"]}
    s = result["settings"]
    head = ["pattern", "pass", "ours ms", "dense ms", "flex ms", "mask ms", "dense/ours", "flex/ours", "with mask"]
    rows = [head]
    for name in result["patterns"]:
        for what in (FORWARD, BOTH):
            keys = [(name, what, "ours"), ("", what, "dense"), (name, what, "flex")]
            keys.append((name, MASK, "flex") if what == FORWARD else ("", "", ""))
            cells = [_milliseconds(times.get(key)) for key in keys]
            cells += [_ratio(ratios.get((name, what, rival))) for rival in ("dense", "flex", "flex+mask")]
            rows.append([name, what, *cells])
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]
    lines = ["  ".join(f"{cell:{'<' if k < 2 else '>'}{widths[k]}}" for k, cell in enumerate(row)) for row in rows]
    title = f"\nB={s['batch']} H={s['heads']} D={s['head_dim']} n={s['n']} {s['dtype']} on {s['device']}, "
    title += f"{s['rounds']} rounds; medians, distance of the quartiles; below 1.00x ours is slower"
    failures = [
        f"{name}: FlexAttention: {n['flex_failed']}" for name, n in result["patterns"].items() if "flex_failed" in n
    ]
    return "\n".join([title, *lines, *failures])


def _milliseconds(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return f"{1e3 * row['median']:.2f} ±{50 * (row['quartile_3'] - row['quartile_1']) / row['median']:.0f}%"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}x"


def _parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    cuda = torch.cuda.is_available()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", dest="lengths", default="16384", help="lengths, separated by commas")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], help="float32; on cuda bfloat16")
    parser.add_argument("--batch", "-B", type=int, default=1)
    parser.add_argument("--heads", "-H", type=int, default=4)
    parser.add_argument("--head-dim", "-D", type=int, default=64)
    parser.add_argument("--engine", choices=["auto", "compose", "triton"], help="ours; compose, on cuda triton")
    parser.add_argument("--patterns", help="part of the names, separated by commas; all by default")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, help="torch's threads; its own choice by default")
    parser.add_argument("--no-flex", dest="flex", action="store_false", help="leave FlexAttention out")
    parser.add_argument("--out", type=Path, help="the JSON file; benchmarks/results/attention-DEVICE.json by default")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not cuda:
        parser.error("torch finds no CUDA or ROCm device here")
    options.lengths = [int(n) for n in options.lengths.split(",")]
    options.dtype = options.dtype or ("bfloat16" if options.device == "cuda" else "float32")
    options.engine = options.engine or ("triton" if options.device == "cuda" else "compose")
    chosen = options.patterns.split(",") if options.patterns else [""]
    options.cases = [case for case in CASES if any(part in case.name for part in chosen)]
    if not options.cases:
        parser.error(f"no pattern has such a name; there are: {'; '.join(case.name for case in CASES)}")
    return options


if __name__ == "__main__":
    main()
