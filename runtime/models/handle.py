"""An attachment in force: what it did to the model, what can be asked of it, and how it is undone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.utils.hooks import RemovableHandle

from ...compiler.pattern import Pattern, Plan
from ..distributed.context_parallel import ContextParallel
from ..errors import AttachError
from ..learned.attention import LearnedAttention
from .attaching.discovery import Layer, configs_of, models_within, watch
from .calls.asked import refuse_weights
from .calls.binding import ATTRIBUTE, MODULE, Binding, implementation_name, is_ours
from .calls.entering import hand_on
from .calls.refused import tell_others
from .calls.watching import Watched, Watching
from .describe import describe
from .saved.write import save

if TYPE_CHECKING:
    from transformers import Cache


class Handle:
    """An attachment in force. ``detach()``, or leaving a ``with`` block, takes it out again."""

    def __init__(
        self,
        model: nn.Module,
        subject: Pattern | Plan,
        layers: tuple[Layer, ...],
        bindings: tuple[Binding, ...],
        watching: Watching,
        random: int | None = None,
    ) -> None:
        self.model = model
        self.subject = subject
        self.random = random
        self.layers = layers
        self.bindings = bindings
        self._watching = watching
        self._saved: list[tuple[Any, str | None]] = []
        self._hooks: list[RemovableHandle] = []
        self._caches = False  # whether layers are told of the cache that they fill

    @property
    def attached(self) -> bool:
        return bool(self._saved)

    @property
    def learned(self) -> dict[int, LearnedAttention]:
        """What learns, by the number of its layer."""
        if not self.attached:
            return {}
        learning = (
            layer for layer, binding in zip(self.layers, self.bindings, strict=True) if binding.learned is not None
        )
        return {layer.index: layer.call.module.get_submodule(MODULE) for layer in learning}  # type: ignore[misc]

    def parameters(self) -> Iterator[nn.Parameter]:
        """All that is learned, layer by layer: nothing of the model itself."""
        for learned in self.learned.values():
            yield from learned.parameters()

    def save(self, directory: Path | str) -> None:
        """Write what is attached and what it learned into a folder, which is made; it may be the model's own. The
        model's weights are not in it. ``patternc.load_attached`` reads it.

        Raises AttachError where nothing is learned, SavedError where the text is not to be had from one file.
        """
        if not self.attached:
            raise AttachError("this handle is detached, and what it learned is gone with it; save before detaching")
        learned = self.learned
        if not learned:
            raise AttachError(
                "no pattern of this attachment has learned terms: there is nothing to save beside its text"
            )
        save(Path(directory), self.model, self.subject, self.layers, learned, self.random)

    def cache(self) -> Cache:
        """An empty cache of this model, for ``past_key_values``, that drops the keys which no query to come reads.

        A layer holds the keys that its pattern can still read, whatever follows, and at most a fourth more, or 64: the
        last 1,023 of a window of 1,024, of ``fixed_factorized`` a block and one column in 16. Attention gets the same
        keys and values as from transformers' own cache. Layers that select, or run the model's own attention in some
        head, keep all. For models without padding or with padding on the left; a batch of its own for each cache. It
        can be copied, and its batch reordered; tokens cannot be taken back.

        Raises AttachError where the handle is detached, the layers are not those of a decoder, or share their keys.
        """
        from .caches.make import cache_for

        if not self.attached:
            raise AttachError("no cache for a handle that is detached; attach again")
        made = cache_for(self.model, self.layers, self.bindings)
        if not self._caches:
            self._caches = True
            self._hooks += [hand_on(layer.call.module) for layer in self.layers if layer.index not in self.learned]
        return made

    @contextmanager
    def watch(self) -> Iterator[dict[int, Watched]]:
        """While it lasts, the last call of each learned layer is noted, by the number of the layer.

        What a backward pass runs again behind the block, with checkpointing, is not noted.
        """
        self._need_learned("watch")
        seen: dict[int, Watched] = {}
        self._watching.seen.append(seen)
        try:
            yield seen
        finally:
            self._watching.seen = [other for other in self._watching.seen if other is not seen]

    @contextmanager
    def dense(self, *, select: bool = False) -> Iterator[None]:
        """While it lasts, learned layers run the model's own attention. They are watched all the same, without
        selections, or with ``select`` with those that they would make. Layers with other patterns run them as ever.

        Where a forward in the block is checkpointed, its backward must be in the block too: it is run again there.
        """
        self._need_learned("run dense")
        before = self._watching.dense, self._watching.select
        names = [(config, config._attn_implementation) for config in configs_of(self.model)]
        name = implementation_name(self.bindings[0].own, mixed=True)
        try:
            for config, _ in names:
                config._attn_implementation = name
            self._watching.dense, self._watching.select = True, select
            yield
        finally:
            self._watching.dense, self._watching.select = before
            if self.attached:
                for config, own in names:
                    config._attn_implementation = own

    @contextmanager
    def removed(self) -> Iterator[None]:
        """While it lasts, the model is as it was before, and something else can be attached to it."""
        if not self.attached:
            raise AttachError("nothing to remove: this handle is detached; attach again")
        name, learned = configs_of(self.model)[0]._attn_implementation, self.learned
        self.detach()
        try:
            yield
        finally:
            self._bind(name, learned)

    def _need_learned(self, what: str) -> None:
        if not self.attached:
            raise AttachError(f"nothing to {what}: this handle is detached; attach again")
        if not self.learned:
            raise AttachError(f"nothing to {what}: no pattern of this attachment has learned terms")

    def describe(self, length: int | None = None) -> list[str]:
        """One line per layer: its number, its module, and the program of each group of heads.

        With a ``length`` also the way that the engine takes for a batch of one sequence of it, forward, and how fast
        that is predicted to be beside dense attention.
        """
        learned = self.learned
        lines = [
            (layer, binding, learned.get(layer.index))
            for layer, binding in zip(self.layers, self.bindings, strict=True)
        ]
        return describe(lines, length)

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
        for hook in self._hooks:
            hook.remove()
        for layer, binding in zip(self.layers, self.bindings, strict=True):
            for name in (ATTRIBUTE, *([MODULE] if binding.learned is not None else [])):
                if hasattr(layer.call.module, name):
                    delattr(layer.call.module, name)
        for config, own in self._saved:
            config._attn_implementation = own
        self._saved, self._hooks = [], []

    def _bind(self, name: str, learned: dict[int, LearnedAttention]) -> None:
        for layer, binding in zip(self.layers, self.bindings, strict=True):
            module = layer.call.module
            setattr(module, ATTRIBUTE, binding)
            if layer.index in learned:
                module.add_module(MODULE, learned[layer.index])
            if layer.index in learned or self._caches:
                self._hooks.append(hand_on(module))
        for part in models_within(self.model):
            self._hooks.append(part.register_forward_pre_hook(refuse_weights, with_kwargs=True))
            if any(isinstance(binding.program, ContextParallel) for binding in self.bindings):
                self._hooks.append(part.register_forward_hook(tell_others, always_call=True))
        for config in configs_of(self.model):
            self._saved.append((config, config._attn_implementation))
            config._attn_implementation = name

    def __enter__(self) -> Handle:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.detach()
