"""A call of a model whose text is divided among processes, and that one of them refuses: the others wait for it."""

from __future__ import annotations

import sys
from typing import Any

from torch import nn

from ...distributed.context_parallel import ContextParallel
from ...errors import UnsupportedCallError
from .binding import ATTRIBUTE, PROBE


def tell_others(module: nn.Module, args: tuple[Any, ...], output: object) -> None:
    """A hook of a whole model behind its forward, an interrupted one included. What a layer or the mask function
    refuses was refused before this process sent anything: the others are told, and raise as well."""
    error = sys.exc_info()[1]
    if output is not None or not isinstance(error, UnsupportedCallError) or error.told or PROBE.calls is not None:
        return
    error.told = True  # of models within each other each has this hook
    bindings = (getattr(part, ATTRIBUTE, None) for part in module.modules())
    program = next((binding.program for binding in bindings if binding is not None), None)
    if isinstance(program, ContextParallel):
        program.refuse(next(module.parameters()).device)
