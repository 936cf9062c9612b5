"""English and German sentences: the message catalogues that packages ship, read from their installed files."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import polib

from .shipped import shipped

PACKAGES = ("django", "pretix")
_MARKUP = re.compile(r"[<>\n]|https?:|&\w+;")


@dataclass(frozen=True, slots=True)
class Pair:
    source: str
    target: str


def catalogues(package: str, language: str) -> list[Path]:
    """The compiled catalogues in the installed files of a package. Raises NotShipped."""
    middle = f"/{language}/LC_MESSAGES/"
    return shipped(package, lambda file: middle in str(file) and file.suffix == ".mo", f"catalogue of {language!r}")


def sentences(path: Path) -> Iterator[Pair]:
    """The messages of a compiled catalogue that are translated and differ; of plural forms none."""
    for entry in polib.mofile(str(path)):
        if entry.msgstr and entry.msgid != entry.msgstr:
            yield Pair(entry.msgid.strip(), entry.msgstr.strip())


def usable(pairs: Iterable[Pair], *, words: int = 3, characters: int = 120) -> list[Pair]:
    """Sentences of at least so many words and at most so many characters on either side, without markup; of equal
    sources the first."""
    found: dict[str, Pair] = {}
    for pair in pairs:
        sides = (pair.source, pair.target)
        if any(_MARKUP.search(side) or len(side) > characters for side in sides) or len(pair.source.split()) < words:
            continue
        found.setdefault(pair.source, pair)
    return list(found.values())


def split(pairs: list[Pair], held_out: int, seed: int = 0) -> tuple[list[Pair], list[Pair]]:
    """(to train on, held out), drawn from the sorted pairs, so that it does not depend on the order of files. No target
    of the one is among those of the other: catalogues say many things twice."""
    drawn = sorted(pairs, key=lambda pair: (pair.source, pair.target))
    random.Random(seed).shuffle(drawn)
    test, rest = drawn[:held_out], drawn[held_out:]
    known = {pair.target.casefold() for pair in test} | {pair.source.casefold() for pair in test}
    train = [pair for pair in rest if pair.target.casefold() not in known and pair.source.casefold() not in known]
    return train, test


def versions(packages: Iterable[str]) -> dict[str, str]:
    return {package: metadata.version(package) for package in packages}
