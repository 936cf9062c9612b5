"""Layers of every stock pattern that learns, beside dense attention: a forward pass, and forward with backward.

    python benchmarks/learned_time.py [-n 4096,16384,65536] [--patterns nsa,moba] [--clock thread] [--device cuda]

Everything of one length takes turns in one run, and ratios are taken round by round. Beside the whole layer stands the
same layer with its selections handed in: what is left between the two is what selecting costs, forward alone or with
the gradients of the selectors. A step is forward and backward, to q, k, v, the hidden states and all that is learned.

Selectors are as they start, but for `importance`, which at first opens every other token: its bias is set so that it
opens the share of its budget. The realised density of each selection is told. `--clock thread` times one thread's own
CPU seconds, for a machine that is not idle. What would take longer than `--most` seconds a call, by the growth from
length to length, or does not fit the memory, is left out with the reason.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from estimate import History
from given import Given
from memory import free_bytes
from record import RESULTS, Spread, machine, write
from stock_patterns import stock
from torch import Tensor
from torch.nn import functional as F

import patternc as pc
from patternc.compiler.relations.settle import opens, pooled
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.bench.clock import calls_of, interleaved
from patternc.runtime.errors import in_a_line
from patternc.runtime.learned.attention import LearnedAttention, Selections
from patternc.runtime.selectors import Importance

FORWARD, STEP = "forward", "forward+backward"
Run = Callable[[], Any]
Key = tuple[str, str, str]
"""(pattern, pass, whole | given | dense)."""


def main() -> None:
    options = _parse()
    if options.clock == "thread":
        torch.set_num_threads(1)
    where, results, left_out, history = machine(options.device), [], [], History()
    if options.device == "cpu":  # an error, not the end; a GPU's driver reserves addresses as it likes
        resource.setrlimit(resource.RLIMIT_AS, (free_bytes("cpu"), resource.RLIM_INFINITY))
    layers = dict(_layers(options, left_out))
    threads = torch.get_num_threads()
    name, load = where.get("gpu", where["cpu"]), where["load_1min_before"]
    print(f"{name}, {threads} threads, {options.clock} clock, load {load} before the run")
    for n in options.lengths:
        for row in measure(layers, n, options, history, left_out):
            results.append(row)
            print(as_text(row), flush=True)
    for row in left_out:
        where_it_was = f" at n = {row['n']}, {row['pass']}" if row["n"] else ""
        print(f"left out: {row['pattern']}{where_it_was}: {row['reason']}")
    names = ("lengths", "device", "dtype", "clock", "heads", "head_dim", "rounds", "most")
    settings = {name: getattr(options, name) for name in names}
    write(options.out, "learned_time", settings | {"threads": threads}, [], where, results=results, left_out=left_out)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", dest="lengths", default="4096,16384,65536", help="separated by commas")
    parser.add_argument("--patterns", help="part of the names, separated by commas; all by default")
    parser.add_argument("--clock", choices=["wall", "thread"], default="wall")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16", "float16"], default="float32")
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--most", type=float, default=300.0, help="seconds of one call")
    parser.add_argument("--out", type=Path, default=RESULTS / "learned_time.json")
    options = parser.parse_args()
    options.lengths = sorted(int(n) for n in options.lengths.split(","))
    if options.device == "cuda" and options.clock == "thread":
        parser.error("--clock thread does not see what a GPU does: leave it out")
    return options


def _layers(options: argparse.Namespace, left_out: list[dict[str, Any]]) -> Iterator[tuple[str, LearnedAttention]]:
    for name, pattern in stock(options.patterns):
        if not (opens(pattern.bound.union) or pooled(pattern.bound.union)):
            continue
        torch.manual_seed(0)
        try:
            sizes = {"heads": options.heads, "head_dim": options.head_dim}
            dtype = getattr(torch, options.dtype)
            yield name, pc.compile(pattern, **sizes, dtype=dtype, device=options.device).eval()
        except PatternError as error:
            left_out.append({"pattern": name, "n": None, "pass": None, "reason": str(error).splitlines()[0]})


def measure(
    layers: dict[str, LearnedAttention],
    n: int,
    options: argparse.Namespace,
    history: History,
    left_out: list[dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """One row for each pattern and pass that takes part."""
    device = options.device
    given = Given.draw(n, options.heads, options.head_dim, device, getattr(torch, options.dtype))
    timer = time.thread_time if options.clock == "thread" else time.perf_counter
    runs: dict[Key, Run] = {}
    calls: dict[Key, int] = {}
    densities: dict[str, dict[str, float]] = {}

    for name, layer in layers.items():
        print(f"n = {n}: {name}", file=sys.stderr)
        for label in (FORWARD, STEP):
            expected = history.estimate((name, label, "whole"), n)
            try:
                if expected is not None and expected > options.most:
                    raise TimeoutError(f"would take about {expected:.0f} s a call")
                if name not in densities:
                    calibrate(layer, given)
                    selections = select(layer, given)
                    densities[name] = {key: one.density.mean().item() for key, one in _dense(selections)}
                own = _runs(name, label, layer, given, selections)
                calls |= {key: calls_of(run, device, timer) for key, run in own.items() if key not in calls}
                runs |= own
            except Exception as error:  # noqa: BLE001  (what does not fit is named with its error, whatever it is)
                left_out.append({"pattern": name, "n": n, "pass": label, "reason": in_a_line(error)})
                break
    seconds = interleaved(runs, calls, options.rounds, device, timer)
    for key, values in seconds.items():
        history.add(key, n, Spread.of(values).median)
    for name, label in dict.fromkeys((name, label) for name, label, part in runs if part == "whole"):
        yield _row(name, label, n, seconds, str(layers[name].pattern.direction), densities[name])


def _dense(selections: Selections) -> Iterator[tuple[str, Any]]:
    """Those that have a density: a gate per head has none."""
    return ((name, one) for name, one in selections.items() if hasattr(one, "density"))


def calibrate(layer: LearnedAttention, given: Given) -> None:
    """Biases of `importance` such that the share of its budget is open: tokens, by columns and by rows."""
    for selector in layer.learned.selectors.values():
        if isinstance(selector, Importance):
            with torch.no_grad():
                logits = selector.scorer(given.inputs(layer.pattern.direction))
                parts = [(selector.scorer.columns, logits[0]), (selector.scorer.rows, logits[1])]
                parts = [(linear, found) for linear, found in parts if linear is not None]
                share = 1 - (1 - selector.budget) ** (1 / len(parts))  # a pair is in a column or in a row
                for linear, found in parts:
                    linear.bias -= found.flatten().kthvalue(max(1, round((1 - share) * found.numel()))).values


@torch.no_grad()
def select(layer: LearnedAttention, given: Given) -> Selections:
    return layer.select(given.inputs(layer.pattern.direction), given.k, given.v)


def _runs(name: str, label: str, layer: LearnedAttention, given: Given, selections: Selections) -> dict[Key, Run]:
    """The whole layer, the layer with its selections given, and dense attention, in one pass."""
    direction = layer.pattern.direction
    dense = f"dense, {'causal' if direction is Direction.CAUSAL else 'every pair'}"
    learned = [one for one in layer.parameters() if one.requires_grad]

    def whole(*leaves: Tensor) -> Tensor:
        found: Tensor = layer(*leaves[:3], inputs=given.inputs(direction, leaves))
        return found

    def handed(*leaves: Tensor) -> Tensor:
        inputs = given.inputs(direction, leaves)
        found: Tensor = layer(*leaves[:3], inputs=inputs, selections=selections)
        return found

    def plain(*leaves: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(*leaves[:3], is_causal=direction is Direction.CAUSAL)

    return {
        (name, label, "whole"): _pass(label, whole, given, learned),
        (name, label, "given"): _pass(label, handed, given, []),
        (dense, label, "dense"): _pass(label, plain, given, []),
    }


def _pass(label: str, attend: Callable[..., Tensor], given: Given, learned: list[Tensor]) -> Run:
    tensors = (given.q, given.k, given.v, given.hidden)

    def forward() -> None:
        with torch.no_grad():
            attend(*tensors)

    def step() -> None:
        leaves = tuple(tensor.detach().requires_grad_() for tensor in tensors)
        torch.autograd.grad(attend(*leaves), (*leaves, *learned), given.grad, allow_unused=True)

    return forward if label == FORWARD else step


def _row(
    name: str, label: str, n: int, seconds: dict[Key, list[float]], direction: str, density: dict[str, float]
) -> dict[str, Any]:
    dense = f"dense, {'causal' if direction == 'causal' else 'every pair'}"
    whole, handed, plain = seconds[name, label, "whole"], seconds[name, label, "given"], seconds[dense, label, "dense"]
    return {
        "pattern": name,
        "n": n,
        "pass": label,
        "whole": asdict(Spread.of(whole)),
        "given": asdict(Spread.of(handed)),
        "dense": asdict(Spread.of(plain)),
        "ratio": asdict(Spread.of([y / x for x, y in zip(whole, plain, strict=True)])),
        "selecting": asdict(Spread.of([1 - y / x for x, y in zip(whole, handed, strict=True)])),
        "density": density,
    }


def as_text(row: dict[str, Any]) -> str:
    density = ", ".join(f"{name} {share:.3f}" for name, share in row["density"].items())
    return (
        f"n = {row['n']:<6} {row['pass']:17} {row['pattern']:26} {row['whole']['median'] * 1e3:9.1f} ms"
        f"  {row['ratio']['median']:6.2f} times dense's speed  selecting {row['selecting']['median']:5.0%}"
        f"  density {density}"
    )


if __name__ == "__main__":
    main()
