"""What processes send each other when a sequence is divided among them, for every stock pattern of one sequence.

    python benchmarks/exchange.py [-n 65536] [--processes 8] [--patterns longformer,fixed]

Counted from the plans that every process makes for itself (runtime/distributed/exchange.py): tokens whose keys and
values a process receives from others, all together, and beside the tokens that it would receive if each had all (an
all-gather), or all before its last (of causal patterns); the same for processes with two runs of tokens each (zigzag).
``busiest``: the pairs of the process that has the most, times the mean, by brute force at 8,192 tokens where that is
fast. Nothing is sent here. Of patterns that learn no plan is made.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from record import RESULTS, machine, write
from stock_patterns import stock

import patternc as pc
from patternc.compiler.relations.settle import opens
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.distributed.division import Division
from patternc.runtime.distributed.exchange import plan
from patternc.runtime.engines.engine import Meaning
from patternc.runtime.models.attaching.programs import is_learned

COUNTED, TRIED = 8192, 512
SLOW = 3.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", dest="length", type=int, default=65536)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--patterns", help="part of the names, separated by commas; all by default")
    parser.add_argument("--out", type=Path, default=RESULTS / "exchange.json")
    options = parser.parse_args()
    where, results = machine(), []
    for name, pattern in stock(options.patterns):
        if pattern.direction is not Direction.CROSS and not is_learned(pattern):
            results.append({"pattern": name, **count(pattern, options.length, options.processes)})
            print(as_text(results[-1]), flush=True)
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    write(options.out, "exchange", settings, [], where, results=results)


def count(pattern: pc.Pattern, n: int, processes: int) -> dict[str, Any]:
    meaning = Meaning(pattern.bound.union, pattern.bound.direction)
    found: dict[str, Any] = {}
    pairs = pairs_of_each(pattern)
    for order, zigzag in (("runs", False), ("zigzag", True)):
        division = Division.even(n, processes, zigzag=zigzag)
        received, all_of_them, seconds = [], 0, []
        for rank in range(processes):
            begun = time.perf_counter()
            exchange = plan([meaning], division, rank)
            seconds.append(time.perf_counter() - begun)
            received.append(sum(len(tokens) for owner, tokens in enumerate(exchange.receive) if owner != rank))
            last = max((run.stop for run in exchange.runs if run), default=0)
            all_of_them += (last if pattern.direction is Direction.CAUSAL else n) - sum(map(len, exchange.runs))
        share = sum(received) / all_of_them if all_of_them else 0.0
        found[order] = {"received": received, "all": all_of_them, "share": share, "plan_seconds": seconds}
        if pairs is not None:
            division = Division.even(COUNTED, processes, zigzag=zigzag)
            each = [int(pairs[division.places(rank)].sum()) for rank in range(processes)]
            found[order]["busiest"] = max(each) * processes / sum(each)
    return found


def pairs_of_each(pattern: pc.Pattern) -> NDArray[np.int64] | None:
    """Of each query of ``COUNTED``, by brute force; None where that would take longer than ``SLOW``, or documents
    decide."""
    if opens(pattern.bound.union):
        return None
    begun = time.perf_counter()
    pattern.mask(TRIED)
    if (time.perf_counter() - begun) * (COUNTED / TRIED) ** 2 > SLOW:
        return None
    counts: NDArray[np.int64] = pattern.mask(COUNTED).sum(1).numpy()
    return counts


def as_text(row: dict[str, Any]) -> str:
    runs, zigzag = row["runs"], row["zigzag"]
    first, *others = runs["plan_seconds"]
    busiest = f"busiest {runs['busiest']:.2f} and {zigzag['busiest']:.2f}; " if "busiest" in runs else ""
    return (
        f"{row['pattern']:30} {sum(runs['received']):8} of {runs['all']:8} tokens ({runs['share']:6.1%}), zigzag"
        f" {sum(zigzag['received']):8}; {busiest}plan {first * 1e3:6.1f} ms, then {max(others) * 1e3:.1f}"
    )


if __name__ == "__main__":
    main()
