"""An empty cache for an attached model: for each layer one that knows what its pattern can still read."""

from __future__ import annotations

from transformers import PreTrainedModel
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from ....compiler.reads import read_from_on
from ....compiler.relations.integer import TRUE
from ....patterns_dsl.syntax import Direction
from ...compiled_heads import CompiledHeads
from ...distributed.context_parallel import ContextParallel
from ...engines.by_heads import NOBODY
from ...errors import AttachError
from ..attaching.discovery import Layer
from ..calls.binding import Binding
from .evicting import EvictingLayer
from .room import Room


def cache_for(model: PreTrainedModel, layers: tuple[Layer, ...], bindings: tuple[Binding, ...]) -> Cache:
    """Raises AttachError where layers are no decoder's, or transformers does not number them from 0 on."""
    if any(isinstance(binding.program, ContextParallel) for binding in bindings):
        raise AttachError("a sequence that is divided among processes fills no cache; attach without a group to decode")
    if not all(layer.causal for layer in layers):
        raise AttachError(f"{type(model).__name__} is an encoder: it reads all tokens at once, and fills no cache")
    places = [getattr(layer.call.module, "layer_idx", None) for layer in layers]
    own = [type(layer) for layer in DynamicCache(config=model.config).layers]
    if places != list(range(len(own))) or not {*own} <= {DynamicLayer, DynamicSlidingWindowLayer}:
        raise AttachError(
            f"{type(model).__name__} has layers of other kinds, or shared ones, whose caches nothing here makes; use"
            " the model's own cache"
        )
    rooms = Room(), Room()
    return Cache(layers=[_layer(layer, binding, rooms) for layer, binding in zip(layers, bindings, strict=True)])


def _layer(layer: Layer, binding: Binding, rooms: tuple[Room, Room]) -> DynamicLayer:
    program = binding.program
    if program is None or (isinstance(program, CompiledHeads) and NOBODY in program.owners):
        return DynamicLayer()
    meanings = {group.compiled.meaning for group in binding.groups}
    assert all(meaning.direction is Direction.CAUSAL for meaning in meanings)
    read = tuple(read_from_on(meaning.expression, meaning.direction) for meaning in meanings)
    return DynamicLayer() if TRUE in read else EvictingLayer(binding, read, rooms)
