"""What a pattern costs and what it gives up: perplexity, seconds, and a greedy continuation."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_ROWS = 512  # rows of logits per piece of the loss: a float32 copy of them all would be the largest tensor around


@dataclass(frozen=True, slots=True)
class Evaluation:
    """``loss``: mean negative log-likelihood in nats over ``tokens`` predictions; ``seconds`` of forward passes."""

    loss: float
    tokens: int
    windows: int
    seconds: float

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss)


def perplexity(
    model: nn.Module,
    token_ids: Tensor | Sequence[int],
    *,
    window: int,
    on_window: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Cut the text into windows of ``window`` tokens, each without memory of the last, and predict every next token.

    The first token of a window is not predicted; a last piece of one token is dropped. ``on_window(done, total)`` is
    called after each. Raises ValueError for a window below 2 or a text below two tokens.
    """
    ids = torch.as_tensor(token_ids, dtype=torch.long).flatten()
    if window < 2:
        raise ValueError(f"window={window} predicts nothing; use at least 2")
    if len(ids) < 2:
        raise ValueError(f"a text of {len(ids)} tokens predicts nothing; use at least 2")
    pieces = [piece for piece in torch.split(ids, window) if len(piece) > 1]
    device = _device(model)
    was_training, total, count, seconds = model.training, 0.0, 0, 0.0
    model.eval()
    try:
        with torch.inference_mode():
            for done, piece in enumerate(pieces, start=1):
                rows = piece[None].to(device)
                _synchronise(device)
                begin = time.perf_counter()
                logits = model(input_ids=rows, use_cache=False).logits[0, :-1]
                _synchronise(device)
                seconds += time.perf_counter() - begin
                total += _loss(logits, rows[0, 1:])
                count += len(piece) - 1
                if on_window is not None:
                    on_window(done, len(pieces))
    finally:
        model.train(was_training)
    return Evaluation(total / count, count, len(pieces), seconds)


def _loss(logits: Tensor, targets: Tensor) -> float:
    """The summed negative log-likelihood."""
    pieces = zip(torch.split(logits, _ROWS), torch.split(targets, _ROWS), strict=True)
    return sum(F.cross_entropy(row.float(), target, reduction="sum").item() for row, target in pieces)


def continuation(model: Any, prompt_ids: Tensor | Sequence[int], *, tokens: int) -> list[int]:
    """The ``tokens`` most likely next tokens, one after the other, with the model's default cache.

    The end-of-text token does not stop it, so that runs can be compared token by token.
    """
    prompt = torch.as_tensor(prompt_ids, dtype=torch.long).reshape(1, -1).to(_device(model))
    with torch.inference_mode():
        output = model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            do_sample=False,
            pad_token_id=0,
        )
    result: list[int] = output[0, prompt.shape[1] :].tolist()
    return result


def _device(model: Any) -> torch.device:
    device: torch.device = model.get_input_embeddings().weight.device
    return device


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
