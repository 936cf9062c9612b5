"""What a command attaches to a model: a pattern, a plan, or the folder of a saved attachment."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

import torch
from torch import nn

from ...compiler.idle_choices import idle_choices
from ...compiler.pattern import Pattern, Plan
from ...compiler.relations.settle import GATE, opens
from ...compiler.selection import UsageError, select, select_plan, title
from ..errors import AttachError
from .attach import attach
from .attaching.plan import check_not_cross
from .attaching.programs import is_learned
from .handle import Handle
from .saved.files import read_manifest, read_subject
from .saved.load import load_attached

Subject: TypeAlias = Pattern | Plan | Path


def find_subject(text: str, parameters: Iterable[str]) -> Subject:
    """``DIR``, ``FILE``, ``FILE::NAME`` or ``library:NAME``. Raises UsageError, PatternError, OSError."""
    parameters = list(parameters)
    if Path(text).is_dir():
        if parameters:
            raise UsageError(f"{text} is a saved attachment with the parameters that it has; leave -p out")
        return Path(text)
    return select_plan(text, parameters) or select(text, parameters)


def check_subject(subject: Subject) -> None:
    """Before a model is loaded and measured. Raises AttachError for a pattern that no model's self-attention runs."""
    for pattern in _patterns(subject):
        check_not_cross(pattern)


def check_learns(subject: Subject, remedy: str) -> None:
    """As ``check_subject``, and AttachError for what learns nothing; what is saved has learned."""
    check_subject(subject)
    if not isinstance(subject, Path) and not any(map(is_learned, _patterns(subject))):
        raise AttachError(f"{_name(subject)} has no learned terms: {remedy}")


def check_decides(subject: Subject) -> None:
    """Raises AttachError for learned terms that all decide on nothing, which no training changes."""
    if isinstance(subject, Path):
        return
    learned = [pattern for pattern in _patterns(subject) if is_learned(pattern)]
    if learned and not any(map(_decides, learned)):
        found = dict.fromkeys(sentence for pattern in learned for _, sentence in idle_choices(pattern.bound))
        raise AttachError(f"{_name(subject)} has nothing to train: {'; '.join(found)}")


def _decides(pattern: Pattern) -> bool:
    """Whether a selection or a gate decides on something."""
    idle = {name for name, _ in idle_choices(pattern.bound)}
    gated = any(each.examples == GATE for each in opens(pattern.bound.union))
    return gated or not idle or any(one.name not in idle for one in pattern.bound.selectors)


def title_of(subject: Subject) -> str:
    """Raises SavedError for a folder that holds no saved attachment."""
    if isinstance(subject, Path):
        return f"{_name(read_subject(subject, read_manifest(subject)))}, saved in {subject}"
    return _name(subject) + (", untrained" if any(map(is_learned, _patterns(subject))) else "")


def _patterns(subject: Subject) -> list[Pattern]:
    """None of what is saved: it was in a model."""
    if isinstance(subject, Path):
        return []
    return [subject] if isinstance(subject, Pattern) else [pattern for _, pattern in subject.assignments]


def _name(subject: Pattern | Plan) -> str:
    return title(subject.bound) if isinstance(subject, Pattern) else f"plan {subject.name}"


def attach_subject(model: nn.Module, subject: Subject, *, seed: int = 0) -> Handle:
    """What a pattern learns, and is not saved, begins at random: by this seed, whatever was drawn before."""
    if isinstance(subject, Path):
        return load_attached(model, subject)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return attach(model, subject)
