"""How long `patternc check` takes from a cold start: a new process each time, of one file and of the whole library.

    python benchmarks/check_time.py [--runs 10] [--patterns dense,longformer]

"Cold" is a new interpreter; the files of the packages are in the system's cache after the first run, which is told
apart. The two commands take turns.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

from record import RESULTS, Spread, Target, machine, write

from patternc.library import names

ONE = "fixed_factorized"
LIMITS = {"one file": 0.5, "the library": 5.0}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--patterns", default=",".join(names()), help="the library's, parted by commas")
    parser.add_argument("--out", type=Path, default=RESULTS / "check_time.json")
    options = parser.parse_args()
    where, chosen = machine(), options.patterns.split(",")
    commands = {"one file": [f"library:{ONE}"], "the library": [f"library:{name}" for name in chosen]}
    first = {name: check(files) for name, files in commands.items()}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    bare: list[float] = []
    for _ in range(options.runs):
        bare.append(timed([sys.executable, "-c", "pass"]))
        for name, files in commands.items():
            seconds[name].append(check(files))
    spreads = {"an empty Python": Spread.of(bare), **{name: Spread.of(values) for name, values in seconds.items()}}
    print(f"patternc check, {options.runs} runs, seconds: median (min..max); first run")
    for name, spread in spreads.items():
        extra = f"; {first[name]:.3f}" if name in first else ""
        print(f"  {name:16} {spread.median:.3f} ({spread.min:.3f}..{spread.max:.3f}){extra}")
    targets = [Target(f"{name}, seconds", limit, spreads[name].median, False) for name, limit in LIMITS.items()]
    print(*[target.as_text() for target in targets], sep="\n")
    rows = {name: {**asdict(spread), "first": first.get(name)} for name, spread in spreads.items()}
    settings = {"runs": options.runs, "one file": commands["one file"], "the library": commands["the library"]}
    write(options.out, "check_time", settings, targets, where, seconds=rows)


def check(files: list[str]) -> float:
    """Seconds of one command. Raises CalledProcessError where it does not prove everything."""
    return timed([sys.executable, "-c", "from patternc.cli import main; main()", "check", "--quiet", *files])


def timed(command: list[str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
