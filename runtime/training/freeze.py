"""From a saved attachment to a plain plan: its gates as open or closed, and how far that is from what they were."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ...compiler.freeze import FrozenLayer, freeze
from ...compiler.pattern import Pattern, Plan
from ...compiler.relations.settle import GATE, opens
from ...patterns_dsl.syntax import BoundPattern
from ..errors import ArgumentError
from ..models.saved.files import read_saved


@dataclass(frozen=True, slots=True)
class RoundedGate:
    """A gate that was neither 0 nor 1, in one head of a layer."""

    layer: int
    head: int
    gate: str
    value: float
    is_open: bool

    @property
    def distance(self) -> float:
        return abs(self.value - self.is_open)


@dataclass(frozen=True, slots=True)
class Frozen:
    """``text`` of a .pat file with one plan. It computes what the attachment does where nothing was ``rounded``."""

    text: str
    rounded: tuple[RoundedGate, ...]


def freeze_saved(directory: Path | str, *, threshold: float = 0.5) -> Frozen:
    """The plan of what ``Handle.save`` wrote. A gate is open from ``threshold`` on; one that is hard is 0 or 1 already.

    What rounding costs is of the size of the distances where gated terms share no pair and a query reads something
    under an open gate. Of a pair that several hold, a gate that is rounded to 0 makes way for the next one, as a gate
    of 0 does, and before it had not; a query whose gates are all near 0 had read by their proportions, and reads
    nothing.

    Raises NotFrozen for what depends on the input, SavedError for a folder that is not intact, ArgumentError.
    """
    if not 0 < threshold < 1:
        raise ArgumentError("threshold", f"{threshold}", "give a value of gates, between 0 and 1")
    subject, manifest, tensors = read_saved(Path(directory))
    layers, rounded = dict[int, FrozenLayer](), list[RoundedGate]()
    for index, saved in manifest.layers.items():
        pattern, gates = _pattern(subject, saved.pattern, index), dict[str, tuple[bool, ...]]()
        for number, name in enumerate(_gates(pattern)):
            values = _values(tensors, f"layers.{index}.learned.gates.{number}.")
            is_open = values >= threshold
            gates[name] = tuple(is_open.tolist())
            rounded += _rounded(index, name, values, is_open)
        layers[index] = FrozenLayer(pattern, saved.query_heads, gates)
    return Frozen(freeze(subject, layers, manifest.layer_count), tuple(rounded))


def _pattern(subject: Pattern | Plan, name: str, layer: int) -> BoundPattern:
    """What a layer that learned was given: it has one pattern, for all of its heads."""
    if isinstance(subject, Pattern):
        return subject.bound
    return next(
        pattern
        for assignment, pattern in subject.bound.assignments
        if pattern.name == name
        and (assignment.layers is None or any(low <= layer <= high for low, high in assignment.layers))
    )


def _gates(pattern: BoundPattern) -> list[str]:
    """In the order in which a layer holds them."""
    return [each.source for each in opens(pattern.union) if each.examples == GATE]


def _values(tensors: dict[str, Tensor], start: str) -> Tensor:
    logits = tensors[f"{start}logits"].double()
    return (logits > 0).double() if bool(tensors[f"{start}is_hard"]) else torch.sigmoid(logits)


def _rounded(layer: int, name: str, values: Tensor, is_open: Tensor) -> Iterator[RoundedGate]:
    for head, (value, kept) in enumerate(zip(values.tolist(), is_open.tolist(), strict=True)):
        if value != kept:
            yield RoundedGate(layer, head, name, value, kept)
