"""The manifest of a saved attachment: what was attached to which model, and the hashes of the files beside it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ...manifest import Digest, Record

SCHEMA = 1

Kind = Literal["pattern", "plan"]


class SavedShape(Record):
    """Of one tensor: its sizes, and its data type as safetensors has it."""

    shape: tuple[int, ...]
    dtype: str


class SavedLayer(Record):
    """A layer that learns, in the model it was trained in."""

    name: str = Field(description="the qualified name of its attention module")
    pattern: str
    width: int = Field(ge=1, description="of the hidden states that enter it")
    query_heads: int = Field(ge=1)
    key_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    tensors: dict[str, SavedShape]


class SavedAttachment(Record):
    """``arguments`` are spelled as ``-p`` takes them, without sets and relations that are defaults of the text; of a
    plan there are none. ``layers`` by number."""

    schema_version: Literal[1] = 1
    patternc: str = Field(description="the version that wrote this")
    kind: Kind
    name: str
    arguments: dict[str, str]
    random: int | None = Field(description="the seed of frozen controls")
    model: str = Field(description="the class of the model")
    layer_count: int = Field(ge=1, description="of all attention layers, with those that learn nothing")
    layers: dict[int, SavedLayer]
    source: Digest = Field(description="SHA-256 of patternc.pat")
    tensors: Digest = Field(description="SHA-256 of patternc.safetensors")
