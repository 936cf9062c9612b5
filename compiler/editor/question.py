"""What the server asks the process that proves, and how both are written to a pipe."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ...patterns_dsl.syntax import BoundPattern, BoundPlan

_LENGTH = struct.Struct(">Q")

HEADER = _LENGTH.size
"""Bytes in front of a value that say how many follow."""


class Task(Enum):
    PROVE = "prove"  # the verdicts on all claims
    FIGURES = "figures"  # Figures
    CACHE = "cache"  # Bound, or None where nothing is decoded


@dataclass(frozen=True, slots=True)
class Question:
    task: Task
    subject: BoundPattern | BoundPlan


def packed(value: Any) -> bytes:
    """A value with its header. Raises RecursionError for a tree that is too deep."""
    content = pickle.dumps(value)
    return _LENGTH.pack(len(content)) + content


def size(header: bytes) -> int:
    """How many bytes follow a header."""
    length: int = _LENGTH.unpack(header)[0]
    return length


def unpacked(content: bytes) -> Any:
    return pickle.loads(content)
