"""A layer of transformers' cache that keeps the keys which its pattern can still read, and drops the others.

Attention gets all places of the sequence: kept keys lie at theirs, in a room that the layers of a cache share. What was
dropped is read by no query to come, so it does not matter what stands there. It is the attached attention that asks a
layer to drop, since it knows where the sequences of a batch begin; a layer that is never asked keeps all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers.cache_utils import Cache, DynamicLayer

from ....compiler.reads import keys_read
from ....compiler.relations.integer import Predicate
from ...errors import UnsupportedCallError
from ...growing import Growing
from ..calls.binding import ATTRIBUTE, Binding, is_ours
from ..masks.require import require
from .room import Room

_SLACK = 4
"""A layer looks again when it has grown by a fourth, so it holds at most so much beside what it must."""

_AT_LEAST = 64

_ANOTHER = (
    "what this cache was made for is detached, or another model fills it: it may have dropped keys that another"
    " attention reads; make a new one, handle.cache()"
)


class EvictingLayer(DynamicLayer):  # type: ignore[misc]
    """``keys`` and ``values`` [B, H, M, D] are of M tokens, of ``get_seq_length()`` that there were."""

    is_croppable = False
    keys: Any  # transformers' own: None while the layer is empty
    values: Any

    def __init__(self, binding: Binding, read: tuple[Predicate, ...], rooms: tuple[Room, Room]) -> None:
        super().__init__()
        self.binding = ref(binding)  # a copy of the cache is for the same model
        self.read, self.rooms = read, rooms
        self._empty()

    def _empty(self) -> None:
        self.entered, self.unread = False, False  # whether a call is announced; whether one was and did not get to drop
        self.is_initialized = False
        self.keys = self.values = None
        self.held: tuple[Growing, ...] = ()  # keys, values, places
        self.length, self.next_look = 0, 0
        self.starts: Tensor | None = None  # int32 [B], of the sequences, since the first key was dropped; None: 0

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def enter(self, module: nn.Module) -> None:
        """Before a module adds its keys, which another one than the attached would not read as they are kept.

        Raises UnsupportedCallError for it.
        """
        if getattr(module, ATTRIBUTE, None) is not self.binding():
            raise UnsupportedCallError(_ANOTHER)
        config = getattr(module, "config", None)
        if config is not None and not is_ours(config._attn_implementation):
            raise UnsupportedCallError(
                f"the config says attn_implementation={config._attn_implementation!r}, which may read keys that this"
                " cache has dropped; attach again, and make a new one, handle.cache()"
            )
        if self.unread:
            raise UnsupportedCallError(
                f"the last call on this cache broke off, or {type(module).__name__} does not let its attention function"
                " see its cache; make a new one, handle.cache(), or use the default cache (DynamicCache)"
            )
        self.entered = True

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """All places, [B, H, N, D]; those of keys that were dropped hold anything."""
        if not self.entered:
            raise UnsupportedCallError(_ANOTHER)
        self.entered, self.unread = False, True
        begin, self.length = self.length, self.length + key_states.shape[2]
        places = torch.arange(begin, self.length, device=key_states.device)
        new = (key_states, value_states, places[:, None])
        if self.held:
            self.keys, self.values, places = (held.put(x) for held, x in zip(self.held, new, strict=True))
        else:
            self.lazy_initialization(key_states, value_states)
            self._hold(*new)
        if len(places) == self.length:
            return self.keys, self.values
        at, (keys_room, values_room) = places[:, 0], self.rooms
        return keys_room.lay(self.keys, at, self.length), values_room.lay(self.values, at, self.length)

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def drop(self, spans: Tensor | None) -> None:
        """Let go of what no query to come reads. ``spans`` int32 [B, 2]: the tokens of each sequence.

        Raises UnsupportedCallError where these begin elsewhere than when keys were dropped before.
        """
        self.unread = False
        starts = None if spans is None else spans[:, 0]
        count = self.held[2].count
        if count < self.length:
            self._check_starts(starts)
        if count < self.next_look or (spans is not None and bool((spans[:, 0] == spans[:, 1]).any())):
            return  # of a sequence that is all padding so far, nobody knows where it will begin
        places = self.held[2].tensor[:, 0].cpu().numpy()
        kept = self._live(places, [0] if starts is None else sorted(set(starts.tolist())))
        if len(kept) < count:
            self.starts = starts
            chosen = torch.from_numpy(kept).to(self.device)
            self._hold(*(held.tensor.index_select(-2, chosen) for held in self.held))
        self.next_look = len(kept) + max(_AT_LEAST, len(kept) // _SLACK)

    def _live(self, places: NDArray[np.int64], starts: list[int]) -> NDArray[np.int64]:
        """Which of the places some sequence can still read, ascending."""
        read = np.zeros(places.shape, dtype=np.bool_)
        for start in starts:
            first = int(np.searchsorted(places, start))
            for predicate in self.read:
                read[first:] |= keys_read(places[first:] - start, predicate, i=self.length - start)
        return np.flatnonzero(read)

    def _check_starts(self, starts: Tensor | None) -> None:
        message = (
            "attention_mask has other tokens as padding than when this cache dropped keys; make a new one,"
            " handle.cache(), for each batch"
        )
        now, before = (torch.zeros(()) if each is None else each for each in (starts, self.starts))
        require((now == before).all(), message)

    def get_seq_length(self) -> int:
        return self.length

    def crop(self, *args: Any, **kwargs: Any) -> None:
        raise UnsupportedCallError(
            "tokens cannot be taken back from a cache that drops keys: those before them may need what is gone; use the"
            " default cache (DynamicCache)"
        )

    def reset(self) -> None:
        self._empty()

    def batch_repeat_interleave(self, repeats: int) -> None:
        self._change_batch(lambda x: x.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: Tensor) -> None:
        self._change_batch(lambda x: x[indices, ...])

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self._change_batch(lambda x: x.index_select(0, beam_idx.to(x.device)))

    def _change_batch(self, change: Callable[[Tensor], Tensor]) -> None:
        if not self.held:
            return
        keys, values, places = self.held
        self._hold(change(keys.tensor), change(values.tensor), places.tensor)
        if self.starts is not None:
            self.starts = change(self.starts)

    def _hold(self, *tensors: Tensor) -> None:
        self.held = tuple(Growing(x) for x in tensors)
        self.keys, self.values, _ = tensors


def evicting(cache: Any, module: nn.Module) -> EvictingLayer | None:
    """What a cache has for a module, where that drops keys."""
    layers = cache.layers if isinstance(cache, Cache) else ()
    place = getattr(module, "layer_idx", None)
    layer = layers[place] if isinstance(place, int) and place < len(layers) else None
    return layer if isinstance(layer, EvictingLayer) else None
