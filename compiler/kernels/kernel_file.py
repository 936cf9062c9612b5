"""Generated source as a file on disk, and as an imported module. Triton reads the text of a kernel from its file."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ..cache import cache_directory, write_atomically
from ..passes.pinned import Pinned
from ..passes.program import Program
from .emit.heads import emit_heads
from .emit.program import emit
from .launch import Role


def write_source(source: str, directory: Path | None = None) -> Path:
    """The file that holds ``source``, named by its hash.

    Atomic: the text is written aside and renamed, so that two processes may write the same file at once. A file whose
    content is not what its name says is replaced, never imported.
    """
    folder = cache_directory() if directory is None else directory
    path = folder / f"kernels_{hashlib.sha256(source.encode()).hexdigest()[:24]}.py"
    try:
        if path.read_text(encoding="utf-8") == source:
            return path
    except (OSError, UnicodeDecodeError):
        pass
    write_atomically(path, source)
    return path


def import_source(source: str, directory: Path | None = None, given: Mapping[str, object] | None = None) -> ModuleType:
    """The module of ``source``; one module per text and process. ``given``: names that the text uses and does not
    define; the same for the same text."""
    path = write_source(source, directory)
    name = f"patternc_generated.{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(given or {})
    spec.loader.exec_module(module)
    return sys.modules.setdefault(name, module)


def kernel(program: Program, role: Role, index: int) -> Any:
    """The imported kernel ``index`` of a role, from a module of its own: Triton takes its time over every function that
    it reads, and the first kernel of a chain is at work while the next is imported."""
    return _kernel(Pinned(program), role, index)


@lru_cache(maxsize=256)
def kernel_for_heads(parts: tuple[tuple[Pinned[Program], int], ...], role: Role, index: int) -> Any:
    """The kernel that runs ``index`` of a role for several programs, each with its owner."""
    found = [(kernel(pinned.program, role, index), owner, pinned) for pinned, owner in parts]
    given = {f"part{at}": own for at, (own, *_) in enumerate(found)}
    owners = {f"part{at}": owner for at, (_, owner, _) in enumerate(found)}
    labels = [f"{own.fn.__module__}.{role}_{index}, {pinned.program.name}" for own, _, pinned in found]
    names = list(inspect.signature(found[0][0].fn).parameters)
    return getattr(import_source(emit_heads(role, index, names, owners, labels), given=given), f"{role}_{index}")


@lru_cache(maxsize=1024)
def _kernel(pinned: Pinned[Program], role: Role, index: int) -> Any:
    return getattr(import_source(emit(pinned.program, (role, index))), f"{role}_{index}")
