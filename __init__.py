"""patternc: a compiler for sparse attention.

    import patternc as pc

    module = pc.load("fixed.pat")                         # or pc.loads(text), pc.load("library:longformer")
    pattern = module["fixed_factorized"].bind(l=32, c=4)
    pc.check(pattern)                                     # a verdict per claim, for every sequence length
    program = pc.compile(pattern, head_dim=64)            # out = program(q, k, v)
    handle = pc.attach(model, pattern)                    # handle.detach() restores the model

The names load on first use: importing patternc, and checking patterns, imports neither torch nor triton.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import library as library
    from .compiler.pattern import Module as Module
    from .compiler.pattern import Pattern as Pattern
    from .compiler.pattern import Plan as Plan
    from .compiler.pattern import load as load
    from .compiler.pattern import loads as loads
    from .compiler.verify.check import check as check
    from .compiler.verify.result import Result as Result
    from .compiler.verify.result import Status as Status
    from .compiler.verify.result import Witness as Witness
    from .patterns_dsl.diagnostics.diagnostic import Diagnostic as Diagnostic
    from .patterns_dsl.diagnostics.diagnostic import PatternError as PatternError
    from .runtime.compile import compile as compile
    from .runtime.compiled_heads import compile_heads as compile_heads
    from .runtime.distributed.context_parallel import context_parallel as context_parallel
    from .runtime.distributed.division import places_here as places_here
    from .runtime.models.attach import attach as attach
    from .runtime.models.saved.load import load_attached as load_attached

__version__ = "0.1.0"

_HOMES = {
    "Diagnostic": ".patterns_dsl.diagnostics.diagnostic",
    "Module": ".compiler.pattern",
    "Pattern": ".compiler.pattern",
    "PatternError": ".patterns_dsl.diagnostics.diagnostic",
    "Plan": ".compiler.pattern",
    "Result": ".compiler.verify.result",
    "Status": ".compiler.verify.result",
    "Witness": ".compiler.verify.result",
    "attach": ".runtime.models.attach",
    "check": ".compiler.verify.check",
    "compile": ".runtime.compile",
    "compile_heads": ".runtime.compiled_heads",
    "context_parallel": ".runtime.distributed.context_parallel",
    "load": ".compiler.pattern",
    "load_attached": ".runtime.models.saved.load",
    "loads": ".compiler.pattern",
    "places_here": ".runtime.distributed.division",
}
__all__ = ["__version__", "library", *_HOMES]


def __getattr__(name: str) -> Any:
    if name == "library":
        return import_module(".library", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
