"""What a learned pattern is worth: perplexity beside dense attention, and beside what reads as much without learning.

Gates trained end to end have barely beaten frozen random ones (Aquino-Michaels 2026), and a window with sinks is hard
to beat on text: no result is told without both, at equal density.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import fmean
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from ...compiler.passes.choices import uses
from ...compiler.pattern import Pattern, load
from ...compiler.selection import title
from ...patterns_dsl.syntax import Direction
from ..errors import ArgumentError
from ..learned.attention import LearnedAttention
from ..models.attach import attach
from ..models.calls.watching import Watched
from ..models.evaluate import Evaluation, perplexity
from ..models.handle import Handle
from ..selectors.learned import SELECTOR_SEEDS, Learned, build_selector
from . import measure
from .objective import dense_of
from .report import ControlRow
from .spending import budgeted

SINK = 4
"""Tokens at the front that the positional control reads from everywhere (Xiao et al. 2023, section 3.2)."""

_SEEDS = 1000
"""Layers are this many seeds apart."""


def compare(
    handle: Handle,
    token_ids: Tensor | Sequence[int],
    *,
    window: int,
    seeds: Sequence[int] = (0,),
    say: Callable[[str], None] = lambda step: None,
) -> tuple[ControlRow, ...]:
    """Rows for dense attention, what was learned, a frozen random control for each seed, and a positional pattern that
    reads at most as much. Density and coverage are those of the first window. The attachment is as before then.

    Raises ValueError for a window or a text that predicts nothing.
    """
    if not handle.learned:
        raise ArgumentError("handle", "nothing learned", "compare an attachment with learned terms")
    ids = torch.as_tensor(token_ids, dtype=torch.long).flatten()
    run = _Run(handle, ids, window, say)
    names = ", ".join(sorted({title(layer.pattern.bound) for layer in handle.learned.values()}))
    with handle.dense():
        rows = [run.row("dense", 1.0, 1.0)]
    density, coverage, seen = run.measured()
    rows.append(run.row(f"learned: {names}", density, coverage, ways(seen)))
    for seed in seeds:
        with frozen(handle, seed, seen):
            same, covered, drawn = run.measured()
            rows.append(run.row(f"frozen random, seed {seed}", same, covered, ways(drawn)))
    layer = next(iter(handle.learned.values()))
    positional, share = at_density(layer.pattern.direction, density, min(window, len(ids)))
    with handle.removed(), attach(handle.model, positional):
        rows.append(run.row(title(positional.bound), share, None))
    return tuple(rows)


class _Run:
    def __init__(self, handle: Handle, ids: Tensor, window: int, say: Callable[[str], None]) -> None:
        self.handle, self.ids, self.window, self.say = handle, ids, window, say

    def row(
        self, name: str, density: float, coverage: float | None, ran: Mapping[str, int] = MappingProxyType({})
    ) -> ControlRow:
        found: Evaluation = perplexity(
            self.handle.model, self.ids, window=self.window,
            on_window=lambda done, total: self.say(f"{name}: window {done} of {total}"),
        )  # fmt: skip
        return ControlRow(name, found.perplexity, density, coverage, found.tokens, self.window, dict(ran))

    @torch.no_grad()
    def measured(self) -> tuple[float, float, dict[int, Watched]]:
        """(density, coverage, what each layer was called with): the means over layers, in evaluation."""
        model: Any = self.handle.model
        training, found = model.training, list[tuple[float, float]]()
        model.eval()
        rows = self.ids[None, : self.window].to(model.get_input_embeddings().weight.device)
        with self.handle.watch() as seen:
            model(input_ids=rows, use_cache=False)
        for index, layer in self.handle.learned.items():
            dense, selections = dense_of(layer, seen[index]), seen[index].selections
            assert selections is not None
            each = (kind(layer, dense, selections).mean() for kind in (measure.density, measure.coverage))
            found.append(tuple(map(float, each)))  # type: ignore[arg-type]
        model.train(training)
        density, coverage = zip(*found, strict=True)
        return fmean(density), fmean(coverage), dict(seen)


def ways(seen: Mapping[int, Watched]) -> dict[str, int]:
    """How many layers' selections ran each way."""
    return dict(Counter(watched.dispatch.way for watched in seen.values() if watched.dispatch is not None))


@contextmanager
def frozen(handle: Handle, seed: int, seen: Mapping[int, Watched]) -> Iterator[None]:
    """While it lasts, each layer has a frozen control in the place of what it learned, of the same density on the
    inputs that were ``seen``: of k choices k, of what is free in number as many, of gates as many open ones."""
    own = {index: layer.learned for index, layer in handle.learned.items()}
    try:
        for index, layer in handle.learned.items():
            layer.learned = _control(layer, seed + _SEEDS * index, seen[index])
        yield
    finally:
        for index, layer in handle.learned.items():
            layer.learned = own[index]


@torch.no_grad()
def _control(layer: LearnedAttention, seed: int, watched: Watched) -> Learned:
    found = Learned(layer.pattern, layer.shape, random=seed).to(watched.q.device).eval()
    number = {name: place for place, name in enumerate(layer.learned.selector_names)}
    modules = list(found.selectors)
    for name in budgeted(layer):
        place, chosen = number[name], watched.selections
        assert chosen is not None
        wanted = float(chosen[name].density.mean())  # type: ignore[union-attr]
        found.selectors[modules[place]] = _calibrated(layer, place, seed + SELECTOR_SEEDS * place, watched, wanted)
    # One order for all gates: heads exchange what is open together, and the layer reads as much.
    order = torch.randperm(layer.shape.query_heads, generator=torch.Generator().manual_seed(seed))
    for mine, theirs in zip(found.gates, layer.learned.gates, strict=True):
        mine.load_state_dict(theirs.state_dict() | {"logits": theirs.get_parameter("logits")[order]})
    return found


def _calibrated(layer: LearnedAttention, place: int, seed: int, watched: Watched, wanted: float) -> nn.Module:
    """The control of a selector that is free in number, with the budget at which it reads as much."""
    bound = layer.pattern.bound
    declaration = bound.selectors[place]
    read = uses(bound.union, {one.name: one.kind for one in bound.selectors}).get(declaration.name)

    def control(budget: float) -> nn.Module:
        options = tuple((name, budget if name == "budget" else value) for name, value in declaration.options)
        one = build_selector(
            replace(declaration, options=options), bound.direction, layer.shape, uses=read, random=seed
        )
        return one.to(watched.q.device).eval()

    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if float(control(middle)(watched.inputs).density.mean()) < wanted else (low, middle)
    return control(high)


def at_density(direction: Direction, density: float, n: int) -> tuple[Pattern, float]:
    """(the positional control, the share of pairs that it reads at length n): sinks and a window in a causal pattern, a
    window elsewhere, the widest that reads no more than ``density``, where one does; with fewer sinks if it must."""
    causal = direction is Direction.CAUSAL
    total = n * (n + 1) // 2 if causal else n * n

    def pairs(w: int, sink: int = SINK) -> int:
        if causal:
            return sum(min(i + 1, w) + min(sink, max(0, i + 1 - w)) for i in range(n))
        return sum(min(i, w // 2) + 1 + min(n - 1 - i, w // 2) for i in range(n))

    most = density * total + 1e-6
    sink = max((s for s in range(SINK + 1) if pairs(2, s) <= most), default=0) if causal else 0
    widths = range(2, 2 * n + 2, 1 if causal else 2)
    w = widths[max(0, bisect_right(widths, most, key=lambda width: pairs(width, sink)) - 1)]
    name = "streaming" if causal else "sliding_window_bidirectional"
    settings = {"sink": sink, "w": w} if causal else {"w": w}
    return load(f"library:{name}")[name].bind(**settings), pairs(w, sink) / total
