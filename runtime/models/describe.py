"""A layer with what is attached to it, in a line."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from ..compiled import Compiled
from ..learned.attention import LearnedAttention
from .attaching.discovery import Layer
from .calls.binding import Binding
from .calls.heads import HeadGroup


def describe(layers: list[tuple[Layer, Binding, LearnedAttention | None]], length: int | None) -> list[str]:
    """As ``Handle.describe``."""
    pace = cache(lambda compiled, heads, keys: _pace(compiled, heads, keys, length))
    return [f"{layer.index} {layer.name}: {_runs(layer, binding, learned, pace)}" for layer, binding, learned in layers]


def _runs(
    layer: Layer, binding: Binding, learned: LearnedAttention | None, pace: Callable[[Compiled, int, int], str]
) -> str:
    if learned is not None:
        return _describe_learned(learned)
    return _describe_groups(layer, binding, pace)


def _describe_learned(learned: LearnedAttention) -> str:
    own = learned.learned
    parts = [*own.selector_names, *own.gate_names, *(f"pooled({size})" for size in own.pools)]
    trained = sum(parameter.numel() for parameter in learned.parameters())
    return f"{learned.pattern.name} ({learned.engine}) with {', '.join(parts)}; {trained:,} learned numbers"


def _describe_groups(layer: Layer, binding: Binding, pace: Callable[[Compiled, int, int], str]) -> str:
    if not binding.groups:
        return f"dense ({binding.own})"
    return ", ".join(_describe_group(layer, group, pace) for group in binding.groups)


def _describe_group(layer: Layer, group: HeadGroup, pace: Callable[[Compiled, int, int], str]) -> str:
    named = f"{group.compiled.name} ({group.compiled.engine})"
    if group.heads is None:
        return named + pace(group.compiled, layer.call.query_heads, layer.call.key_heads)
    heads = len(group.heads)
    return f"{named} on heads {' '.join(map(str, group.heads))}" + pace(group.compiled, heads, heads)


def _pace(compiled: Compiled, heads: int, keys: int, length: int | None) -> str:
    """What is predicted, where the engine has a choice."""
    if length is not None and compiled.dense_at(length):
        return f", as dense attention itself: the pattern is everything at n = {length:,}"
    if length is None or compiled.engine != "compose" or compiled.program is None:
        return ""
    choice = compiled.predict(length, heads=heads, key_heads=keys).forward
    return f", as {choice.chosen.name}: {choice.speedup:.2f} times as fast as dense at n = {length:,}"
