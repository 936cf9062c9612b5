"""Planning at a million tokens, for every stock pattern, with programs and plans on disk: from text to the first
imported kernel, to the blocks of compose, and what one more length costs. Lowering and planning anew is beside it.

    python benchmarks/plan_time.py [-n 131072,1048576] [--runs 5]

Lowering does not know the length: it ends in a program that is confirmed for every n. A plan for one n is what the
compose engine builds at its first call of that length, in this process or, of a round length, on this machine; to a
length just below it that plan is cut, where the pattern allows. What a plan holds must not grow with n; the peak while
it is built is reported beside it, unless that takes more than five seconds. Of seeded tables the positional part is
measured; what learns runs in a layer, and is left out. Each pattern is measured in a process of its own, whose memory
is limited: one that needs more is reported as such, and ends nothing else.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import resource
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from budget import Item, execute
from plan_time_table import line, targets_of
from record import RESULTS, Spread, machine, write
from stock_patterns import named

from patternc.compiler.cache import fresh
from patternc.compiler.kernels import grids, work
from patternc.compiler.kernels.kernel_file import kernel
from patternc.compiler.lowering.learned import lower_learned, lower_tables
from patternc.compiler.lowering.runnable import refuse_open
from patternc.compiler.lowering.stored import stored
from patternc.compiler.passes.program import Program
from patternc.compiler.pattern import loads
from patternc.library.catalogue import text
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.runtime.engines.compose import routes
from patternc.runtime.engines.compose.plan.diagonal import Diagonals
from patternc.runtime.engines.compose.pricing.machine import this_machine
from patternc.runtime.engines.compose.pricing.price import Heads, Price

WARM_RUNS = 9  # at least: they are short
SLOW = 5.0  # seconds after which a measurement is not repeated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", dest="lengths", default="131072,1048576", help="lengths, separated by commas")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--patterns", help="part of the names, separated by commas; all by default")
    parser.add_argument("--memory", type=float, default=2.0, help="GiB that one pattern may use")
    parser.add_argument("--seconds", type=float, default=60.0, help="that one pattern may take")
    parser.add_argument("--out", type=Path, default=RESULTS / "plan_time.json")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)  # FILE PATTERN: measure here, print JSON
    options = parser.parse_args()
    options.lengths = [int(n) for n in options.lengths.split(",")]
    if options.one:
        print(json.dumps(measure(*options.one, options.lengths, options.runs, options.memory)))
        return
    where, rows = machine(), []
    print(f"{'pattern':24}{'lower ms':>10}{'first':>8}{'warm':>8}  per length: plan ms, held bytes, peak bytes, blocks")
    for file, name in named(options.patterns):
        rows.append(_apart(file, name, options))
        print(line(rows[-1]), flush=True)
    targets = [target for row in rows for target in targets_of(row)]
    print("\n" + "\n".join(target.as_text() for target in targets if not target.met))
    print(f"{sum(target.met for target in targets)} of {len(targets)} targets met")
    settings = {"lengths": options.lengths, "runs": options.runs, "memory_gib": options.memory}
    write(options.out, "plan_time", settings, targets, where, patterns=rows)


def _apart(file: str, name: str, options: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--one", file, name, "--runs", str(options.runs)]
    command += ["-n", ",".join(map(str, options.lengths)), "--memory", str(options.memory)]
    done = execute(Item(name, tuple(command), options.seconds))
    return {"pattern": name, **({"failed": done.word[:200]} if done.word else json.loads(done.text))}


def measure(file: str, name: str, lengths: list[int], runs: int, memory: float) -> dict[str, Any]:
    """One pattern, in this process, whose memory is limited from here on."""
    limit = int(memory * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    source = text(file)
    try:
        refuse_open(loads(source)[name].bound.union)
    except PatternError:
        return {"left_out": "what it learns runs in a layer"}
    this_machine("float32")  # from the user's cache: below there is an empty one
    with TemporaryDirectory() as folder:
        os.environ["PATTERNC_CACHE_DIR"] = folder
        return measured(source, name, lengths, runs, memory)


def measured(source: str, name: str, lengths: list[int], runs: int, memory: float) -> dict[str, Any]:
    """The same, of a text, with an empty cache."""
    with fresh():
        first = timed(lambda: program_of(source, name))
        lowered = repeated(lambda: program_of(source, name), runs) if first < SLOW else [first]
    program, plans = program_of(source, name), []
    for n in lengths:
        try:
            plans.append(plan(program, n, runs))
        except MemoryError as error:  # numpy's is one: it says how much it wanted
            plans.append({"n": n, "failed": f"out of {memory:g} GiB: {error}"})
    to_program, to_first, to_all = warm(source, name, runs)
    return {
        "lower_first_seconds": first,
        "lower_seconds": asdict(Spread.of(lowered)),
        "warm_program_seconds": asdict(Spread.of(to_program)),
        "warm_seconds": asdict(Spread.of(to_first)),
        "warm_all_seconds": asdict(Spread.of(to_all)),
        "terms": len(program.terms),
        "plans": plans,
    }


def timed(run: Callable[[], object]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def repeated(run: Callable[[], object], runs: int) -> list[float]:
    """Seconds of so many runs, of fewer where they are slow."""
    seconds: list[float] = []
    while len(seconds) < runs and sum(seconds) < SLOW:
        seconds.append(timed(run))
    return seconds


def program_of(source: str, name: str) -> Program:
    """What a pattern has of positional pairs, from its text."""
    lower_learned.cache_clear()
    bound = loads(source)[name].bound
    beside_table = lower_tables(bound.union, bound.direction, name)
    if beside_table is None:
        return stored(bound.union, bound.direction, name)
    assert beside_table.positional is not None  # every stock pattern has some
    return beside_table.positional


def warm(source: str, name: str, runs: int) -> tuple[list[float], list[float], list[float]]:
    """Seconds from text to the program, to the first imported kernel of a forward pass, which is launched before the
    next is imported, and to all of them; all on disk from the first, uncounted run. Triton's own search for a binary,
    which needs a GPU, is not in it; nor is a collection of the garbage that lowering and planning left in this process,
    40 to 100 ms in whichever run it falls."""
    found: list[tuple[float, float, float]] = []
    sys.dont_write_bytecode = False  # as Python is; where a machine says otherwise, each import would compile anew
    gc.collect()
    gc.freeze()
    for _ in range(1 + max(runs, WARM_RUNS)):
        for module in [known for known in sys.modules if known.startswith("patternc_generated.")]:
            del sys.modules[module]
        begin = time.perf_counter()
        program = program_of(source, name)
        times = [time.perf_counter() - begin]
        for index in range(len(program.forward)):
            kernel(program, "forward", index)
            times.append(time.perf_counter() - begin)
        found.append((times[0], times[1], times[-1]))
    to_program, to_first, to_all = zip(*found[1:], strict=True)
    return list(to_program), list(to_first), list(to_all)


def new_length(program: Program, n: int) -> None:
    """What the triton engine finds on the host for a forward pass of a length it has not seen: which tiles are shared
    out, for 32 heads on 132 processors, and the grids of the kernels."""
    for index, own in enumerate(program.forward):
        work.split(work.swept_tiles(program, "forward", index, n, n), 0, 32, 1, 132)
        grids.query_blocks(own.order, 128, n, 0, n)


def plan(program: Program, n: int, runs: int) -> dict[str, Any]:
    """Seconds, anew and from the disk, bytes and blocks of the plan for one length, and seconds for lengths just below
    it."""
    price = Price(this_machine("float32"), Heads(batch=1, keys=4, group=1, dim=64), torch.get_num_threads())

    def build() -> routes.Route:
        return routes.plan(program, n, n, price, torch.float32)

    def find(length: int) -> routes.Route:
        return routes.find_route(program, length, length, price, torch.float32)

    anew = [timed(build)]  # and kept on disk
    if anew[0] < SLOW:
        with fresh():
            anew = repeated(build, runs)
    seconds = repeated(build, runs)
    route, shorter = find(n), itertools.count(n - 1, -1)
    others = repeated(lambda: find(next(shorter)), runs)
    held = {id(table): table.nbytes for table in tables(route.stages)}
    peak = max(traced_peak(build), sum(held.values())) if anew[0] < SLOW else None
    return {
        "n": n,
        "launch_seconds": asdict(Spread.of(repeated(lambda: new_length(program, n), runs))),
        "anew_seconds": asdict(Spread.of(anew)),
        "seconds": asdict(Spread.of(seconds)),
        "other_seconds": asdict(Spread.of(others)),
        "held_bytes": sum(held.values()),
        "peak_bytes": peak,
        "blocks": sum(len(stage.each if isinstance(stage, Diagonals) else stage.batches) for stage in route.stages),
    }


def traced_peak(build: Callable[[], object]) -> int:
    """Bytes of Python's and numpy's allocations while a plan is built anew, several times as slowly; torch's are not
    traced, and count where they are held."""
    tracemalloc.start()
    with fresh():
        build()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def tables(value: object) -> Iterator[np.ndarray[Any, Any] | torch.Tensor]:
    """Every array and tensor within dataclasses and tuples; of an expanded one, what it is a view of."""
    if isinstance(value, np.ndarray):
        yield value if value.base is None or not isinstance(value.base, np.ndarray) else value.base
    elif isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from tables(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from tables(getattr(value, field.name))


if __name__ == "__main__":
    main()
