"""The pattern `dense` in a real model against the model's own attention: the same logits, the same words.

    python benchmarks/model_parity.py [--tokens 384] [--words 64]

SmolLM2-135M in float32 on a CPU, whose own attention is torch's SDPA. Needs the demo's model (`make demo`).
"""

from __future__ import annotations

import argparse
import time
from itertools import takewhile
from pathlib import Path

import torch
from record import RESULTS, Target, machine, write

import patternc as pc
from patternc.runtime.models.demo_model import DemoError, demo_tokens, load_demo_model
from patternc.runtime.models.evaluate import continuation

WITHIN = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, default=384, help="of the text whose logits are compared")
    parser.add_argument("--words", type=int, default=64, help="greedy tokens that follow it")
    parser.add_argument("--engine", choices=["auto", "reference", "compose"], default="compose")
    parser.add_argument("--out", type=Path, default=RESULTS / "model_parity.json")
    options = parser.parse_args()
    where = machine()
    try:
        model, tokenizer = load_demo_model(torch.float32)
    except DemoError as missing:
        parser.exit(2, f"{missing}\n")
    ids = torch.tensor([demo_tokens(tokenizer, options.tokens)])
    implementation = model.config._attn_implementation
    logits, words, seconds = observe(model, ids, options.words)
    with pc.attach(model, pc.load("library:dense")["dense"].bind(), engine=options.engine) as handle:
        handle.verify()
        our_logits, our_words, our_seconds = observe(model, ids, options.words)
    # A comparison that cannot fail shows nothing: another pattern must be seen in the logits.
    with pc.attach(model, pc.load("library:sliding_window")["sliding_window"].bind(w=16), engine=options.engine):
        control = (observe(model, ids, 1)[0] - logits).abs().max().item()
    back, *_ = observe(model, ids, 1)
    difference = (our_logits - logits).abs().max().item()
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(words, our_words, strict=True)))
    print(f"SmolLM2-135M, float32, {options.tokens} tokens, {implementation} beside patternc ({options.engine})")
    print(f"  largest logit difference   {difference:.2e} (logits up to {logits.abs().max().item():.1f})")
    print(f"  the same under a window of 16 tokens: {control:.1f}")
    print(f"  same greedy tokens         {same} of {options.words}")
    print(f"  restored after detach      {'bit for bit' if torch.equal(back, logits) else 'NO'}")
    print(f"  seconds in all, once each  {seconds:.2f} beside {our_seconds:.2f}")
    targets = [
        Target("largest logit difference", WITHIN, difference, False),
        Target("same greedy tokens", options.words, same, True),
        Target("control: logit difference under a window of 16 tokens", 0.1, control, True),
        Target("logits after detach, largest difference", 0.0, (back - logits).abs().max().item(), False),
    ]
    print(*[target.as_text() for target in targets], sep="\n")
    settings = {"tokens": options.tokens, "words": options.words, "engine": options.engine, "own": implementation}
    found = {
        "logit_difference": difference,
        "largest_logit": logits.abs().max().item(),
        "same_tokens": same,
        "control": control,
    }
    texts = {"own_text": tokenizer.decode(words), "our_text": tokenizer.decode(our_words)}
    write(options.out, "model_parity", settings, targets, where, found={**found, **texts})


@torch.no_grad()
def observe(model: torch.nn.Module, ids: torch.Tensor, words: int) -> tuple[torch.Tensor, list[int], float]:
    """(logits, greedy continuation, seconds of both)."""
    begin = time.perf_counter()
    logits = model(ids).logits
    return logits, continuation(model, ids, tokens=words), time.perf_counter() - begin


if __name__ == "__main__":
    main()
