"""What attach leaves on a model: a name in its config, and on each attention module a binding.

The name says what the mask function must make. Under ``patternc`` every layer runs programs and the mask is the 2D
padding or None. Under ``patternc_over_sdpa`` and ``patternc_over_eager`` some layers or heads are still the model's
own, and the mask is the one that they need; programs read the padding back out of it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ....patterns_dsl.syntax import Direction
from ...errors import AttachError
from .entered import Entered
from .heads import HeadGroup, Program
from .rotary import Turn
from .watching import Watching

NAME = "patternc"
ATTRIBUTE = "_patternc_binding"
MODULE = "patternc"
"""The submodule of an attention module that holds what its layer learns."""

OVER = {"sdpa": f"{NAME}_over_sdpa", "eager": f"{NAME}_over_eager"}
OWN = {name: own for own, name in OVER.items()}


@dataclass(frozen=True, slots=True)
class LearnedLayer:
    """A layer with a learned pattern: its number, and how its q and k are turned (None: not at all, as far as known).
    The ``LearnedAttention`` itself is the submodule ``MODULE``, which is copied and moved with the model."""

    index: int
    name: str
    direction: Direction
    depends_on_length: bool
    turn: Turn | None


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Binding:
    """What an attached attention module runs: ``program``, which is that of its groups of heads (``casts``: for other
    data types), or what is ``learned``. Without either, the model's own attention runs, named ``own``."""

    own: str
    groups: tuple[HeadGroup, ...] = ()
    program: Program | None = None
    casts: Mapping[torch.dtype, Program] = field(default_factory=dict, compare=False)
    learned: LearnedLayer | None = None
    first: bool = False  # of the layers that run a pattern: it checks what all of them receive alike
    watching: Watching = field(default_factory=Watching, compare=False)

    def program_for(self, dtype: torch.dtype) -> Program:
        """The program for a data type. Raises EngineError for one that the engine does not compute in."""
        assert self.program is not None
        return self.casts[dtype] if dtype in self.casts else self.program.with_dtype(dtype)

    def __deepcopy__(self, memo: dict[int, Any]) -> Binding:
        # All else is immutable, and programs are registered by content.
        return replace(self, watching=copy.deepcopy(self.watching, memo))


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the attention function, as a probe forward saw it. ``masked``: whether a mask came with it."""

    module: nn.Module
    query_heads: int
    key_heads: int
    head_dim: int
    value_dim: int
    dtype: torch.dtype
    device: torch.device
    masked: bool


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """What entered a module that hands it on, and the q and k that it made of it."""

    module: nn.Module
    entered: Entered
    query: Tensor
    key: Tensor


class _Probe:
    """While ``calls`` is a list, attention calls are noted; while ``dry``, they are also not computed. What entered
    the modules that hand it on is noted in ``entries``."""

    calls: list[Call] | None = None
    entries: list[Entry] | None = None
    dry: bool = False


PROBE = _Probe()


def implementation_name(own: str, *, mixed: bool) -> str:
    """The name to put into the config. Raises AttachError if ``own`` cannot run beside programs."""
    if not mixed:
        return NAME
    if own in OVER:
        return OVER[own]
    if own.startswith("flash_attention"):
        return NAME  # its mask is the 2D padding too
    choices = " or ".join(repr(name) for name in OVER)
    raise AttachError(
        f"a plan that leaves layers or heads dense cannot run beside attn_implementation={own!r};"
        f" load the model with {choices}, or cover every layer"
    )


def is_ours(name: str | None) -> bool:
    return name == NAME or name in OWN
