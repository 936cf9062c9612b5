"""Generated source as a file on disk, and as an imported module. Triton reads the text of a kernel from its file."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from ..cache import cache_directory, write_atomically
from ..passes.pinned import Pinned
from ..passes.program import Program
from .emit import emit
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


def import_source(source: str, directory: Path | None = None) -> ModuleType:
    """The module of ``source``; one module per text and process."""
    path = write_source(source, directory)
    name = f"patternc_generated.{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return sys.modules.setdefault(name, module)


def kernels(program: Program, role: Role) -> ModuleType:
    """The imported kernels of a program in one role. Triton takes its time over every function of a module, and who
    only infers needs no gradients."""
    return _kernels(Pinned(program), role)


@lru_cache(maxsize=256)
def _kernels(pinned: Pinned, role: Role) -> ModuleType:
    return import_source(emit(pinned.program, (role,)))
