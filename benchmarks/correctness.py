"""One stock pattern under one engine, forward and backward, against the float64 reference on the same device.

    python benchmarks/correctness.py strided_factorized strided_factorized --device cuda --engine triton

Prints one line of JSON: per data type the share of its error budget that each result takes, largest first to look at.
The budget is twice the error of eager attention in the same data type, computed as a model would on this device, and
one more rounding (patternc.testing.agreement). Three calls: a ragged length, a padded batch, one row of decoding. Of
patterns that learn, one call of a layer: learned_correctness.py.

With --serve, and no pattern, each line of its input holds further arguments, and is answered by such a line. Whatever
raises ends it: a device that has faulted answers nothing more.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import learned_correctness
import torch
from torch import Tensor

import patternc as pc
from patternc.patterns_dsl.diagnostics.diagnostic import PatternError
from patternc.runtime.compiled import Compiled
from patternc.testing.agreement import NAMES, Eager, Mismatch, agree, budgets, error, results

LENGTH = 1021  # eight tiles of 128, the last ragged
CALLS = ("whole", "padded", "one row")
HEAD_DIM = {torch.float32: 64, torch.bfloat16: 128, torch.float16: 128}


def main() -> None:
    options = _parse(sys.argv[1:])
    if options.serve:
        serve(sys.argv[1:])
    else:
        print(json.dumps(judged(options)), flush=True)
    if options.device == "cuda":
        # With many of these processes side by side some abort while torch 2.11 ends its threads (seen on an H200:
        # "terminate called without an active exception"), long after the verdict: nothing is left to end.
        os._exit(0)


def serve(fixed: Sequence[str]) -> None:
    """Answer the lines of the input, one after the other."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    torch.set_num_threads(1)  # there is a process of this kind for each core
    for line in sys.stdin:
        print(json.dumps(judged(_parse([*fixed, *shlex.split(line)]))), file=answers, flush=True)


def judged(options: argparse.Namespace) -> dict[str, Any]:
    """What ``judge`` says, by data type."""
    pattern = pc.load(f"library:{options.file}")[options.pattern].bind()
    dtypes = [getattr(torch, name) for name in options.dtypes.split(",")]
    return {str(dtype).removeprefix("torch."): judge(pattern, options, dtype) for dtype in dtypes}


def judge(pattern: pc.Pattern, options: argparse.Namespace, dtype: torch.dtype) -> dict[str, Any]:
    """By call the shares of the budget, or what is wrong; or why no engine runs the pattern."""
    head_dim, device, n = HEAD_DIM[dtype], options.device, options.length
    try:
        if learned_correctness.learns(pattern):
            return learned_correctness.judge(pattern, options.engine, device, dtype, head_dim, n)
        mine = pc.compile(pattern, head_dim=head_dim, dtype=dtype, engine=options.engine, device=device)
    except PatternError as refused:
        first = refused.diagnostics[0]
        return {"refused": f"{first.code}: {first.message}"}
    exact = pc.compile(pattern, head_dim=head_dim, dtype=torch.float64, engine="reference")
    mask = pattern.mask(n).to(device)
    found = {name: shares(mine, exact, *_call(name, pattern, mask)) for name in options.calls}
    return {"engine": mine.engine, "calls": found}


def _call(name: str, pattern: pc.Pattern, mask: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """Which query sees which key, [1 or B, rows, n], and what a call is given beside q, k and v."""
    n = len(mask)
    if name == "whole":
        return mask[None], {}
    if name == "one row":
        return mask[None, -1:], {"query_offset": n - 1}
    padding = min(37, n // 2)
    shorter = torch.zeros_like(mask)
    shorter[padding:, padding:] = pattern.mask(n - padding)
    spans = torch.tensor([[0, n], [padding, n]], dtype=torch.int32, device=mask.device)
    return torch.stack([mask, shorter]), {"spans": spans}


def shares(mine: Compiled, exact: Compiled, visible: Tensor, arguments: dict[str, Any]) -> dict[str, Any]:
    """Error over budget of out, lse, dq, dk and dv; ``wrong`` where one is over 1, or not finite where it should be.
    ``visible`` [1 or B, rows, n]: which query sees which key."""
    rows, n = visible.shape[1:]
    generator = torch.Generator(visible.device).manual_seed(0)
    shapes = [(2, 4, rows, mine.head_dim), *[(2, 2, n, mine.head_dim)] * 2]
    inputs = [torch.randn(shape, generator=generator, device=visible.device).to(mine.dtype) for shape in shapes]
    expected = results(exact, inputs, **arguments)
    allowed = budgets(results(Eager(visible[:, None], mine.dtype), inputs), expected, mine.dtype)
    found = results(mine, inputs, **arguments)
    row: dict[str, Any] = {
        name: error(a, b) / budget for name, a, b, budget in zip(NAMES, found, expected, allowed, strict=True)
    }
    try:
        agree(found, expected, budget=allowed)
    except Mismatch as wrong:
        row["wrong"] = str(wrong)
    return row


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", help="of the library")
    parser.add_argument("pattern", nargs="?")
    parser.add_argument("--serve", action="store_true", help="answer lines of further arguments")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--engine", choices=["compose", "triton", "auto"], default="compose")
    parser.add_argument("--dtypes", default="bfloat16,float32")
    parser.add_argument("--calls", default=",".join(CALLS), help="some of these, not of a pattern that learns")
    parser.add_argument("-n", "--length", type=int, default=LENGTH)
    options = parser.parse_args(arguments)
    options.calls = options.calls.split(",")
    if unknown := set(options.calls) - set(CALLS):
        parser.error(f"no such calls: {', '.join(sorted(unknown))}; there are {', '.join(CALLS)}")
    if not options.serve and options.pattern is None:
        parser.error("a file of the library and a pattern of it, or --serve")
    return options


if __name__ == "__main__":
    main()
