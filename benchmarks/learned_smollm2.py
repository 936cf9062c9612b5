"""SmolLM2-135M, frozen, with key blocks chosen by distilled selectors: perplexity beside dense attention and controls.

    python benchmarks/learned_smollm2.py [--seeds 0,1,2] [--length 2048] [--steps 60] [--minutes 28] [--resume]

The text is Python's reference manual: the selectors are distilled on its front, and its end is held out. Each layer
reads a window, and for each key head and each 2 queries the best blocks of 2 keys, the first one and the queries' own
among them, as many as the density has room for beside the window. A block of queries chooses when its first token
arrives, and what its others look for may lie elsewhere: quality asks for small blocks.

Beside it, at equal density: a window with four sinks, a frozen random choice of blocks for each seed, and blocks that
are chosen by mean queries and keys, with nothing learned. `--minutes` ends the training of a seed early. A run that was
interrupted goes on with `--resume`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from itertools import count, takewhile
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from record import RESULTS, Target, machine, write
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor

import patternc as pc
from patternc.runtime.models.demo_model import demo_text, load_demo_model
from patternc.runtime.training import ControlRow, Recipe, StepRecord, compare, train

PATTERN = """
pattern hybrid(k: int, b: int, w: int) causal {
    learn hot = topk_blocks(k = k, block = b, forced = [first, diagonal])
    step local(w) | select(hot)
}
pattern by_means(k: int, b: int, w: int) causal {
    learn hot = topk_blocks(k = k, block = b, forced = [first, diagonal], scores = pooled)
    step local(w) | select(hot)
}
"""
ROOM = 1.05
"""Times the perplexity of dense attention that is aimed at."""


def main() -> None:
    options = _parse()
    where, begin = machine(), time.perf_counter()
    torch.set_num_threads(options.threads)
    model, tokenizer = load_demo_model()
    model.requires_grad_(False)
    training, held_out = _texts(tokenizer, options)
    print(f"{len(training)} windows of {options.length} tokens, {len(held_out)} tokens held out", flush=True)
    seeds = []
    for seed in options.seeds:
        seeds.append(_seed(model, training, held_out, seed, options))
        print(_table(seeds[-1]["rows"]), flush=True)
    means = asdict(_by_means(model, held_out, options))
    print(_table([means]), flush=True)
    targets = _targets(seeds, options.density)
    print(*[target.as_text() for target in targets], sep="\n")
    print(f"{(time.perf_counter() - begin) / 60:.0f} minutes")
    write(options.out, "learned_smollm2", _settings(options), targets, where, seeds=seeds, by_means=means)


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    names = ("length", "steps", "minutes", "density", "window", "block", "rate", "held_out", "threads")
    return {name: getattr(options, name) for name in names} | {"k": _choices(options)}


def _pattern(name: str, options: argparse.Namespace) -> pc.Pattern:
    return pc.loads(PATTERN)[name].bind(k=_choices(options), b=options.block, w=options.window)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas: one training for each")
    parser.add_argument("--length", type=int, default=2048, help="tokens of a window")
    parser.add_argument("--steps", type=int, default=60, help="of training, one window each")
    parser.add_argument("--minutes", type=float, default=28.0, help="of training at most, for each seed")
    parser.add_argument("--density", type=float, default=0.25, help="of all pairs, at most")
    parser.add_argument("--window", type=int, default=64, help="tokens that are always read")
    parser.add_argument("--block", type=int, default=2, help="tokens in a block of keys, and of queries")
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--held-out", type=int, default=8, help="windows to evaluate on")
    parser.add_argument("--threads", type=int, default=2, help="of torch")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoints, and keep finished seeds")
    parser.add_argument("--checkpoints", type=Path, default=Path("out/learned_smollm2"), help="their folder")
    parser.add_argument("--out", type=Path, default=RESULTS / "learned_smollm2.json")
    options = parser.parse_args()
    if options.window < options.block:
        parser.error(f"--window {options.window} does not hold a block of {options.block}")
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    return options


def _texts(tokenizer: Any, options: argparse.Namespace) -> tuple[list[Tensor], Tensor]:
    """(windows [1, N] to distil on, the tokens held out, which come behind them in the text)."""
    ids = torch.tensor(tokenizer(demo_text(), add_special_tokens=False, verbose=False)["input_ids"])
    held = options.held_out * options.length
    if len(ids) < held + options.length:
        sys.exit(f"the text has {len(ids)} tokens: hold out fewer windows, or shorter ones")
    windows = ids[:-held].unfold(0, options.length, options.length)
    return [window[None].clone() for window in windows], ids[-held:]


def _choices(options: argparse.Namespace) -> int:
    """The most blocks for each block of queries at which no more than the density is read, the forced two at least."""
    fitting = takewhile(lambda k: _read(options.length, k, options.window, options.block) <= options.density, count(2))
    most = max(fitting, default=0)
    if most == 0:
        sys.exit(
            f"a window of {options.window} and two blocks read more: give a smaller --window, or a greater --density"
        )
    return most


def _read(n: int, k: int, w: int, block: int) -> float:
    """At most the share of causal pairs that is read: k blocks without those within the window, and the window."""
    pairs = 0
    for i in range(n):
        near = min(i + 1, w)
        # The queries' own block lies in the window; every other one that is chosen may lie outside of it.
        pairs += near + min(i + 1 - near, (min(k, i // block + 1) - 1) * block)
    return pairs / (n * (n + 1) / 2)


def _seed(
    model: Any, training: list[Tensor], held_out: Tensor, seed: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Rows on the held-out text, and the report of the training with its seconds."""
    done = options.checkpoints / f"seed{seed}.json"
    if options.resume and done.exists():
        known: dict[str, Any] = json.loads(done.read_text(encoding="utf-8"))
        if known["settings"] == _settings(options):
            return known
    torch.manual_seed(seed)
    handle = pc.attach(model, _pattern("hybrid", options))
    recipe = Recipe(
        steps=options.steps, seed=seed, rate=options.rate, pool="sum", measure_every=max(1, options.steps // 2)
    )
    with _bar() as bar, handle:
        task, begin = bar.add_task(f"seed {seed}", total=options.steps), time.perf_counter()

        def on_step(record: StepRecord) -> bool:
            bar.update(task, completed=record.step + 1, description=f"seed {seed}: loss {record.total:.4f}")
            if record.density:
                read, mass = fmean(record.density.values()), fmean(record.coverage.values())
                bar.console.print(
                    f"step {record.step + 1}: loss {record.total:.4f}, {read:.1%} read, {mass:.1%} covered"
                )
            return time.perf_counter() - begin > 60 * options.minutes

        file = options.checkpoints / f"seed{seed}.pt"
        resume = options.resume and file.exists()
        report = train(handle, training, recipe, checkpoint=file, resume=resume, every=5, on_step=on_step)

        def say(step: str) -> None:
            bar.update(task, description=step)

        rows = compare(handle, held_out, window=options.length, seeds=[seed], say=say)
    found = {
        "seed": seed, "settings": _settings(options), "seconds": report.seconds, "rows": [asdict(row) for row in rows],
        "training": asdict(report),
    }  # fmt: skip
    done.write_text(json.dumps(found), encoding="utf-8")
    return found


def _by_means(model: Any, held_out: Tensor, options: argparse.Namespace) -> ControlRow:
    with pc.attach(model, _pattern("by_means", options)) as handle:
        _, row, _ = compare(handle, held_out, window=options.length, seeds=[])
    return row


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )


def _targets(seeds: Sequence[dict[str, Any]], density: float) -> list[Target]:
    found = []
    for each in seeds:
        dense, learned, chance, positional = (row["perplexity"] for row in each["rows"])
        name = f"seed {each['seed']}"
        found += [
            Target(f"{name}: learned perplexity over dense", ROOM, learned / dense, False),
            Target(f"{name}: learned perplexity over streaming", 1.0, learned / positional, False),
            Target(f"{name}: learned perplexity over frozen random", 1.0, learned / chance, False),
            Target(f"{name}: density", density, each["rows"][1]["density"], False),
            Target(f"{name}: minutes of training", 30.0, each["seconds"] / 60, False),
        ]
    return found


def _table(rows: Sequence[dict[str, Any]]) -> str:
    width = max(len(row["name"]) for row in rows)
    return "\n".join(
        f"{row['name']:{width}}  {row['perplexity']:8.3f}  {row['density']:6.1%}"
        + ("" if row["coverage"] is None else f"  {row['coverage']:6.1%} covered")
        for row in rows
    )


if __name__ == "__main__":
    main()
