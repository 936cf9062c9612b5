"""The layers and tensors that are saved, as the manifest lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor

from ...errors import SavedError
from ...learned.attention import LearnedAttention
from ..attaching.discovery import Layer
from .manifest import SavedAttachment, SavedLayer, SavedShape


def layers_of(layers: Sequence[Layer], learned: Mapping[int, LearnedAttention]) -> dict[int, SavedLayer]:
    """The layers that learn, by number."""
    names = {layer.index: layer.name for layer in layers}
    return {index: _layer(names[index], each) for index, each in learned.items()}


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
