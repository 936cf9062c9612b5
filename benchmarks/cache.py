"""A real model that generates with a cache that drops what its pattern no longer reads, beside transformers' own.

    python benchmarks/cache.py [-n 2048,8000] [--patterns streaming,fixed_factorized] [--clock thread]

SmolLM2-135M in float32 on a CPU, attached to a stock pattern; behind n tokens that are read at once come others, one at
a time. Both caches take turns; told is the time of one token, and what the cache occupies behind the last: storage of
keys and values with its spare room, and the room in which kept keys are laid out. The logits of both are compared.
Needs the demo's model (`make demo`).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from record import RESULTS, Spread, machine, write
from stock_patterns import stock

import patternc as pc
from patternc.runtime.models.caches.evicting import EvictingLayer
from patternc.runtime.models.demo_model import DemoError, demo_tokens, load_demo_model

PATTERNS = "sliding_window,streaming,fixed_factorized,powerattention,logsparse"
OWN, OURS = "DynamicCache", "handle.cache()"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", dest="lengths", default="2048,8000", help="separated by commas")
    parser.add_argument("--patterns", default=PATTERNS, help="names, separated by commas")
    parser.add_argument("--clock", choices=["wall", "thread"], default="wall")
    parser.add_argument("--tokens", type=int, default=16, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "cache.json")
    options = parser.parse_args()
    options.lengths = sorted(int(n) for n in options.lengths.split(","))
    torch.set_num_threads(1 if options.clock == "thread" else torch.get_num_threads())
    where, results = machine(), []
    try:
        model, tokenizer = load_demo_model(torch.float32)
    except DemoError as missing:
        parser.exit(2, f"{missing}\n")
    ids = torch.tensor([demo_tokens(tokenizer, options.lengths[-1] + (options.rounds + 1) * options.tokens)])
    names = options.patterns.split(",")
    for name, pattern in stock(options.patterns):
        if name in names:
            with pc.attach(model, pattern) as handle:
                for n in options.lengths:
                    results.append({"pattern": name, "n": n, **measure(model, handle, ids, n, options)})
                    print(as_text(results[-1]), flush=True)
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    write(options.out, "cache", {**settings, "threads": torch.get_num_threads()}, [], where, results=results)


@torch.no_grad()
def measure(model: Any, handle: Any, ids: torch.Tensor, n: int, options: argparse.Namespace) -> dict[str, Any]:
    caches = {OWN: transformers.DynamicCache(), OURS: handle.cache()}
    for cache in caches.values():
        model(ids[:, :n], past_key_values=cache, logits_to_keep=1)
    clock = time.thread_time if options.clock == "thread" else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in caches}
    logits: dict[str, list[torch.Tensor]] = {name: [] for name in caches}
    for each in range(options.rounds + 1):
        for name, cache in caches.items():
            begin, first = clock(), n + each * options.tokens
            for place in range(first, first + options.tokens):
                logits[name].append(model(ids[:, place : place + 1], past_key_values=cache).logits)
            if each:  # the first round warms up
                seconds[name].append((clock() - begin) / options.tokens)
    difference = max((own - ours).abs().max().item() for own, ours in zip(logits[OWN], logits[OURS], strict=True))
    ratios = [ours / own for ours, own in zip(seconds[OURS], seconds[OWN], strict=True)]
    return {
        "tokens": caches[OURS].get_seq_length(),
        "held": [int(layer.keys.shape[-2]) for layer in caches[OURS].layers],
        "bytes": {name: occupied(cache) for name, cache in caches.items()},
        "token": {name: asdict(Spread.of(seconds[name])) for name in caches},
        "by_own": asdict(Spread.of(ratios)),
        "logit_difference": difference,
    }


def occupied(cache: transformers.Cache) -> int:
    """Bytes of all storage that the cache keeps alive."""
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in _tensors(cache)}
    return sum(storages.values())


def _tensors(cache: transformers.Cache) -> Iterator[torch.Tensor]:
    for layer in cache.layers:
        yield from (layer.keys, layer.values)
        if isinstance(layer, EvictingLayer):
            yield from (room.tensor for room in layer.rooms if room.tensor is not None)


def as_text(row: dict[str, Any]) -> str:
    own, ours = (row["bytes"][name] / 2**20 for name in (OWN, OURS))
    token, ratio = row["token"], row["by_own"]
    return (
        f"{row['pattern']:18} {row['tokens']:6} tokens, held {max(row['held']):5}: {ours:6.1f} MiB for {own:6.1f},"
        f" {token[OURS]['median'] * 1e3:6.1f} ms a token for {token[OWN]['median'] * 1e3:6.1f}"
        f" ({ratio['median']:.2f}, {ratio['min']:.2f}..{ratio['max']:.2f}), logits {row['logit_difference']:.1e} apart"
    )


if __name__ == "__main__":
    main()
