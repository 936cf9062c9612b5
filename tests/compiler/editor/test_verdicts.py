"""Verdicts are kept by what they mean, and their places follow the text."""

from __future__ import annotations

import pytest

from patternc.compiler.editor.buffers import Buffers
from patternc.compiler.editor.reading import read
from patternc.compiler.editor.verdicts import Subject, Verdicts, moved
from patternc.compiler.mend import mend
from patternc.compiler.selection import Reference
from patternc.compiler.verify.guard import check_within
from patternc.compiler.verify.result import Status
from patternc.patterns_dsl.diagnostics.source import Source

TEXT = """pattern p(w: int = 4) causal {
    step a = local(w) - self
    step b = strided(w)
    prove nonempty
    prove reach in 2 steps
    prove b <= causal
}
"""


def bound(text: str) -> Subject:
    made = read(Source("main.pat", text), Buffers().read)
    assert not made.errors
    return made.bound[0]


@pytest.fixture(scope="module")
def known() -> Verdicts:
    verdicts, subject = Verdicts(), bound(TEXT)
    verdicts.add(subject, check_within(subject))
    return verdicts


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "# above\n\n" + TEXT,
        TEXT.replace("\n    ", "\n  # a comment\n        "),
        TEXT.replace("local(w)", "local(w = 4)").replace("pattern", '"""About it."""\npattern'),
        TEXT.replace("local(w) - self", "(local(4)   -   self)"),
        TEXT.replace("local(w)", "near(w)") + "rule near(w: int) = { (i, j) : -w < i - j < w }",
    ],
)
def test_what_means_the_same_is_known(text: str, known: Verdicts) -> None:
    subject = bound(text)
    assert known.missing(subject) is None
    fresh = check_within(subject)
    for mine, theirs in zip(known.of(subject), fresh, strict=True):
        assert mine is not None
        assert mine == theirs
        assert mine.claim.span == theirs.claim.span
        assert (mine.span and mine.span.text) == (theirs.span and theirs.span.text)
        assert (mine.fix and mine.fix.span) == (theirs.fix and theirs.fix.span)


def test_a_moved_fix_mends_the_text_that_it_was_moved_to(known: Verdicts) -> None:
    text = "# above 😀\n" + TEXT.replace("local(w) - self", "local(w)  -  self  # not itself")
    (first, *_) = known.of(bound(text))
    assert first is not None and first.status is Status.REFUTED and first.fix is not None
    place = first.fix.span
    mended = text[: place.start] + first.fix.replacement + text[place.end :]
    assert mended == mend(Source("main.pat", text), Reference("main.pat", None), {}).text
    assert check_within(bound(mended))[0].status is Status.PROVED


@pytest.mark.parametrize(
    ("old", "new", "left"),
    [
        ("reach in 2", "reach in 3", ["prove reach in 3 steps"]),
        ("prove nonempty", "prove causal", ["prove causal"]),
        ("b <= causal", "b   <= causal", []),
        ("b <= causal", "b <= b", ["prove b <= b"]),
        ("strided(w)", "strided(5)", ["prove nonempty", "prove reach in 2 steps", "prove b <= causal"]),
        ("w: int = 4", "w: int = 5", ["prove nonempty", "prove reach in 2 steps", "prove b <= causal"]),
        ("causal {", "bidirectional {", ["prove nonempty", "prove reach in 2 steps", "prove b <= causal"]),
    ],
)
def test_only_what_changed_is_missing(old: str, new: str, left: list[str], known: Verdicts) -> None:
    assert old in TEXT
    missing = known.missing(bound(TEXT.replace(old, new)))
    assert [claim.span.text for claim in missing.claims if missing] == left if missing else left == []


def test_a_place_that_is_lost_is_not_guessed() -> None:
    subject = bound(TEXT)
    (first, *_) = check_within(subject)
    elsewhere = first.claim.span  # as if the fault lay in a place that is no node of the tree
    lost = type(first)(first.claim, first.text, first.status, span=type(elsewhere)(elsewhere.source, 1, 2))
    assert moved(lost, subject, bound("\n" + TEXT), subject.claims[0]) is None


def test_few_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("patternc.compiler.editor.verdicts.MOST", 2)
    verdicts = Verdicts()
    subjects = [bound(f"pattern p causal {{ step local({w}) prove nonempty }}") for w in (1, 2, 3)]
    for subject in subjects:
        verdicts.add(subject, check_within(subject))
    assert [verdicts.missing(subject) is None for subject in subjects] == [False, True, True]
