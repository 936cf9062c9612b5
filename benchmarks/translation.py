"""An encoder-decoder trained from scratch, its cross attention dense or with learned granularity.

    pip install --no-deps django pretix         # their message catalogues are the sentences
    python benchmarks/translation.py [--seeds 0] [--steps 900]

Both kinds start from the same weights and see the same batches. With `library:granular` each pair of blocks of the
two sentences is skipped, pooled or kept whole, as a network decides from their mean query and key. It learns what each
level loses of the layer's attention, while the model learns the task under what it decides (joint training), and a
penalty holds the cost, in dense cross attention, to the budget, shared over layers. Noise and temperature fall over the
training, so that at its end the choice is the one that evaluation makes. Then the held-out sentences are translated
token by token.

`granular_everywhere` has no level that skips. `random`: the frozen control of `granular`, whose levels are drawn once,
at the cost of the budget. `--keep` leaves the rows of other seeds and kinds in the file; rows tell their own settings.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import sacrebleu
import torch
from experiments.encoder_decoder import Read, Translator
from experiments.level_statistics import level_statistics
from experiments.sentence_pairs import PACKAGES, Pair, catalogues, sentences, split, usable, versions
from experiments.subwords import PAD, Batch, Numbers, batches, collate, numbers, subwords
from record import RESULTS, covering, kept_rows, machine, write
from tokenizers import Tokenizer
from torch.nn import functional as F

import patternc as pc
from patternc.runtime.learned.attention import LearnedAttention
from patternc.runtime.selectors import density_penalty, ramp
from patternc.runtime.training import DenseAttention, distillation_loss

KINDS = ("dense", "granular", "granular_everywhere", "random")
OWN = ("steps", "batch", "weight")
"""Settings that the rows of a file may differ in."""

BUDGET = 0.25
"""Of the cost of dense cross attention: what library:granular declares."""


def main() -> None:
    options = _parse()
    torch.set_num_threads(1)
    where, again = machine(), {"seed": options.seeds, "kind": options.kinds}
    results = kept_rows(options.out, OWN, again) if options.keep else []
    train, test = split(usable(_catalogued(options.packages, "de")), options.held_out)
    tokenizer = subwords((side for pair in train for side in (pair.source, pair.target)), options.vocabulary)
    data = {
        "packages": versions(options.packages),
        "train": len(train),
        "held_out": len(test),
        "vocabulary": options.vocabulary,
    }
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    print(f"{len(train)} pairs to train on, {len(test)} held out, of {data['packages']}", flush=True)
    for seed in options.seeds:
        torch.manual_seed(seed)
        start = Translator(tokenizer.get_vocab_size())
        for kind in options.kinds:
            model = copy.deepcopy(start)
            attach(model, kind, seed, options)
            own = {name: getattr(options, name) for name in OWN}
            row = {"seed": seed, "kind": kind, **own} | run(model, seed, train, test, tokenizer, options)
            results.append(row)
            print(as_text(row), flush=True)
            held = covering(settings, results, seeds="seed", kinds="kind")
            write(options.out, "translation", held, [], where, data=data, results=results)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0", help="separated by commas")
    parser.add_argument("--kinds", default=",".join(KINDS), help="of cross attention, separated by commas")
    parser.add_argument("--packages", default=",".join(PACKAGES), help="whose catalogues are read")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch", type=int, default=32, help="sentences in a step")
    parser.add_argument("--held-out", type=int, default=300, help="sentences")
    parser.add_argument("--vocabulary", type=int, default=500, help="of subwords")
    parser.add_argument("--block", type=int, default=8, help="tokens in a block, a multiple of 4")
    parser.add_argument(
        "--weight", type=float, default=4.0, help="of the penalty on the cost, reached at half of the steps"
    )
    parser.add_argument("--keep", action="store_true", help="the rows of other seeds and kinds that the file holds")
    parser.add_argument("--out", type=Path, default=RESULTS / "translation.json")
    options = parser.parse_args()
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    options.kinds, options.packages = options.kinds.split(","), options.packages.split(",")
    return options


def _catalogued(packages: Sequence[str], language: str) -> Iterator[Pair]:
    for package in packages:
        for path in catalogues(package, language):
            yield from sentences(path)


def attach(model: Translator, kind: str, seed: int, options: argparse.Namespace) -> None:
    """Gives each cross attention a selector of its own."""
    if kind == "dense":
        return
    name = "granular" if kind == "random" else kind
    pattern = pc.load("library:granular")[name].bind(block=options.block)
    for number, block in enumerate(model.decoder):
        heads, width = block.cross.heads, block.cross.out.in_features
        control = 1000 * seed + number if kind == "random" else None
        block.cross.pattern = pc.compile(
            pattern, heads=heads, head_dim=width // heads, hidden_size=width, random=control
        )
        block.cross.pattern.detached = control is None  # it learns from the attention itself, not from the task


def run(
    model: Translator,
    seed: int,
    train: Sequence[Pair],
    test: Sequence[Pair],
    tokenizer: Tokenizer,
    options: argparse.Namespace,
) -> dict[str, Any]:
    begin = time.process_time()
    loss = fit(model, numbers(train, tokenizer), seed, options)
    seconds = time.process_time() - begin
    model.eval()
    held_out = numbers(test, tokenizer)
    found = translations(model, held_out, tokenizer)
    metric = sacrebleu.metrics.BLEU()
    score = metric.corpus_score(found, [[pair.target for pair in test]])
    chrf = sacrebleu.corpus_chrf(found, [[pair.target for pair in test]])
    return {
        "bleu": score.score,
        "bleu_signature": str(metric.get_signature()),
        "chrf": chrf.score,
        "training_loss": loss,
        "cpu_seconds_of_training": round(seconds, 1),
        **perplexity_and_levels(model, held_out),
        "examples": [
            {"source": pair.source, "wanted": pair.target, "found": one} for pair, one in zip(test, found, strict=True)
        ][:5],
    }


def fit(model: Translator, rows: Sequence[Numbers], seed: int, options: argparse.Namespace) -> float:
    """Gives the mean loss of the last hundred steps."""
    warm, steps = max(1, options.steps // 10), options.steps
    parameters = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=2e-3, betas=(0.9, 0.98), weight_decay=0.01)
    rate = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda at: min((at + 1) / warm, (1 + math.cos(math.pi * min(1.0, at / steps))) / 2)
    )
    temperature, noise, weight = (
        ramp(1.0, 0.3, steps),
        ramp(1.0, 0.0, steps * 8 // 10 or 1),
        ramp(0.0, options.weight, -(-steps // 2)),
    )
    recent: list[float] = []
    learned = _learned(model)
    model.train()
    for at, batch in zip(range(steps), batches(rows, options.batch, random.Random(seed)), strict=False):
        torch.manual_seed(1_000_000 * seed + at)  # dropout is that of the step, whatever else draws
        for layer in learned:
            selector = layer.learned.selectors["detail"]
            selector.temperature, selector.noise = temperature(at), noise(at)
        logits, reads = model(batch)
        loss = _loss(logits, batch)
        recent = [*recent[-99:], loss.item()]
        if learned:
            loss = loss + _teaching(
                [(layer, read.dense) for layer, read in zip(learned, reads, strict=True)], weight(at)
            )
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        rate.step()
        if at % 200 == 199:
            print(f"  step {at + 1}: loss {sum(recent) / len(recent):.3f}", flush=True)
    return sum(recent) / len(recent)


def _learned(model: Translator) -> list[LearnedAttention]:
    """The cross attention of each layer whose selector learns; all or none."""
    found = [block.cross.pattern for block in model.decoder if block.cross.pattern is not None]
    return [layer for layer in found if not layer.learned.selectors["detail"].scorer.frozen]


def _teaching(layers: Sequence[tuple[LearnedAttention, DenseAttention]], weight: float) -> torch.Tensor:
    """What the levels lose of the attention that they stand for, the mean over layers, and the penalty on their cost,
    which is shared over layers."""
    lost = [distillation_loss(layer.learned.selectors["detail"], dense) for layer, dense in layers]
    spent = [layer.learned.select(dense.inputs.detached())["detail"].density for layer, dense in layers]
    return torch.stack(lost).mean() + weight * density_penalty(spent, BUDGET, two_sided=True)


def _loss(logits: torch.Tensor, batch: Batch, smoothing: float = 0.1) -> torch.Tensor:
    return F.cross_entropy(logits.flatten(0, 1), batch.wanted.flatten(), ignore_index=PAD, label_smoothing=smoothing)


def translations(model: Translator, rows: Sequence[Numbers], tokenizer: Tokenizer, size: int = 50) -> list[str]:
    order = sorted(range(len(rows)), key=lambda at: len(rows[at][0]))
    found = [""] * len(rows)
    for start in range(0, len(order), size):
        places = order[start : start + size]
        batch = collate([rows[at] for at in places])
        longest = min(120, 2 * batch.source.shape[1] + 10)
        for at, row in zip(places, model.translate(batch.source, batch.source_lengths, longest), strict=True):
            found[at] = tokenizer.decode(row).strip()
    return found


@torch.no_grad()
def perplexity_and_levels(model: Translator, rows: Sequence[Numbers]) -> dict[str, Any]:
    """Per token of the held-out sentences, their own words given; of each layer the shares of levels among pairs of
    blocks that exist, their entropy in bits, and the realised cost."""
    total = tokens = 0.0
    layers: list[list[Read]] = []
    for row in rows:  # one by one: without padding every pair of blocks exists
        batch = collate([row])
        logits, reads = model(batch)
        count = int((batch.wanted != PAD).sum())
        total, tokens = total + float(_loss(logits, batch, 0.0)) * count, tokens + count
        layers.append(reads)
    found: dict[str, Any] = {"perplexity": math.exp(total / tokens)}
    if layers[0]:
        found["layers"] = [
            level_statistics([sentence[number].selection for sentence in layers]) for number in range(len(layers[0]))
        ]
    return found


def as_text(row: dict[str, Any]) -> str:
    scores = f"BLEU {row['bleu']:.2f}  chrF {row['chrf']:.2f}  perplexity {row['perplexity']:.2f}"
    lines = [f"seed {row['seed']}  {row['kind']:9} {scores}  {row['cpu_seconds_of_training']} s of training"]
    for number, layer in enumerate(row.get("layers", [])):
        shares = "  ".join(f"{level} {share:.3f}" for level, share in layer["levels"].items())
        lines.append(f"  layer {number}: {shares}  entropy {layer['entropy_bits']:.2f} bits  cost {layer['cost']:.3f}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
