"""Attaching what was saved, and whether it fits the model that it is loaded into."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .... import __version__
from ...errors import SavedError
from ...learned.attention import LearnedAttention
from ..attach import attach
from ..handle import Handle
from .files import MANIFEST, TENSORS, read_manifest, read_subject, read_tensors
from .manifest import SavedAttachment, SavedShape
from .shapes import layers_of

_SINCE = ("scorer.frequencies",)
"""Numbers that earlier versions did not save: a module that loads what lacks them does as it did then."""

_SIZES = ("name", "pattern", "width", "query_heads", "key_heads", "head_dim")


def load_attached(model: nn.Module, directory: Path | str, *, engine: str = "auto") -> Handle:
    """Attach what ``Handle.save`` wrote into ``directory``: the same pattern, and in each layer what it had learned.

    The model must be as the other was: its class, its attention layers and their sizes. Its weights are its own affair.
    Raises SavedError where the files are missing, changed, of another format, or do not fit the model or each
    other; AttachError and PlanError as :func:`~patternc.runtime.models.attach.attach`. The model is then as before.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    subject = read_subject(directory, manifest)
    tensors = read_tensors(directory / TENSORS, manifest)
    with torch.random.fork_rng(devices=[]):  # the first values, which are replaced at once
        handle = attach(model, subject, engine=engine, random=manifest.random)
    try:
        _check_model(handle, manifest, directory / MANIFEST)
        for index, learned in handle.learned.items():
            start = f"layers.{index}."
            _fill(learned, {name.removeprefix(start): x for name, x in tensors.items() if name.startswith(start)})
    except BaseException:
        handle.detach()
        raise
    return handle


def _check_model(handle: Handle, manifest: SavedAttachment, path: Path) -> None:
    """Raises SavedError, naming the first thing that differs."""
    here = layers_of(handle.layers, handle.learned)
    _same("class", type(handle.model).__name__, manifest.model, path)
    _same("attention layers", len(handle.layers), manifest.layer_count, path)
    _same("layers that learn", sorted(here), sorted(manifest.layers), path)
    for index, layer in here.items():
        saved = manifest.layers[index]
        for size in _SIZES:
            _same(f"layer {index}: {size}", getattr(layer, size), getattr(saved, size), path)
        for name in sorted(layer.tensors.keys() | saved.tensors.keys()):
            one, other = layer.tensors.get(name), saved.tensors.get(name)
            if other is None and name.endswith(_SINCE):
                continue
            if one is None or other is None or one.shape != other.shape:
                raise SavedError(
                    f"{path}: layer {index} has {name} {_shown(other)}, and patternc {__version__} makes it"
                    f" {_shown(one)} of the pattern; load it with patternc {manifest.patternc}, which wrote it"
                )


def _same(what: str, here: Any, saved: Any, path: Path) -> None:
    if here != saved:
        raise SavedError(
            f"{path} was written for another model: {what} {saved} there, {here} here; load it into the model that it"
            " was trained in"
        )


def _shown(tensor: SavedShape | None) -> str:
    return "not at all" if tensor is None else f"of shape {list(tensor.shape)}"


def _fill(learned: LearnedAttention, tensors: dict[str, Tensor]) -> None:
    """Raises SavedError where numbers would be rounded."""
    for name, own in learned.state_dict().items():
        if name not in tensors and name.endswith(_SINCE):
            continue
        if torch.promote_types(own.dtype, tensors[name].dtype) != own.dtype:
            raise SavedError(
                f"{name} was saved as {tensors[name].dtype}, which is wider than {own.dtype} here; load it into a model"
                " of the data type that it was trained in"
            )
    learned.load_state_dict(tensors)
