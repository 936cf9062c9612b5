"""The files of a saved attachment: their names, and reading them without a model."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor

from .... import __version__
from ....compiler.pattern import Pattern, Plan, loads
from ....compiler.selection import UsageError, settings
from ....patterns_dsl.diagnostics.diagnostic import PatternError
from ...artifact import digest
from ...errors import SavedError
from .manifest import SCHEMA, SavedAttachment
from .shapes import check_tensors

MANIFEST, SOURCE, TENSORS = "patternc.json", "patternc.pat", "patternc.safetensors"


def read_saved(directory: Path) -> tuple[Pattern | Plan, SavedAttachment, dict[str, Tensor]]:
    """What ``Handle.save`` wrote, without a model: what was attached, the manifest, and what was learned, as
    layers.NUMBER.NAME. Raises SavedError."""
    manifest = read_manifest(directory)
    return read_subject(directory, manifest), manifest, read_tensors(directory / TENSORS, manifest)


def read_manifest(directory: Path) -> SavedAttachment:
    """Raises SavedError."""
    path = directory / MANIFEST
    content = _read(path)
    try:
        version = json.loads(content).get("schema_version")
        if version != SCHEMA:
            raise SavedError(
                f"{path} has format {version}, and patternc {__version__} reads format {SCHEMA}; load it with the"
                " version that wrote it"
            )
        return SavedAttachment.model_validate_json(content)
    except (ValidationError, ValueError, AttributeError, RecursionError) as error:
        if isinstance(error, SavedError):
            raise
        raise SavedError(f"{path} is not the manifest of a saved attachment: {error}") from error


def read_subject(directory: Path, manifest: SavedAttachment) -> Pattern | Plan:
    """The pattern or plan that was attached. Raises SavedError."""
    content = _intact(directory / SOURCE, manifest.source)
    try:
        name = str(directory / SOURCE)
        found = subject_of(content.decode(), name, manifest.kind, manifest.name, manifest.arguments)
        _ = found.bound
    except (PatternError, KeyError, UsageError, UnicodeDecodeError) as error:
        raise SavedError(
            f"{directory / SOURCE} does not give the {manifest.kind} {manifest.name!r}: {error}"
        ) from error
    return found


def subject_of(text: str, source: str, kind: str, name: str, arguments: dict[str, str]) -> Pattern | Plan:
    module = loads(text, name=source)
    if kind == "plan":
        return module.plans[name]
    return module[name].bind(**settings(f"{key}={value}" for key, value in arguments.items()))


def read_tensors(path: Path, manifest: SavedAttachment) -> dict[str, Tensor]:
    content = _intact(path, manifest.tensors)
    try:
        tensors = safetensors.torch.load(content)
    except SafetensorError as error:
        raise SavedError(f"{path} is not a safetensors file: {error}") from error
    check_tensors(path, tensors, manifest)
    return tensors


def _intact(path: Path, expected: str) -> bytes:
    content = _read(path)
    if digest(content) != expected:
        raise SavedError(f"{path} was changed after it was written, or belongs to another {MANIFEST}; save again")
    return content


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise SavedError(f"{path} is missing: this is not the folder of a saved attachment, or not all of it") from None
