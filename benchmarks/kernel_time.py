"""Where the time of a call goes on a GPU: each kernel of one forward and backward pass, ours and torch's, by its name.

    python benchmarks/kernel_time.py [-n 65536] [--patterns strided,fixed] [-H 32] [-D 128]

The names are those of the generated source (`patternc compile --emit triton`); torch's own fill, cast and sum. Means of
several calls, by torch's profiler. `tuned`: of each launch the options that were tried, the fastest first.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import torch
from attention import chosen
from cases import CASES, Case
from record import RESULTS, machine, write
from tables import aligned

import patternc as pc
from patternc.compiler.cache import cache_directory
from patternc.runtime.bench.inputs import Inputs

LEAST = 0.005
"""Of the time of a pass; what takes less is told together."""


def main() -> None:
    options = _parse()
    rows = [["pattern", "pass", "kernel", "calls", "ms"]]
    found = []
    for case in chosen(options.patterns, [case for case in CASES if "cuda" in case.devices]):
        for what, kernels in times(case, options).items():
            found.append({"pattern": case.name, "pass": what, "kernels": kernels})
            total = sum(each["milliseconds"] for each in kernels)
            shown = [each for each in kernels if each["milliseconds"] >= LEAST * total]
            rest = total - sum(each["milliseconds"] for each in shown)
            rows += [
                [case.name, what, each["name"], f"{each['calls']:g}", f"{each['milliseconds']:.3f}"] for each in shown
            ]
            rows += [["", "", "less than that", "", f"{rest:.3f}"], ["", "", "all", "", f"{total:.3f}"]]
    print("\n".join(aligned(rows, left=3)))
    settings = {"n": options.length, "heads": options.heads, "head_dim": options.head_dim, "dtype": options.dtype}
    write(options.out, "kernel_time", settings, [], machine("cuda"), passes=found, tuned=tuned())


def times(case: Case, options: argparse.Namespace) -> dict[str, list[dict[str, Any]]]:
    """By pass, the kernels that ran, longest first."""
    dtype = getattr(torch, options.dtype)
    inputs = Inputs.draw((1, options.heads, options.length, options.head_dim), "cuda", dtype)
    attend = pc.compile(case.pattern(), head_dim=options.head_dim, dtype=dtype, engine="triton", device="cuda")
    leaves = [x.clone().requires_grad_() for x in (inputs.q, inputs.k, inputs.v)]
    gradient = torch.randn_like(inputs.q)

    def forward() -> torch.Tensor:
        out: torch.Tensor = attend(*leaves)
        return out

    torch.autograd.grad(forward(), leaves, gradient)  # compiles and tunes
    found = {"forward": profiled(forward, options.rounds)}
    out = forward()
    backward = lambda: torch.autograd.grad(out, leaves, gradient, retain_graph=True)  # noqa: E731
    found["backward"] = profiled(backward, options.rounds)
    return found


def profiled(run: Any, rounds: int) -> list[dict[str, Any]]:
    """Per kernel: how often it ran in a call, and the milliseconds of all of these."""
    calls: dict[str, list[float]] = defaultdict(list)
    run()
    torch.cuda.synchronize()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(rounds):
            run()
        torch.cuda.synchronize()
    for event in profile.events():
        if event.device_type == torch.autograd.DeviceType.CUDA:
            calls[event.name].append(event.device_time / 1000)
    rows = [
        {"name": name, "calls": len(each) / rounds, "milliseconds": sum(each) / rounds} for name, each in calls.items()
    ]
    return sorted(rows, key=lambda row: -row["milliseconds"])


def tuned() -> list[dict[str, Any]]:
    """What the records of tuning in the cache hold: (block of queries, of keys, warps, stages, registers at
    most or null), seconds."""
    records = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(cache_directory().glob("launch_*.json"))]
    return [
        {"kernel": each["subject"]["kernel"], "seconds": sorted(each["value"]["seconds"], key=lambda one: one[1])}
        for each in records
    ]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", dest="length", type=int, default=65_536)
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="bfloat16")
    parser.add_argument("--heads", "-H", type=int, default=32)
    parser.add_argument("--head-dim", "-D", type=int, default=128)
    parser.add_argument("--patterns", help="part of the names, separated by commas; all by default")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "kernel_time.json")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("torch finds no CUDA or ROCm device here")
    return options


if __name__ == "__main__":
    main()
