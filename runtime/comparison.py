"""A model under patterns, beside the same model with its own attention: perplexity and seconds on one text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from typing import Any

from torch import nn

from ..compiler.report.palette import Paint
from ..compiler.selection import UsageError
from .models.demo_model import load_demo_model
from .models.evaluate import continuation, perplexity
from .models.subjects import Subject, attach_subject, title_of

Say = Callable[[str], None]

_WARM_UP = 256  # tokens


@dataclass(frozen=True, slots=True)
class Row:
    """One run. ``seconds`` are of forward passes; ``speedup`` is the first row's seconds over these."""

    name: str
    perplexity: float
    seconds: float
    speedup: float
    tokens: int
    window: int
    continuation: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Rows in the order in which they ran; the first is the model's own attention."""

    rows: tuple[Row, ...]

    def as_json(self) -> str:
        return json.dumps({"version": 1, "rows": [asdict(row) for row in self.rows]}, indent=2)

    def as_text(self, paint: Paint) -> str:
        width = max(len(row.name) for row in self.rows)
        head = f"{'':{width}}  {'perplexity':>10}  {'seconds':>8}  {'speed':>6}"
        lines = [
            f"{row.name:{width}}  {row.perplexity:10.3f}  {row.seconds:8.2f}  {row.speedup:5.2f}x" for row in self.rows
        ]
        return "\n".join([paint(head, "bold"), *lines])


def load_model(name: str) -> tuple[Any, Any]:
    """(model, tokenizer) of a folder that transformers reads, or of the demo. Never goes to the network.

    Raises UsageError for a folder that holds none.
    """
    if name == "demo":
        return load_demo_model()
    if not Path(name).is_dir():
        raise NotADirectoryError(f"{name} is not a folder with a model (or `demo`)")
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        model = AutoModelForCausalLM.from_pretrained(name, local_files_only=True)
        return model.eval(), AutoTokenizer.from_pretrained(name, local_files_only=True)
    except (OSError, ValueError, SafetensorError) as error:
        reason = shorten(str(error), 200)
        remedy = "`save_pretrained` of a causal model and of its tokenizer write one"
        raise UsageError(f"{name} holds no model that transformers reads: {reason}; {remedy}") from None


def check_length(model: Any, length: int) -> None:
    """Raises UsageError for a model that has learned its positions, and not so many."""
    most = getattr(model.config, "max_position_embeddings", None)
    tables = [m.num_embeddings for m in model.modules() if isinstance(m, nn.Embedding)]
    # Some keep two or so of its rows for padding.
    if most is not None and length > most and any(most <= rows <= most + 2 for rows in tables):
        raise UsageError(f"-n {length}: the model has learned positions for {most} tokens; give at most that")


def compare(
    model: Any,
    token_ids: list[int],
    patterns: Iterable[Subject],
    *,
    window: int,
    say: Say,
    speak: Callable[[], str] | None = None,
) -> Comparison:
    """Evaluate the model as it is, then under each pattern; what is learned and not saved is at its random start, the
    same each time. ``speak``, if given, writes a continuation each time."""
    rows: list[Row] = []

    def run(name: str) -> None:
        def on_window(done: int, total: int) -> None:
            say(f"{name}: window {done} of {total}")

        # A short run first: nobody pays for the first use of a thread pool or a program within the seconds.
        warm_up = min(window, _WARM_UP)
        perplexity(model, token_ids[:warm_up], window=warm_up)
        found = perplexity(model, token_ids, window=window, on_window=on_window)
        words = ""
        if speak is not None:
            say(f"{name}: continuing a text")
            words = speak()
        speedup = rows[0].seconds / found.seconds if rows else 1.0
        rows.append(Row(name, found.perplexity, found.seconds, speedup, found.tokens, window, words))

    run("the model's own attention")
    for pattern in patterns:
        with attach_subject(model, pattern):
            run(title_of(pattern))
    return Comparison(tuple(rows))


def speaker(model: Any, tokenizer: Any, prompt_ids: list[int], tokens: int) -> Callable[[], str]:
    """A greedy continuation of the prompt as text."""
    return lambda: str(tokenizer.decode(continuation(model, prompt_ids, tokens=tokens)))
