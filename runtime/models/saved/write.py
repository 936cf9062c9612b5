"""Writing what is attached to a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import safetensors.torch
from torch import nn

from .... import __version__
from ....compiler.pattern import Pattern, Plan
from ....compiler.selection import UsageError, given
from ....patterns_dsl.diagnostics.diagnostic import PatternError
from ...artifact import digest
from ...errors import SavedError
from ...learned.attention import LearnedAttention
from ..attaching.discovery import Layer
from .files import MANIFEST, SOURCE, TENSORS, subject_of
from .manifest import Kind, SavedAttachment
from .shapes import layers_of


def save(
    directory: Path,
    model: nn.Module,
    subject: Pattern | Plan,
    layers: Sequence[Layer],
    learned: Mapping[int, LearnedAttention],
    random: int | None,
) -> None:
    """As ``Handle.save``: ``layers`` are all attention layers of the model, ``learned`` by number what some learned."""
    text = subject.module.source.text
    kind: Kind = "plan" if isinstance(subject, Plan) else "pattern"
    arguments = {} if isinstance(subject, Plan) else given(subject.bound)
    try:
        again = subject_of(text, SOURCE, kind, subject.name, arguments)
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
        for index, each in learned.items()
        for name, tensor in each.state_dict().items()
    }
    content = safetensors.torch.save(tensors)
    manifest = SavedAttachment(
        patternc=__version__, kind=kind, name=subject.name, arguments=arguments, random=random,
        model=type(model).__name__, layer_count=len(layers), layers=layers_of(layers, learned),
        source=digest(text.encode()), tensors=digest(content),
    )  # fmt: skip
    directory.mkdir(parents=True, exist_ok=True)
    (directory / SOURCE).write_bytes(text.encode())
    (directory / TENSORS).write_bytes(content)
    (directory / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
