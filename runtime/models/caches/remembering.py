"""A layer of transformers' cache that remembers what selectors read, beside keys and values.

It lives and dies with the cache, is copied with it, and goes along with every change that is made to it: beams that
are reordered, tokens that are taken back. What it does not see makes its length differ, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from ...errors import UnsupportedCallError
from ...growing import Growing
from ...selectors.kept import Kept

_REMEDY = "use the default cache (DynamicCache), or pass use_cache=False"


class RememberingLayer(DynamicLayer):  # type: ignore[misc]
    """``memory``: tensors [B, ..., N, width] by name, of the same batch and tokens as the keys. ``kept``: what was made
    of blocks of them."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: dict[str, Growing] = {}
        self.kept = Kept()

    @classmethod
    def around(cls, layer: DynamicLayer) -> RememberingLayer:
        own = cls()
        own.__dict__.update(layer.__dict__)
        return own

    def remember(self, new: dict[str, Tensor]) -> dict[str, Tensor]:
        """What was remembered, with what the newest tokens add. Raises UnsupportedCallError where it is not of the same
        tokens as the keys."""
        count = self.get_seq_length()
        found: dict[str, Tensor] = {}
        for name, added in new.items():
            if name in self.memory:
                found[name] = self.memory[name].put(added)
            else:
                self.memory[name], found[name] = Growing(added), added
        for name, tensor in found.items():
            if tensor.shape[-2] != count or tensor.shape[0] != self.keys.shape[0]:
                held = tensor.shape[-2]
                self.memory, self.kept = {}, Kept()
                raise UnsupportedCallError(
                    f"the cache has {count} tokens, and of {held} of them is known what selectors read ({name}): it was"
                    " filled, or changed, without this pattern; fill it anew with the pattern attached"
                )
        return found

    def crop(self, *args: Any, **kwargs: Any) -> None:
        super().crop(*args, **kwargs)
        count = self.get_seq_length()
        self.kept.crop(count)
        for tensor in self.memory.values():
            tensor.crop(count)

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._change(lambda tensor: tensor.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._change(lambda tensor: tensor[indices, ...])

    def reorder_cache(self, beam_idx: Tensor) -> None:
        super().reorder_cache(beam_idx)
        self._change(lambda tensor: tensor.index_select(0, beam_idx.to(tensor.device)))

    def reset(self) -> None:
        super().reset()
        self.memory, self.kept = {}, Kept()

    def offload(self) -> None:
        super().offload()
        self._change(lambda tensor: tensor.to("cpu", non_blocking=True))

    def prefetch(self) -> None:
        super().prefetch()
        self._change(lambda tensor: tensor.to(self.device, non_blocking=True))

    def _change(self, change: Callable[[Tensor], Tensor]) -> None:
        self.kept.change(change)
        for tensor in self.memory.values():
            tensor.change(change)


def followed(cache: Any, keys: Tensor) -> RememberingLayer | None:
    """The layer of the cache that has just given out ``keys``; it remembers from now on. None for a cache, or a layer
    of it, whose changes cannot be followed."""
    for place, layer in enumerate(cache.layers if isinstance(cache, Cache) else ()):
        held = getattr(layer, "keys", None)
        if held is None or held.shape != keys.shape or held.data_ptr() != keys.data_ptr():
            continue
        if type(layer) not in (DynamicLayer, RememberingLayer):
            return None
        if not isinstance(layer, RememberingLayer):
            layer = cache.layers[place] = RememberingLayer.around(layer)
        return layer
    return None


def remembering(cache: Any, keys: Tensor) -> RememberingLayer:
    """As ``followed``. Raises UnsupportedCallError where it is None."""
    layer = followed(cache, keys)
    if layer is not None:
        return layer
    if not isinstance(cache, Cache):
        raise UnsupportedCallError(f"a {type(cache).__name__} is not a cache that learned patterns follow; {_REMEDY}")
    kinds = ", ".join(sorted({type(layer).__name__ for layer in cache.layers}))
    raise UnsupportedCallError(
        f"a {type(cache).__name__} of {kinds} does not show what learned patterns must follow; {_REMEDY}"
    )
