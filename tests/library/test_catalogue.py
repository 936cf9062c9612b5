"""The catalogue: what every stock file must have, and the table that people choose from."""

from __future__ import annotations

import subprocess
import sys

import pytest

from patternc.library import catalogue
from patternc.library.entry import NONE, UNKNOWN, entries, of_file
from patternc.patterns_dsl.parsing.parse import parse
from patternc.patterns_dsl.syntax import Direction

ENTRIES = {(each.file, each.name): each for each in entries()}


def test_the_files() -> None:
    assert len(catalogue.names()) >= 50
    for name in catalogue.names():
        tree = parse(catalogue.source(name))
        assert catalogue.source(name).name == f"library:{name}"
        assert tree.patterns[0].name == name
        assert tree.documentation
        assert catalogue.summary(name).endswith(").")
        assert all(pattern.claims for pattern in tree.patterns)
        assert not any(each.documentation is None for each in tree.patterns[1:] + tree.plans), "a repair says of what"


def test_unknown_stock_patterns() -> None:
    with pytest.raises(catalogue.UnknownPattern, match="did you mean 'longformer'"):
        catalogue.text("longfromer")
    with pytest.raises(catalogue.UnknownPattern, match="there are a_shape, adaptive_axis"):
        catalogue.source("../pyproject")


def test_an_entry_quotes_the_claims_of_the_file() -> None:
    for each in ENTRIES.values():
        text = " ".join(catalogue.text(each.file).split())
        for kind, bound in (("keys", each.keys), ("cache", each.cache)):
            assert bound in (NONE, UNKNOWN) or f"prove {kind} <= {bound.partition(' at n = ')[0]}" in text
        assert each.paper in catalogue.summary(each.file)
        assert each.author.split()[0] in each.paper
        assert each.summary


def test_every_pattern_of_a_file_has_an_entry() -> None:
    assert list(ENTRIES) == [
        (name, each.name) for name in catalogue.names() for each in parse(catalogue.source(name)).patterns
    ]
    assert [each.name for each in ENTRIES.values() if each.first] == list(catalogue.names())


def test_a_dash_is_for_what_does_not_apply() -> None:
    """No hops between two sequences, no cache where nothing is decoded; what is not claimed has another sign."""
    for each in ENTRIES.values():
        assert each.keys != NONE
        assert (each.hops == NONE) == (each.direction is Direction.CROSS)
        assert (each.cache == NONE) == (each.direction is not Direction.CAUSAL)


@pytest.mark.parametrize(
    ("name", "kind", "keys", "hops", "cache", "author"),
    [
        ("streaming", "positional", "sink + w", "4 at n = 4081", "sink + w", "Xiao 2023"),
        (
            "strided_factorized",
            "positional",
            "l + (n - 1) div l",
            "2",
            "n - l + 1 at n = 512",
            "Child 2019",
        ),
        ("logsparse", "positional", "levels + 1", "6 at n = 64", "n div 2 + 1 at n = 512", "Li 2019"),
        ("axial", "positional", "width + (n - 1) div width", "never", "n - width + 1 at n = 512", "Ho 2019"),
        ("adaptive_span", "learned-static", "r + s", "4 at n = 125", "r + s", "Sukhbaatar 2019"),
        ("moba", "content", "k * b", "1 at n = 512", "n", "Lu 2025"),
        ("nsa", "hybrid", "n div s + k * b + w", "1", "n div s + n", "Yuan 2025"),
        ("packed_documents", "data", "n", UNKNOWN, "n", "Krell 2021"),
        ("granular", "content", "nk", NONE, NONE, "Zeng 2022"),
        ("deepspeed_variable", "positional", "n", "never", NONE, "DeepSpeed"),
    ],
)
def test_entries(name: str, kind: str, keys: str, hops: str, cache: str, author: str) -> None:
    found = of_file(name)[0]
    assert (found.kind, found.keys, found.hops, found.cache, found.author) == (kind, keys, hops, cache, author)


def test_the_further_patterns_of_a_file() -> None:
    axial, wrapped = of_file("axial")
    assert (axial.first, axial.hops, axial.summary) == (True, "never", catalogue.summary("axial"))
    assert (wrapped.file, wrapped.name, wrapped.first, wrapped.hops) == ("axial", "axial_wrapped", False, "2")
    assert wrapped.summary.startswith("The repair: ") and wrapped.author == "Ho 2019"


def test_nothing_is_proved_to_make_the_list() -> None:
    code = (
        "import sys; from patternc.library.entry import entries; entries(); "
        "print([name for name in ('torch', 'patternc.compiler.verify.prove') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
