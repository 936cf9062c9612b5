"""What was attached and learned, on disk, beside a model or apart from it. It is data: loading runs no code of it.

patternc.pat           the source text of the pattern or plan
patternc.safetensors   what each layer learned, as layers.NUMBER.NAME
patternc.json          the manifest (saved_manifest.py), written last
"""

from __future__ import annotations

import json
from pathlib import Path

import safetensors.torch
import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from ... import __version__
from ...compiler.pattern import Pattern, Plan, loads
from ...compiler.selection import UsageError, settings, spelled
from ...patterns_dsl.diagnostics.diagnostic import PatternError
from ..artifact import digest
from ..errors import AttachError, SavedError
from .attach import attach
from .handle import Handle
from .saved_fit import check_model, check_tensors, fill, layers_of
from .saved_manifest import SCHEMA, Kind, SavedAttachment

MANIFEST, SOURCE, TENSORS = "patternc.json", "patternc.pat", "patternc.safetensors"


def save(handle: Handle, directory: Path) -> None:
    """As ``Handle.save``."""
    if not handle.attached:
        raise AttachError("this handle is detached, and what it learned is gone with it; save before detaching")
    if not handle.learned:
        raise AttachError("no pattern of this attachment has learned terms: there is nothing to save beside its text")
    subject = handle.subject
    text = subject.module.source.text
    kind: Kind = "plan" if isinstance(subject, Plan) else "pattern"
    arguments = {} if isinstance(subject, Plan) else {name: spelled(value) for name, value in subject.bound.arguments}
    try:
        again = _subject(text, SOURCE, kind, subject.name, arguments)
        intact = again.bound == subject.bound
    except (PatternError, KeyError, UsageError) as error:
        raise SavedError(
            f"{subject.module.source.name} alone does not give {subject.name!r} ({error}); write the files that it"
            " imports into one, and attach from that"
        ) from error
    if not intact:
        raise SavedError(f"the text of {subject.name!r} with its arguments {arguments} does not give it back exactly")
    tensors = {
        f"layers.{index}.{name}": tensor.detach().cpu().contiguous()
        for index, learned in handle.learned.items()
        for name, tensor in learned.state_dict().items()
    }
    content = safetensors.torch.save(tensors)
    manifest = SavedAttachment(
        patternc=__version__, kind=kind, name=subject.name, arguments=arguments, random=handle.random,
        model=type(handle.model).__name__, layer_count=len(handle.layers), layers=layers_of(handle),
        source=digest(text.encode()), tensors=digest(content),
    )  # fmt: skip
    directory.mkdir(parents=True, exist_ok=True)
    (directory / SOURCE).write_bytes(text.encode())
    (directory / TENSORS).write_bytes(content)
    (directory / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_attached(model: nn.Module, directory: Path | str, *, engine: str = "auto") -> Handle:
    """Attach what ``Handle.save`` wrote into ``directory``: the same pattern, and in each layer what it had learned.

    The model must be as the other was: its class, its attention layers and their sizes. Its weights are its own affair.
    Raises SavedError where the files are missing, changed, of another format, or do not fit the model or each
    other; AttachError and PlanError as :func:`~patternc.runtime.models.attach.attach`. The model is then as before.
    """
    directory = Path(directory)
    manifest = read_manifest(directory)
    subject = read_subject(directory, manifest)
    tensors = _read_tensors(directory / TENSORS, manifest)
    with torch.random.fork_rng(devices=[]):  # the first values, which are replaced at once
        handle = attach(model, subject, engine=engine, random=manifest.random)
    try:
        check_model(handle, manifest, directory / MANIFEST)
        for index, learned in handle.learned.items():
            start = f"layers.{index}."
            fill(learned, {name.removeprefix(start): x for name, x in tensors.items() if name.startswith(start)})
    except BaseException:
        handle.detach()
        raise
    return handle


def read_saved(directory: Path) -> tuple[Pattern | Plan, SavedAttachment, dict[str, Tensor]]:
    """What ``Handle.save`` wrote, without a model: what was attached, the manifest, and what was learned, as
    layers.NUMBER.NAME. Raises SavedError."""
    manifest = read_manifest(directory)
    return read_subject(directory, manifest), manifest, _read_tensors(directory / TENSORS, manifest)


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
    except (ValidationError, ValueError, AttributeError) as error:
        if isinstance(error, SavedError):
            raise
        raise SavedError(f"{path} is not the manifest of a saved attachment: {error}") from error


def read_subject(directory: Path, manifest: SavedAttachment) -> Pattern | Plan:
    """The pattern or plan that was attached. Raises SavedError."""
    content = _intact(directory / SOURCE, manifest.source)
    try:
        name = str(directory / SOURCE)
        found = _subject(content.decode(), name, manifest.kind, manifest.name, manifest.arguments)
        _ = found.bound
    except (PatternError, KeyError, UsageError, UnicodeDecodeError) as error:
        raise SavedError(
            f"{directory / SOURCE} does not give the {manifest.kind} {manifest.name!r}: {error}"
        ) from error
    return found


def _subject(text: str, source: str, kind: str, name: str, arguments: dict[str, str]) -> Pattern | Plan:
    module = loads(text, name=source)
    if kind == "plan":
        return module.plans[name]
    return module[name].bind(**settings(f"{key}={value}" for key, value in arguments.items()))


def _read_tensors(path: Path, manifest: SavedAttachment) -> dict[str, Tensor]:
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
