"""What attach leaves on a model: a name in its config, and on each attention module a binding.

The name says what the mask function must make. Under ``patternc`` every layer runs programs and the mask is the 2D
padding or None. Under ``patternc_over_sdpa`` and ``patternc_over_eager`` some layers or heads are still the model's
own, and the mask is the one that they need; programs read the padding back out of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from ..compiled import Compiled
from ..compiled_heads import CompiledHeads
from ..errors import AttachError
from .heads import HeadGroup

NAME = "patternc"
ATTRIBUTE = "_patternc_binding"
OVER = {"sdpa": f"{NAME}_over_sdpa", "eager": f"{NAME}_over_eager"}
OWN = {name: own for own, name in OVER.items()}


@dataclass(frozen=True, slots=True)
class Binding:
    """What an attached attention module runs: ``program``, which is that of its groups of heads. Without groups it is
    None, and the model's own attention runs, named ``own``."""

    own: str
    groups: tuple[HeadGroup, ...]
    program: Compiled | CompiledHeads | None
    first: bool  # of the layers that run a program: it checks what all of them receive alike

    def __deepcopy__(self, memo: dict[int, Any]) -> Binding:
        return self  # immutable, and its programs are registered by content


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the attention function, as a probe forward saw it."""

    module: nn.Module
    query_heads: int
    key_heads: int
    head_dim: int
    dtype: torch.dtype
    device: torch.device


class _Probe:
    """While ``calls`` is a list, attention calls are noted; while ``dry``, they are also not computed."""

    calls: list[Call] | None = None
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
