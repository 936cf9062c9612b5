"""Generated source as a file on disk, and as an imported module. Triton reads the text of a kernel from its file."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType

from ..passes.pinned import Pinned
from ..passes.program import Program
from .emit import emit


def cache_directory() -> Path:
    """Where generated files live: $PATTERNC_CACHE_DIR, else the user's cache as the platform places it."""
    if chosen := os.environ.get("PATTERNC_CACHE_DIR"):
        return Path(chosen)
    match sys.platform:
        case "win32":
            return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "patternc" / "Cache"
        case "darwin":
            return Path.home() / "Library" / "Caches" / "patternc"
        case _:
            return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "patternc"


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
    folder.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(dir=folder, prefix=path.stem, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            stream.write(source)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise
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


def kernels(program: Program) -> ModuleType:
    """The imported kernels of a program."""
    return _kernels(Pinned(program))


@lru_cache(maxsize=256)
def _kernels(pinned: Pinned) -> ModuleType:
    return import_source(emit(pinned.program))
