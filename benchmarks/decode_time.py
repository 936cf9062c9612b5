"""A small model that generates token by token under every causal stock pattern that learns, beside its own attention.

    python benchmarks/decode_time.py [-n 1024,4096] [--patterns nsa,moba] [--clock thread]

Behind n tokens that are read at once come others, one at a time; told is the time of one of them. All models of one
length take turns, and ratios are taken round by round. In a round each decodes ``--tokens``, so that blocks of keys end
in some of them. Selectors are as they start: `importance` opens every other token. `--clock thread` counts one thread's
own CPU seconds, for a machine that is not idle.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from record import RESULTS, Spread, machine, write
from stock_patterns import stock

import patternc as pc
from patternc.patterns_dsl.syntax import Direction
from patternc.runtime.errors import UnsupportedCallError, in_a_line
from patternc.runtime.models.attaching.programs import is_learned

DENSE = "dense"


def main() -> None:
    options = _parse()
    torch.set_num_threads(1 if options.clock == "thread" else torch.get_num_threads())
    where, results, left_out = machine(), [], []
    patterns = {
        name: one for name, one in stock(options.patterns) if is_learned(one) and one.direction is Direction.CAUSAL
    }
    print(f"{where['cpu']}, {options.clock} clock, load {where['load_1min_before']} before the run")
    for n in options.lengths:
        for row in measure(patterns, n, options, left_out):
            results.append(row)
            print(as_text(row), flush=True)
    for row in left_out:
        print(f"left out: {row['pattern']} at n = {row['n']}: {row['reason']}")
    settings = {name: value for name, value in vars(options).items() if name != "out"}
    settings["threads"] = torch.get_num_threads()
    write(options.out, "decode_time", settings, [], where, results=results, left_out=left_out)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", dest="lengths", default="1024,4096", help="separated by commas")
    parser.add_argument("--patterns", help="part of the names, separated by commas; all by default")
    parser.add_argument("--clock", choices=["wall", "thread"], default="wall")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=4, help="of queries; half as many of keys")
    parser.add_argument("--head-dim", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=16, help="in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=RESULTS / "decode_time.json")
    options = parser.parse_args()
    options.lengths = sorted(int(n) for n in options.lengths.split(","))
    return options


@torch.no_grad()
def measure(
    patterns: dict[str, pc.Pattern], n: int, options: argparse.Namespace, left_out: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """One row for each pattern."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(3, 97, (1, n + (options.rounds + 1) * options.tokens), generator=generator)
    steps: dict[str, Callable[[int], object]] = {}
    for name in (DENSE, *patterns):
        try:
            steps[name] = _prefilled(patterns.get(name), tokens[:, :n], options)
        except UnsupportedCallError as error:
            left_out.append({"pattern": name, "n": n, "reason": in_a_line(error)})
    clock = time.thread_time if options.clock == "thread" else time.perf_counter
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for each in range(options.rounds + 1):
        for name, step in steps.items():
            begin, first = clock(), n + each * options.tokens
            for place in range(first, first + options.tokens):
                step(tokens[:, place : place + 1])
            if each:  # the first round warms up
                seconds[name].append((clock() - begin) / options.tokens)
    for name in steps:
        ratios = [mine / plain for mine, plain in zip(seconds[name], seconds[DENSE], strict=True)]
        yield {
            "pattern": name, "n": n, "token": asdict(Spread.of(seconds[name])), "by_dense": asdict(Spread.of(ratios)),
        }  # fmt: skip


def _prefilled(pattern: pc.Pattern | None, tokens: torch.Tensor, options: argparse.Namespace) -> Callable[..., object]:
    """What gives a model its next token."""
    torch.manual_seed(0)
    width = options.heads * options.head_dim
    config = transformers.LlamaConfig(
        vocab_size=97,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=options.layers,
        num_attention_heads=options.heads,
        num_key_value_heads=options.heads // 2,
        head_dim=options.head_dim,
        max_position_embeddings=1 << 20,
    )
    model = transformers.LlamaForCausalLM._from_config(config, attn_implementation="sdpa").eval()
    if pattern is not None:
        pc.attach(model, pattern)
    cache = model(tokens, use_cache=True, logits_to_keep=1).past_key_values
    return lambda token: model(token, past_key_values=cache)


def as_text(row: dict[str, Any]) -> str:
    token, ratio = row["token"], row["by_dense"]
    return (
        f"n = {row['n']:<6} {row['pattern']:26} {token['median'] * 1e3:8.2f} ms a token"
        f"  {ratio['median']:6.2f} times dense's ({ratio['min']:.2f}..{ratio['max']:.2f})"
    )


if __name__ == "__main__":
    main()
