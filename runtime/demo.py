"""The whole way, for `make demo`: prove a pattern, explain it, build its kernels, run it in a real model, draw it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from ..compiler import explain
from ..compiler.examine import FileReport, Finding
from ..compiler.pattern import Pattern, load
from ..compiler.report import draw, explanation, verdicts
from ..compiler.report.palette import Paint
from ..compiler.selection import title
from ..compiler.verify.check import check
from .build import Request, build
from .comparison import Comparison, compare, speaker
from .models.demo_model import demo_tokens, load_demo_model

OUT = Path("out/demo")
TOKENS = 4096
PROMPT, CONTINUATION = 512, 24
PATTERNS = ("dense", "streaming", "fixed_factorized", "strided_factorized")


def main() -> None:
    """Print each part and write it under out/demo."""
    begin = time.perf_counter()
    OUT.mkdir(parents=True, exist_ok=True)
    paint = Paint(sys.stdout.isatty())
    patterns = [_stock(name) for name in PATTERNS]
    fixed = patterns[PATTERNS.index("fixed_factorized")]
    _headline("1. What holds for every sequence length")
    file = f"library:{fixed.name}"
    print(verdicts.text(FileReport(file, (Finding(title(fixed.bound), check(fixed)),)), paint, quiet=False))
    _headline("2. What it costs, and in which order of tokens it runs")
    account = explanation.text(explain.explain(fixed, 65536), paint)
    print(account)
    _write("explain.txt", account + "\n")
    _headline("3. Its kernels for an H100 (sm_90), built on this machine")
    _kernels(fixed)
    _headline(f"4. Inside SmolLM2-135M, {TOKENS} tokens of Python's reference manual, on this CPU")
    comparison = _inside_a_model(patterns)
    print(comparison.as_text(paint))
    for row in comparison.rows:
        print(f"\n{paint(row.name, 'bold')} continues the text with\n  {row.continuation!r}")
    _write("comparison.json", comparison.as_json() + "\n")
    _headline("5. The masks")
    for pattern in patterns:
        for ending in ("svg", "png"):
            draw.save(pattern, 2048 if pattern.name == "streaming" else 512, OUT / f"{pattern.name}.{ending}")
    print(draw.draw(fixed.bind(l=16, c=2), 64, paint.color))
    _headline(f"Done in {time.perf_counter() - begin:.0f} s. Written:")
    for path in sorted(path for path in OUT.rglob("*") if path.is_file()):
        print(f"  {path}  ({path.stat().st_size:,} bytes)")


def _stock(name: str) -> Pattern:
    return load(f"library:{name}")[name].bind()


def _kernels(pattern: Pattern) -> None:
    request = Request.parse(length=65536, head_dim=64, dtype="bf16", targets="sm_90", emit="ptx,cubin,report")
    written = build(pattern, request, OUT / pattern.name, _progress)
    for path in written:
        if path.suffix == ".cubin":
            print(f"  {path}  ({path.stat().st_size:,} bytes)")


def _inside_a_model(patterns: list[Pattern]) -> Comparison:
    from transformers.utils.logging import disable_progress_bar

    _progress("loading the model")
    disable_progress_bar()  # its bars would run through our lines
    model, tokenizer = load_demo_model()
    ids = demo_tokens(tokenizer, TOKENS)
    speak = speaker(model, tokenizer, ids[:PROMPT], CONTINUATION)
    return compare(model, ids, patterns, window=TOKENS, say=_progress, speak=speak)


def _progress(step: str) -> None:
    print(f"  ... {step}", file=sys.stderr, flush=True)


def _headline(text: str) -> None:
    print(f"\n== {text}\n", flush=True)


def _write(name: str, text: str) -> None:
    (OUT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
