"""What the selectors of a layer read of one call: of the newest tokens, and of those that its cache remembers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import AttachError, UnsupportedCallError
from ...selectors.kept import Kept
from ...selectors.learned import Learned
from .binding import LearnedLayer
from .entered import Entered
from .rotary import is_rotary


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """q [B, Hq, M, D] of the newest tokens, k and v [B, Hkv, N, D] of all of them as attention uses them; what entered
    the module; the keys as its cache gave them out; int32 ``spans`` [B, 2] of the N tokens."""

    q: Tensor
    k: Tensor
    v: Tensor
    entered: Entered
    cached: Tensor
    scale: float
    softcap: float | None
    spans: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """hidden [B, N, W], q [B, Hq, N, D] and k [B, Hkv, N, D], of the whole sequence, before rotary embedding where it
    can be undone; None where nothing reads them. ``kept``: what was made of earlier tokens of the same cache."""

    hidden: Tensor | None
    q: Tensor | None
    k: Tensor | None
    kept: Kept | None = None


def read(given: Given, layer: LearnedLayer, learned: Learned, *, everything: bool) -> Read:
    """What the selectors say that they read; ``everything`` there is, where no cache had to remember it.

    Raises UnsupportedCallError where the cache does not have it.
    """
    reads = learned.reads
    whole = given.q.shape[2] == given.k.shape[2]
    cache = given.entered.cache
    if cache is None and not whole:
        raise UnsupportedCallError(
            f"{given.q.shape[2]} queries and {given.k.shape[2]} keys, of a cache that layer {layer.index} does not let"
            " its attention function see; pass use_cache=False"
        )
    hidden = given.entered.hidden if everything or "hidden" in reads else None
    q, k = None, None
    if everything or "heads" in reads:
        # What is only watched has no gradient: where checkpointing runs a call again, it is not watched, and must keep
        # as many tensors as it did.
        with torch.set_grad_enabled(torch.is_grad_enabled() and "heads" in reads):
            q, k = _unturned(given, layer)
    if hidden is not None and "hidden" not in reads:
        hidden = hidden.detach()
    if cache is None:
        return Read(hidden, q, k)
    new = {"hidden": hidden} if "hidden" in reads else {}
    if "heads" in reads:
        new |= {"q": q} | ({} if layer.turn is None else {"k": k})
    known, kept = _remembered(given, {name: tensor for name, tensor in new.items() if tensor is not None}, learned)
    if whole:
        return Read(hidden, q, k, kept)
    return Read(known.get("hidden"), known.get("q"), known.get("k", given.k if "heads" in reads else None), kept)


def _remembered(given: Given, new: dict[str, Tensor], learned: Learned) -> tuple[dict[str, Tensor], Kept | None]:
    from ..caches.remembering import followed, remembering  # needs transformers

    if new:
        layer = remembering(given.entered.cache, given.cached)
        return layer.remember(new), layer.kept
    if not learned.summarises:
        return {}, None
    other = followed(given.entered.cache, given.cached)
    return {}, None if other is None else other.kept


def _unturned(given: Given, layer: LearnedLayer) -> tuple[Tensor, Tensor]:
    """Of the newest tokens."""
    k = given.k[:, :, given.k.shape[2] - given.q.shape[2] :]
    if layer.turn is None:
        return given.q, k
    if not is_rotary(given.entered.rotary):
        raise AttachError(f"layer {layer.index} was called without the rotary embedding that it had before")
    return layer.turn.undo(given.q, k, given.entered.rotary)
