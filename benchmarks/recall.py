"""Multi-query associative recall by two layers of attention, dense and at a tenth of the pairs (Arora et al. 2023).

    python benchmarks/recall.py [--seeds 0,1,2]        # about six minutes of one core for each seed

A dense model is trained; then its attention is replaced, in all layers, by patterns that read at most 10 % of the
causal pairs. What chooses them is the only difference:

- `distilled`: an indexer that has learned to rank keys as the dense model attends, the model frozen;
- `end to end`: an indexer and the model trained on the task together, from the dense weights, without distillation;
- `random`: the frozen control, with the dense weights and after training the model under it for as many steps;
- `local`: a window of the same density, likewise;
- oracles: the keys of the greatest dense attention; the key that holds the answer.

`--steps` and `--tune` shorten it. `--tile 8` makes eight queries share their keys, which a causal pattern has to choose
when the first of them arrives: it cannot know what the others will ask.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from experiments.associative_recall import Task, draw
from experiments.recall_model import RecallModel, correct
from experiments.recall_subjects import MODULE, SHARE, Answers, DenseScores, budget, density, learned, positional
from experiments.recall_training import curriculum, distil, train
from record import RESULTS, Spread, Target, machine, write

REACHED = 0.95
"""Of the dense model's accuracy, what a learned selector is to reach."""

Subject = tuple[str, RecallModel, Answers | None]


def main() -> None:
    options = _parse()
    torch.set_num_threads(1)
    where, results = machine(), []
    for seed in options.seeds:
        for row in run(seed, options):
            results.append(row)
            print(as_text(row), flush=True)
        report(results, where, options)  # after each seed: one that is not reached is not lost with the others


def report(results: list[dict[str, Any]], where: dict[str, Any], options: argparse.Namespace) -> None:
    summary = list(_summary(results))
    found = [row["of_dense"]["min"] for row in summary if row["subject"] == "distilled"]
    targets = [Target("distilled: accuracy, of dense, in the worst seed", REACHED, least, True) for least in found]
    print(*[target.as_text() for target in targets], sep="\n")
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    write(options.out, "recall", settings | {"share": SHARE}, targets, where, results=results, summary=summary)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0,1,2", help="separated by commas")
    parser.add_argument("-n", "--length", type=int, default=512)
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--kinds", type=int, default=128, help="of keys, of values, and of fillers")
    parser.add_argument("--steps", type=int, default=1000, help="of the dense model")
    parser.add_argument("--distil", type=int, default=400, help="steps of distillation")
    parser.add_argument("--tune", type=int, default=40, help="steps of training under a pattern")
    parser.add_argument("--tile", type=int, default=1, help="queries that share their keys")
    parser.add_argument(
        "--subjects", default="", help="part of the names, separated by commas, beside dense; all by default"
    )
    parser.add_argument("--examples", type=int, default=32, help="sequences to test on")
    parser.add_argument("--out", type=Path, default=RESULTS / "recall.json")
    options = parser.parse_args()
    options.seeds, options.subjects = [int(seed) for seed in options.seeds.split(",")], options.subjects.split(",")
    return options


def run(seed: int, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One row for each subject."""
    torch.manual_seed(seed)
    task = Task(options.length, options.pairs, options.kinds)
    dense = RecallModel(task.vocabulary, task.kinds)
    generator = torch.Generator().manual_seed(seed)
    begin = time.process_time()
    train(dense, curriculum(task, options.steps), generator)
    yield _row(seed, "dense", dense, None, task, options, time.process_time() - begin)
    for name, make in _subjects(seed, task, options, generator):
        if not any(part in name for part in options.subjects):
            continue
        begin, model = time.process_time(), copy.deepcopy(dense)
        told = make(model)
        yield _row(seed, name, model, told, task, options, time.process_time() - begin)


def _subjects(
    seed: int, task: Task, options: argparse.Namespace, generator: torch.Generator
) -> Iterator[tuple[str, Callable[[RecallModel], Answers | None]]]:
    """What is made of a copy of the dense model; what an oracle is told, if it is one."""
    most = budget(task.length, SHARE)
    chosen = MODULE["recall"].bind(w=2, k=most - 2, tile=options.tile)
    near = MODULE["near"].bind(w=most)

    def distilled(model: RecallModel) -> None:
        learned(model, chosen)
        distil(model, curriculum(task, options.distil), generator)

    def tuned(make: Callable[[RecallModel], None]) -> Callable[[RecallModel], None]:
        def made(model: RecallModel) -> None:
            make(model)
            train(model, [(task, 8, options.tune)], generator, rate=1e-3)

        return made

    def frozen(model: RecallModel) -> None:
        learned(model, chosen, random=seed)

    def local(model: RecallModel) -> None:
        positional(model, near)

    def by_attention(model: RecallModel) -> None:
        learned(model, chosen, scorer=DenseScores())

    def by_answer(model: RecallModel) -> Answers:
        told = Answers()
        learned(model, chosen, scorer=told)
        return told

    yield "distilled", distilled
    yield "end to end", tuned(lambda model: learned(model, chosen))
    yield "random", frozen
    yield "random, trained under it", tuned(frozen)
    yield "local", local
    yield "local, trained under it", tuned(local)
    yield "oracle: dense attention", by_attention
    if options.tile == 1:
        yield "oracle: the answer's place", by_answer


@torch.no_grad()
def _row(
    seed: int,
    subject: str,
    model: RecallModel,
    told: Answers | None,
    task: Task,
    options: argparse.Namespace,
    seconds: float,
) -> dict[str, Any]:
    """Accuracy and realised density on sequences that no training has drawn: the same for every subject."""
    generator = torch.Generator().manual_seed(10_000 + seed)
    right = asked = 0
    densities: list[list[float]] = []
    model.eval()
    for _ in range(-(-options.examples // 8)):
        examples = draw(task, min(8, options.examples), generator)
        if told is not None:
            told.places = examples.places
        logits, seen = model(examples.tokens)
        found = correct(logits, examples.answers)
        right, asked = right + found[0], asked + found[1]
        densities.append([density(layer, one) for layer, one in zip(model.layers, seen, strict=True)])
    per_layer = torch.tensor(densities).mean(0).tolist()
    return {
        "seed": seed,
        "subject": subject,
        "accuracy": right / asked,
        "questions": asked,
        "density": per_layer,
        "cpu_seconds_of_training": round(seconds, 1),
    }


def _summary(results: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Of each subject over the seeds: accuracy, and its ratio to the dense model of the same seed."""
    dense = {row["seed"]: row["accuracy"] for row in results if row["subject"] == "dense"}
    for subject in dict.fromkeys(row["subject"] for row in results):
        rows = [row for row in results if row["subject"] == subject]
        yield {
            "subject": subject,
            "accuracy": asdict(Spread.of([row["accuracy"] for row in rows])),
            "of_dense": asdict(Spread.of([row["accuracy"] / dense[row["seed"]] for row in rows])),
            "density": max(max(row["density"]) for row in rows),
        }


def as_text(row: dict[str, Any]) -> str:
    density = ", ".join(f"{each:.3f}" for each in row["density"])
    return f"seed {row['seed']}  {row['subject']:28} accuracy {row['accuracy']:.4f}  density {density}"


if __name__ == "__main__":
    main()
