"""Ten thousand random patterns against brute force, and as many texts against the parser, in one run each.

    python benchmarks/fuzz.py [--examples 10000] [--seed 0] [--only relations,texts,edits]

    relations   the closed form of a random relation or formula, its bounds MUST and MAY where selections decide it and
                one random choice of them, against the brute-force evaluator, at n <= 48
    texts       arbitrary bytes, and words of the language in any order
    edits       stock files, the prelude, the documents' examples and generated files, with random edits

A text must become a tree, and then patterns that bind or diagnostics; or diagnostics alone. Every place that one points
at must lie inside its file. A failure is shrunk, printed and written down, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from record import RESULTS, Target, machine, write

from patternc.compiler.pattern import loads
from patternc.library import catalogue
from patternc.patterns_dsl.builtin.prelude import prelude
from patternc.patterns_dsl.syntax import Direction
from patternc.testing import formulas, modules, vocabulary
from patternc.testing.reading import reading
from patternc.testing.text.scrambled import arbitrary, edited, soups
from patternc.testing.verify.closed_form import ChosenExample, ClosedForm, chosen
from patternc.testing.verify.property import Undecided
from patternc.testing.verify.search import judge, nothing_written, tries

LIMIT = 1.0
"""Seconds that reading one text may take."""

LONGEST = 48


@dataclass
class Tally:
    """What happened in one part of the run. ``worst``: the slowest example, in seconds of the processor."""

    examples: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    worst: float = 0.0
    worst_text: str = ""
    failure: str = ""
    failing_text: str = ""

    def note(self, seconds: float, text: str, *counts: str) -> None:
        self.examples += 1
        self.counts.update(counts)
        if seconds > self.worst:
            self.worst, self.worst_text = seconds, text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--out", type=Path, default=RESULTS / "fuzz.json")
    options = parser.parse_args()
    where, parts = machine(), {name: PARTS[name] for name in options.only.split(",")}
    reading(b"pattern p causal { step self }")  # the grammar is read once
    tallies, targets, rows = {}, [], {}
    for name, part in parts.items():
        begun = time.perf_counter()
        tally = tallies[name] = part(options.examples, options.seed)
        seconds = time.perf_counter() - begun
        print(f"{name}: {tally.examples} examples in {seconds:.0f} s, seed {options.seed}; slowest {tally.worst:.3f} s")
        print(*(f"  {count:6}  {what}" for what, count in sorted(tally.counts.items())), sep="\n", flush=True)
        if tally.failure:
            print(f"  FAILED: {tally.failure}\n{tally.failing_text}")
        targets.append(Target(f"{name}: failures", 0, bool(tally.failure), False))
        if name != "relations":
            targets.append(Target(f"{name}: slowest, seconds", LIMIT, tally.worst, False))
        rows[name] = {"seconds": round(seconds, 1), **vars(tally), "counts": dict(sorted(tally.counts.items()))}
    print(*[target.as_text() for target in targets], sep="\n")
    write(options.out, "fuzz", {"examples": options.examples, "seed": options.seed}, targets, where, parts=rows)
    sys.exit(any(tally.failure for tally in tallies.values()))


def run(
    strategy: st.SearchStrategy[Any], test: Callable[[Any], None], examples: int, seed: int
) -> BaseException | None:
    """Try the examples; the error of the smallest that fails, if one does."""

    @tries(examples, seed)
    @given(strategy)
    def each(value: Any) -> None:
        test(value)

    with nothing_written():
        try:
            each()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this script looks for
            return error
    return None


# --- relations ---


@st.composite
def relation_examples(draw: st.DrawFn) -> ChosenExample:
    """A file of any direction whose step is a formula or a tree of operators, at a length, with a choice."""
    direction = draw(st.sampled_from(list(Direction)))
    if draw(st.booleans()):
        formula = draw(formulas(vocabulary(direction).within("i", "j"), 4))
        module = loads(f"pattern p {direction} {{ step {{ (i, j) : {formula} }} }}")
    else:
        module = draw(modules(direction=direction, learned=True, claims=False, depth=4))
    n = draw(st.integers(1, LONGEST))
    nk = draw(st.integers(1, LONGEST)) if direction is Direction.CROSS else None
    return draw(chosen(ChosenExample(module["p"], n, nk)))


def relations(examples: int, seed: int) -> Tally:
    tally, prop = Tally(), ClosedForm()

    def test(example: ChosenExample) -> None:
        text, begun = example.pattern.module.source.text, time.process_time()
        kind = "open, with a choice" if example.picks else "closed"
        try:
            judge(prop, example)
        except Undecided:
            kind = "beyond the budget"
        except AssertionError:
            tally.failing_text = f"{text}at {example.described()}"
            raise
        tally.note(time.process_time() - begun, text, kind, str(example.pattern.direction))

    error = run(relation_examples(), test, examples, seed)
    tally.failure = "" if error is None else f"{type(error).__name__}: {error}"
    return tally


# --- texts ---


def corpus() -> list[str]:
    """Files to spoil: all that are written by hand, and some that are generated."""
    documents = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
    blocks = [block for path in documents for block in re.findall(r"```pat\n(.*?)```", path.read_text(), re.DOTALL)]
    generated: list[str] = []
    run(modules(learned=True, plans=1), lambda module: generated.append(module.source.text), 40, 0)
    return [*map(catalogue.text, catalogue.names()), prelude().span.source.text, *blocks, *generated]


def read_all(strategy: st.SearchStrategy[bytes], examples: int, seed: int) -> Tally:
    tally = Tally()

    def test(content: bytes) -> None:
        tally.failing_text = repr(content)
        found = reading(content)
        tally.note(found.seconds, content.decode(errors="replace"), found.stage, *dict.fromkeys(found.codes))

    error = run(strategy, test, examples, seed)
    tally.failure = "" if error is None else f"{type(error).__name__}: {error}"
    tally.failing_text = tally.failing_text if error is not None else ""
    return tally


PARTS: dict[str, Callable[[int, int], Tally]] = {
    "relations": relations,
    "texts": lambda examples, seed: read_all(arbitrary() | soups(), examples, seed),
    "edits": lambda examples, seed: read_all(edited(corpus()), examples, seed),
}

if __name__ == "__main__":
    main()
