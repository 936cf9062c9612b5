"""Find the attention modules of a transformers model by watching a forward pass.

Class names, ``layer_idx`` and ``layer_types`` all mislead (layers share indices, configs are copied). What counts is
which modules call the attention function, so a forward over two tokens is run and its calls are noted. Layers are
numbered in the order of their first call.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ...errors import AttachError, in_a_line
from ..calls.binding import ATTRIBUTE, NAME, PROBE, Call, is_ours
from ..calls.dispatch import register_names
from ..modes import evaluating


@dataclass(frozen=True, slots=True)
class Layer:
    """An attention module: its number, its qualified name in the model, and what it was called with."""

    index: int
    name: str
    call: Call

    @property
    def causal(self) -> bool:
        return bool(getattr(self.call.module, "is_causal", True))


def check_model(model: nn.Module) -> None:
    """Raise AttachError, with a remedy, for a model that cannot be attached at all."""
    import transformers
    from transformers import PreTrainedModel, masking_utils

    if "q_length" not in inspect.signature(masking_utils.sdpa_mask).parameters:
        raise AttachError(
            f"transformers {transformers.__version__} tells a mask function too little; patterns attach from 5.6 on"
        )
    kind = type(model).__name__
    if not isinstance(model, PreTrainedModel):
        raise AttachError(f"{kind} is not a transformers model; pass a PreTrainedModel (unwrap PEFT or DDP first)")
    config = model.config
    if config.is_encoder_decoder or getattr(config, "add_cross_attention", False):
        raise AttachError(f"{kind} has cross-attention, which is not implemented; attach decoder-only models")
    # MPT and ESM have configs within, and are one model each.
    several = any(isinstance(part, PreTrainedModel) and part.config is not config for part in model.modules())
    if config.sub_configs and several:
        raise AttachError(
            f"{kind} is made of several models; attach its language model, e.g. model.model.language_model"
        )
    if model.main_input_name != "input_ids":
        raise AttachError(
            f"{kind} reads {model.main_input_name}, and patterns are attached to models of text; call what"
            " patternc.compile returns from its attention"
        )
    if not model._can_set_attn_implementation():
        raise AttachError(
            f"{kind} does not route its attention through transformers' AttentionInterface, so nothing can be attached"
        )
    if is_ours(config._attn_implementation) or any(hasattr(module, ATTRIBUTE) for module in model.modules()):
        raise AttachError(
            f"{kind} already has a pattern attached; call detach() on its handle first"
            " (a copy of an attached model has no handle: copy.deepcopy((model, handle)) copies both)"
        )
    if getattr(config, "output_attentions", False):
        raise AttachError("no engine returns attention weights; set config.output_attentions = False first")


def models_within(model: nn.Module) -> list[nn.Module]:
    """Itself, and the models that it is made of: each can be called alone."""
    from transformers import PreTrainedModel

    return [module for module in model.modules() if isinstance(module, PreTrainedModel)]


def configs_of(model: nn.Module) -> list[Any]:
    """The distinct config objects that the modules of the model read."""
    seen = {id(module.config): module.config for module in model.modules() if hasattr(module, "config")}
    return [config for config in seen.values() if hasattr(config, "_attn_implementation")]


def discover(model: nn.Module) -> tuple[Layer, ...]:
    """The attention layers in calling order. The model is left as it was. Raises AttachError if there are none."""
    with routed(model):
        calls = watch(model, dry=True)
    names = {id(module): name for name, module in model.named_modules()}
    first: dict[int, Call] = {}
    for call in calls:
        first.setdefault(id(call.module), call)
    layers = tuple(Layer(index, names[key], call) for index, (key, call) in enumerate(first.items()))
    if not layers:
        raise AttachError(
            f"no attention module of {type(model).__name__} called the attention function in a forward pass"
        )
    _check_all_called(model, layers)
    _check_masks(model, layers)
    return layers


@contextmanager
def routed(model: nn.Module) -> Iterator[None]:
    """With our attention function."""
    register_names()
    saved = [(config, config._attn_implementation) for config in configs_of(model)]
    try:
        for config, _ in saved:
            config._attn_implementation = NAME
        yield
    finally:
        for config, name in saved:
            config._attn_implementation = name


def _check_all_called(model: nn.Module, layers: tuple[Layer, ...]) -> None:
    """A module that looks like attention but was not called would silently stay dense."""
    called = {layer.call.module for layer in layers}
    for name, module in model.named_modules():
        looks = type(module).__name__.endswith("Attention") and hasattr(module, "is_causal")
        if looks and not any(child in called for child in module.modules()):
            raise AttachError(
                f"attention module {name!r} ({type(module).__name__}) was not called in a forward pass over text;"
                " attach the part of the model that a text passes through"
            )


def _check_masks(model: nn.Module, layers: tuple[Layer, ...]) -> None:
    """Where no mask was made by way of our mask function, one that comes is the model's own. Modules that do not say
    whether they are causal (LayoutLM's) tell by it alone."""
    for layer in layers:
        if layer.call.masked and not hasattr(layer.call.module, "is_causal"):
            raise AttachError(
                f"{type(model).__name__} makes attention masks by itself, past transformers' mask functions, and its"
                f" {type(layer.call.module).__name__} does not say whether it is causal: nothing tells where a pattern"
                " may look; call what patternc.compile returns from its attention"
            )


def watch(model: nn.Module, *, dry: bool, token: int = 0) -> list[Call]:
    """The attention calls of a forward over twice this token. Weights, modes and random state are left as they were.

    Raises AttachError for a model that fails where nothing but its attention is taken out (``dry``)."""
    embeddings: Any = model.get_input_embeddings()  # type: ignore[operator]
    tokens = torch.full((1, 2), token, device=embeddings.weight.device)
    PROBE.calls, PROBE.dry = [], dry
    try:
        with torch.no_grad(), evaluating(model), _forked_rng(tokens.device):
            model(input_ids=tokens, use_cache=False)
        return PROBE.calls
    except AttachError:
        raise
    except Exception as error:
        if not dry:  # not the model's: a program has run
            raise
        raise AttachError(
            f"{type(model).__name__} does not run over two tokens without a mask, as is tried first"
            f" ({in_a_line(error, 200)}); where it does run by itself, its layers read the mask, and take no pattern"
        ) from error
    finally:
        PROBE.calls, PROBE.dry = None, False


@contextmanager
def _forked_rng(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
