"""Whether what was saved fits the model that it is loaded into, and the files each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ... import __version__
from ..errors import SavedError
from ..learned.attention import LearnedAttention
from .handle import Handle
from .saved_manifest import SavedAttachment, SavedLayer, SavedShape

_SINCE = ("scorer.frequencies",)
"""Numbers that earlier versions did not save: a module that loads what lacks them does as it did then."""

_SIZES = ("name", "pattern", "width", "query_heads", "key_heads", "head_dim")


def layers_of(handle: Handle) -> dict[int, SavedLayer]:
    """The layers that learn, by number."""
    names = {layer.index: layer.name for layer in handle.layers}
    return {index: _layer(names[index], learned) for index, learned in handle.learned.items()}


def _layer(name: str, learned: LearnedAttention) -> SavedLayer:
    shape = learned.shape
    return SavedLayer(
        name=name,
        pattern=learned.pattern.name,
        width=shape.width,
        query_heads=shape.query_heads,
        key_heads=shape.key_heads,
        head_dim=shape.head_dim,
        tensors={key: _shape(tensor) for key, tensor in learned.state_dict().items()},
    )


def _shape(tensor: Tensor) -> SavedShape:
    return SavedShape(shape=tuple(tensor.shape), dtype=str(tensor.dtype))


def check_model(handle: Handle, manifest: SavedAttachment, path: Path) -> None:
    """Raises SavedError, naming the first thing that differs."""
    here = layers_of(handle)
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


def check_tensors(path: Path, tensors: dict[str, Tensor], manifest: SavedAttachment) -> None:
    """That a file holds what the manifest lists: no less, no more, nothing else. Raises SavedError."""
    expected = {
        f"layers.{index}.{name}": shape
        for index, layer in manifest.layers.items()
        for name, shape in layer.tensors.items()
    }
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in tensors:
            raise SavedError(f"{path} has no {name}, which the manifest lists; save again")
        if name not in expected:
            raise SavedError(f"{path} has {name}, which the manifest does not list; save again")
        if (found := _shape(tensors[name])) != expected[name]:
            raise SavedError(
                f"{path}: {name} is {found.dtype} {list(found.shape)}, and the manifest lists {expected[name].dtype}"
                f" {list(expected[name].shape)}; save again"
            )


def fill(learned: LearnedAttention, tensors: dict[str, Tensor]) -> None:
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
