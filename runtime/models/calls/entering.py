"""What enters an attention module, handed on to its attention function.

transformers gives an attention function q, k and v, and not the hidden states that selectors read. A pre-hook on the
module puts them among the keyword arguments, which every attention of a text model hands on. So nothing is kept
anywhere: a forward that is nested, fails or is run again for its gradient finds what entered it.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from torch import nn
from torch.utils.hooks import RemovableHandle

from ...errors import AttachError
from .entered import ENTERED, Entered
from .rotary import identity, is_rotary

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

CACHES = ("past_key_values", "cache", "layer_past")
"""What modules call their cache: since transformers 5.24 most of them the second, GPT-NeoX the third."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Of a module's forward. ``hidden``: the name of its hidden states; ``places``: where each argument stands."""

    hidden: str
    places: dict[str, int]

    @classmethod
    def of(cls, module: nn.Module) -> Signature:
        """Raises AttachError for a module that takes no further keyword arguments."""
        parameters = inspect.signature(module.forward).parameters
        kinds = {parameter.kind for parameter in parameters.values()}
        names = list(parameters)
        if inspect.Parameter.VAR_KEYWORD not in kinds or len(names) < 2:
            raise AttachError(
                f"{type(module).__name__} takes no further keyword arguments, through which learned patterns receive"
                " hidden states; leave these layers dense with a plan"
            )
        hidden = "hidden_states" if "hidden_states" in parameters else names[0]
        return cls(hidden, {name: place for place, name in enumerate(names)})

    def find(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The value of an argument, None where it is not given."""
        place = self.places.get(name, len(args))
        return args[place] if place < len(args) else kwargs.get(name)

    def replaced(self, name: str, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        place = self.places.get(name, len(args))
        if place < len(args):
            return (*args[:place], value, *args[place + 1 :]), kwargs
        return args, {**kwargs, name: value}


@dataclass(frozen=True, slots=True)
class HandOn:
    """A pre-hook that adds what enters to the keyword arguments; a cache that drops keys is told who comes."""

    signature: Signature

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        given = partial(self.signature.find, args=args, kwargs=kwargs)
        caches = (given(name) for name in CACHES)
        cache = next((each for each in caches if each is not None), None)
        if cache is not None:
            from ..caches.evicting import evicting  # needs transformers

            dropping = evicting(cache, module)
            if dropping is not None:
                dropping.enter(module)
        return args, {**kwargs, ENTERED: Entered(given(self.signature.hidden), cache, given("position_embeddings"))}


@dataclass(frozen=True, slots=True)
class Unturned:
    """A pre-hook that takes the angles out of a rotary embedding."""

    signature: Signature

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Arguments:
        rotary = self.signature.find("position_embeddings", args, kwargs)
        if not is_rotary(rotary):
            return args, kwargs
        return self.signature.replaced("position_embeddings", identity(rotary), args, kwargs)


def hand_on(module: nn.Module) -> RemovableHandle:
    """Raises AttachError for a module that does not take the argument."""
    return module.register_forward_pre_hook(HandOn(Signature.of(module)), with_kwargs=True)


def unturn(module: nn.Module) -> RemovableHandle:
    return module.register_forward_pre_hook(Unturned(Signature.of(module)), with_kwargs=True)
