"""Generated source as a file on disk, and as an imported module. Triton reads the text of a kernel from its file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ..cache import cache_directory, digest, entry, is_fresh, keep_entry, write_atomically
from ..passes.pinned import Pinned
from ..passes.program import Program
from .emit.heads import emit_heads
from .emit.program import emit
from .launch import Role
from .source_lines import told_by_code

_FORMAT = "patternc source 1"


def write_source(source: str, directory: Path | None = None) -> Path:
    """The file that holds ``source``, named by its hash.

    Atomic: the text is written aside and renamed, so that two processes may write the same file at once. A file whose
    content is not what its name says is replaced, never imported.
    """
    path = _path(digest(source), directory)
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
    return _imported(write_source(source, directory), given)


def _path(of: str, directory: Path | None = None) -> Path:
    """Where the source of this digest is."""
    return (cache_directory() if directory is None else directory) / f"kernels_{of[:24]}.py"


def _imported(path: Path, given: Mapping[str, object] | None = None) -> ModuleType:
    name = f"patternc_generated.{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module).update(given or {})
    with told_by_code(str(path)):
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
    return getattr(_imported(_written(pinned.program, role, index)), f"{role}_{index}")


def _written(program: Program, role: Role, index: int) -> Path:
    """The file of what ``emit`` writes. To write it takes up to a hundred times as long as to look at what is there: of
    a program that came from the disk an entry says which file that is."""
    if not program.entry or is_fresh():
        return write_source(emit(program, (role, index)))
    key = digest(f"{program.entry} {role} {index}")
    path, title = cache_directory() / f"source_{key[:32]}.txt", f"{_FORMAT} {key}"
    if (found := entry(path, title, _unchanged, "the kernel is written anew")) is not None:
        return found
    source = emit(program, (role, index))
    keep_entry(path, title, digest(source))
    return write_source(source)


def _unchanged(of: str) -> Path | None:
    """The file of the source of this digest; None where it is gone. Raises ValueError where it is another."""
    path = _path(of)
    try:
        if digest(path.read_text(encoding="utf-8")) == of:
            return path
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read ({error})") from None
    raise ValueError(f"{path} is not as it was written")
