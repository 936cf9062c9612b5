"""One text through a model with learned patterns: what each layer and head chose, and how far that reaches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ...compiler import bruteforce
from ...compiler.bruteforce import Choice, Mask
from ...compiler.explain.hops import LONGEST, first_heard
from ...compiler.pattern import Pattern
from ...compiler.selection import title
from ...compiler.verify.check import check
from ...compiler.verify.result import Result
from ...patterns_dsl.syntax import Direction
from ..errors import AttachError
from ..models.attaching.discovery import Layer
from ..models.calls.binding import Binding
from ..models.calls.watching import Watched
from ..models.handle import Handle
from ..models.modes import evaluating
from .layer import LayerReading, front_pairs, read_layer

_AT_ONCE = 1 << 20
"""Pairs of a pattern that are looked at in one step."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Through all layers of the model, in turn, over ``length`` tokens: the share of the allowed pairs that are
    connected, and after how many layers the last of them is. ``guaranteed`` whatever is chosen, ``possible`` under some
    choice, ``here`` by what was chosen in this text, by any head."""

    length: int
    guaranteed: tuple[float, int]
    possible: tuple[float, int]
    here: tuple[float, int]


@dataclass(frozen=True, slots=True)
class Extent:
    """Of a pattern that learns, at the text's length: the share of the allowed pairs that attend whatever is chosen,
    ``must``, and under some choice, ``may``; and the verdicts on its claims, for every length."""

    pattern: str
    must: float
    may: float
    results: tuple[Result, ...]


@dataclass(frozen=True, slots=True)
class Inspection:
    subject: str
    words: tuple[str, ...]
    reach: Reach
    extents: tuple[Extent, ...]
    layers: tuple[LayerReading, ...]


def inspect(
    handle: Handle,
    token_ids: Sequence[int],
    words: Sequence[str],
    *,
    subject: str,
    layers: Sequence[int] | None = None,
    say: Callable[[str], None] = lambda step: None,
) -> Inspection:
    """``words``: each token as text. ``layers`` None: all that learn. Raises AttachError for one that does not."""
    learned = handle.learned
    if not learned:
        raise AttachError(f"{subject} has no learned terms: `patternc show` and `patternc explain` say all of it")
    if layers is not None and (strange := sorted(set(layers) - learned.keys())):
        raise AttachError(
            f"layer {strange[0]} learns nothing; those that do are {', '.join(map(str, sorted(learned)))}"
        )
    count = len(token_ids)
    say(f"one text of {count} tokens")
    readings, here, front = dict[int, LayerReading](), dict[int, Mask](), min(count, LONGEST)

    def read(layer: Layer, watched: Watched) -> None:
        say(f"layer {layer.index}")
        one = learned[layer.index]
        if layers is None or layer.index in layers:
            found = readings[layer.index] = read_layer(layer.index, layer.name, one, watched, front)
            here[layer.index] = found.pairs.numpy()
        else:
            here[layer.index] = front_pairs(one, watched, front).numpy()

    _run(handle, token_ids, read)
    extents = {one.pattern.bound: _extent(one.pattern, count) for one in learned.values()}
    return Inspection(
        subject,
        tuple(words),
        _reach(handle, here, front),
        tuple(extents.values()),
        tuple(readings[index] for index in sorted(readings)),
    )


def _run(handle: Handle, token_ids: Sequence[int], read: Callable[[Layer, Watched], None]) -> None:
    """One text, in evaluation; what each learned layer did is read as soon as it has, and let go: all layers' queries
    and keys of a long text are more than the model."""
    model: Any = handle.model
    ids = torch.as_tensor([list(token_ids)], device=model.get_input_embeddings().weight.device)
    with evaluating(model), handle.watch() as seen, torch.inference_mode(), ExitStack() as hooks:
        for layer in handle.layers:
            if layer.index in handle.learned:

                def done(module: Any, arguments: Any, out: Any, layer: Layer = layer) -> None:
                    read(layer, seen.pop(layer.index))

                hooks.callback(layer.call.module.register_forward_hook(done).remove)
        # Without its head: logits of a long text are more than all of what is looked at.
        model.base_model(input_ids=ids, use_cache=False)


def _extent(pattern: Pattern, n: int) -> Extent:
    must, may = (_share(pattern, n, choice) for choice in ("must", "may"))
    return Extent(title(pattern.bound), must, may, check(pattern))


def _share(pattern: Pattern, n: int, choice: Choice) -> float:
    """Of the pairs that the direction allows; some rows at a time."""
    found, step = 0, max(1, _AT_ONCE // n)
    for start in range(0, n, step):
        rows = range(start, min(n, start + step))
        own = bruteforce.block(pattern.union.expression, pattern.direction, n, queries=rows, choice=choice)
        found += int(own.sum())
    return found / (n * (n + 1) // 2 if pattern.direction is Direction.CAUSAL else n * n)


def _reach(handle: Handle, here: dict[int, Mask], n: int) -> Reach:
    causal = all(layer.causal for layer in handle.layers)
    allowed = _allowed(causal, n)
    masks: dict[str, list[Mask]] = {"must": [], "may": [], "here": []}
    for layer, binding in zip(handle.layers, handle.bindings, strict=True):
        learned = handle.learned.get(layer.index)
        for kind, found in masks.items():
            if learned is None:
                found.append(_fixed(binding, n, causal))
            elif kind == "here":
                found.append(here[layer.index])
            else:
                found.append(learned.pattern.mask(n, choice="must" if kind == "must" else "may").numpy())
    guaranteed, possible, real = (_reached(found, allowed) for found in masks.values())
    return Reach(n, guaranteed, possible, real)


def _fixed(binding: Binding, n: int, causal: bool) -> Mask:
    """What some head of a layer without learned terms reads."""
    covered = {head for group in binding.groups for head in group.heads or ()}
    whole = any(group.heads is None for group in binding.groups)
    if not binding.groups or (not whole and len(covered) < _most(binding)):
        return _allowed(causal, n)
    found = np.zeros((n, n), dtype=np.bool_)
    for group in binding.groups:
        meaning = group.compiled.meaning
        found |= bruteforce.mask(meaning.expression, meaning.direction, n)
    return found


def _most(binding: Binding) -> int:
    """The query heads of a layer whose groups have programs of their own."""
    return len(getattr(binding.program, "owners", ()))


def _reached(masks: list[Mask], allowed: Mask) -> tuple[float, int]:
    when = first_heard(masks, len(masks))
    heard = when[allowed]
    return float((heard >= 0).mean()), int(heard.max(initial=0))


def _allowed(causal: bool, n: int) -> Mask:
    found: Mask = np.ones((n, n), dtype=np.bool_)
    return np.tril(found) if causal else found
