"""Put patterns into a transformers model, and take them out again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from types import TracebackType
from typing import Any

import torch
from torch import nn

from ...compiler.pattern import Pattern, Plan
from ...patterns_dsl.syntax import BoundPattern
from ..compile import compile as compile_pattern
from ..compiled import Compiled
from ..errors import AttachError
from .binding import ATTRIBUTE, Binding, implementation_name, is_ours
from .discovery import Layer, check_model, configs_of, discover, watch
from .heads import HeadGroup, join
from .plan import Shape, Share, share_all, share_plan


class Handle:
    """An attachment in force. ``detach()``, or leaving a ``with`` block, takes it out again."""

    def __init__(self, model: nn.Module, layers: tuple[Layer, ...], bindings: tuple[Binding, ...]) -> None:
        self.model = model
        self.layers = layers
        self.bindings = bindings
        self._saved: list[tuple[Any, str | None]] = []

    @property
    def attached(self) -> bool:
        return bool(self._saved)

    def describe(self, length: int | None = None) -> list[str]:
        """One line per layer: its number, its module, and the program of each group of heads.

        With a ``length`` also the way that the engine takes for a batch of one sequence of it, forward, and how fast
        that is predicted to be beside dense attention.
        """
        pace = cache(lambda compiled, heads, keys: _pace(compiled, heads, keys, length))
        return [
            f"{layer.index} {layer.name}: {_describe_groups(layer, binding, pace)}"
            for layer, binding in zip(self.layers, self.bindings, strict=True)
        ]

    def verify(self) -> None:
        """Run two tokens through the model and see that every layer is reached, with its program on it.

        Raises AttachError naming the layer that is not, for instance after ``set_attn_implementation``.
        """
        for config in configs_of(self.model):
            if not is_ours(config._attn_implementation):
                raise AttachError(
                    f"the config says attn_implementation={config._attn_implementation!r}: no pattern is in force;"
                    " attach again"
                )
        reached = {id(call.module) for call in watch(self.model, dry=False)}
        for layer, binding in zip(self.layers, self.bindings, strict=True):
            if id(layer.call.module) not in reached or getattr(layer.call.module, ATTRIBUTE, None) is not binding:
                raise AttachError(f"layer {layer.index} ({layer.name}) does not run what was attached to it")

    def detach(self) -> None:
        """Restore the model: every config and every attention module as before. Does nothing the second time."""
        if not self.attached:
            return  # another handle may have the model by now
        for layer in self.layers:
            if hasattr(layer.call.module, ATTRIBUTE):
                delattr(layer.call.module, ATTRIBUTE)
        for config, name in self._saved:
            config._attn_implementation = name
        self._saved = []

    def _bind(self, name: str) -> None:
        for layer, binding in zip(self.layers, self.bindings, strict=True):
            setattr(layer.call.module, ATTRIBUTE, binding)
        for config in configs_of(self.model):
            self._saved.append((config, config._attn_implementation))
            config._attn_implementation = name

    def __enter__(self) -> Handle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()


def attach(model: nn.Module, pattern: Pattern | Plan, *, engine: str = "auto") -> Handle:
    """Make the attention layers of ``model`` run a pattern, or a plan's patterns layer by layer.

    A pattern runs with its steps merged in every head of every layer. Layers and heads that a plan leaves out keep
    the model's own attention. Padding on either side, ``generate`` with the default cache, and training without
    attention dropout work as before; whatever cannot be honoured raises UnsupportedCallError when it is asked for.

    ``engine`` as in :func:`~patternc.runtime.compile.compile`. The model is changed in place: a name in its config, an
    attribute on each attention module, no weight. Before returning, two tokens are run to see that every layer is
    reached. Raises AttachError for a model that cannot be attached, PlanError for a plan that does not fit it.
    """
    check_model(model)
    layers = discover(model)
    shapes = [Shape(layer.call.query_heads, layer.causal) for layer in layers]
    shares = share_plan(pattern, shapes) if isinstance(pattern, Plan) else share_all(pattern, shapes)
    own = str(model.config._attn_implementation)  # type: ignore[union-attr]
    bindings = _compile_shares(layers, shares, own, engine)
    mixed = any(_leaves_heads(layer, share) for layer, share in zip(layers, shares, strict=True))
    handle = Handle(model, layers, bindings)
    name = implementation_name(own, mixed=mixed)
    try:
        handle._bind(name)
        handle.verify()
    except BaseException:
        handle.detach()
        raise
    return handle


def _leaves_heads(layer: Layer, shares: tuple[Share, ...]) -> bool:
    covered = sum(layer.call.query_heads if share.heads is None else len(share.heads) for share in shares)
    return covered < layer.call.query_heads


def _compile_shares(
    layers: tuple[Layer, ...], shares: tuple[tuple[Share, ...], ...], own: str, engine: str
) -> tuple[Binding, ...]:
    """Compile each (pattern, step) once for each kind of layer that runs it."""
    compiled: dict[tuple[BoundPattern, int | None, int, torch.dtype, str], HeadGroup] = {}
    bindings: list[Binding] = []
    for layer, mine in zip(layers, shares, strict=True):
        call, groups = layer.call, []
        for share in mine:
            key = (share.pattern.bound, share.step, call.head_dim, call.dtype, call.device.type)
            if key not in compiled:
                one = compile_pattern(
                    share.pattern, step=share.step, head_dim=call.head_dim, dtype=call.dtype, engine=engine,
                    device=call.device,
                )  # fmt: skip
                compiled[key] = HeadGroup(None, one, share.pattern.depends_on_length, share.pattern.farthest)
            groups.append(replace(compiled[key], heads=share.heads))
        first = bool(groups) and not any(binding.groups for binding in bindings)
        program = join(tuple(groups), call.query_heads) if groups else None
        bindings.append(Binding(own, tuple(groups), program, first))
    return tuple(bindings)


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
    if length is None or compiled.engine != "compose" or compiled.program is None:
        return ""
    choice = compiled.predict(length, heads=heads, key_heads=keys).forward
    return f", as {choice.chosen.name}: {choice.speedup:.2f} times as fast as dense at n = {length:,}"
