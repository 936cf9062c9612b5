"""Each claim of each stock pattern: by brute force at small parameters, and by the prover at those of the paper."""

from __future__ import annotations

from itertools import product

import pytest
from brute_claims import holds, key_counts, live_counts, number
from definitions import CROSS, DEFINITIONS

from patternc.compiler.examine import examine
from patternc.compiler.pattern import load, loads
from patternc.library import catalogue
from patternc.patterns_dsl import syntax as s
from patternc.patterns_dsl.syntax import BoundPattern

PATTERNS = [(file, name) for file in catalogue.names() for name in load(f"library:{file}").patterns]

LENGTHS = (1, 2, 3, 7, 8, 31, 64, 97)
"""A claim for every n is tried at these; a claim `not reach` must show at the last."""

LONG = (*range(1, 130), 260)
"""The bounds of keys and caches are tried at these: one that is tight is attained somewhere."""

# Bounds that are not attained at small parameters, and why.
LOOSE = {
    ("bigbird_causal", s.Keys): "what is drawn may be in the window or global anyway",
    ("bigbird_causal", s.Cache): "which keys are drawn again, only the table knows",
    ("adaptive_sparse", s.Keys): "the window, the chosen blocks and the summaries may meet",
    ("nsa", s.Keys): "the window and the chosen blocks may meet, and the examples of a choice are two",
    ("sparsek", s.Keys): "the examples of a choice are two, which the window meets",
    ("adaptive_sparse", s.Cache): "a key is live before its summary is",
    ("nsa", s.Cache): "a key is live before its summary is",
    ("image_local", s.Cache): "it is attained where memory is as high as a block, as in test_facts",
}


def bound(file: str, name: str) -> BoundPattern:
    return load(f"library:{file}")[name].bind(**DEFINITIONS[name].parameters).bound


@pytest.mark.parametrize(("file", "name"), PATTERNS)
def test_every_claim_holds(file: str, name: str) -> None:
    small = bound(file, name)
    for claim in small.claims:
        if claim.at is not None:
            assert holds(claim, small, *claim.at.values), claim.span.text
        elif name in CROSS:
            assert all(holds(claim, small, n, nk) for n, nk in product((1, 2, 9, 31), repeat=2)), claim.span.text
        elif isinstance(claim, s.Reach) and claim.negated:
            assert holds(claim, small, LENGTHS[-1]), claim.span.text
        else:
            assert all(holds(claim, small, n) for n in LENGTHS), claim.span.text


@pytest.mark.parametrize("file", catalogue.names())
def test_every_claim_is_proved_with_the_parameters_of_the_paper(file: str) -> None:
    for report in examine([f"library:{file}"], []):
        assert report.passed, [f"{each.code}: {each.message}" for each in report.diagnostics()]
        assert all(finding.results for finding in report.findings)


@pytest.mark.parametrize(("file", "name"), PATTERNS)
def test_every_bound_is_attained(file: str, name: str) -> None:
    small = bound(file, name)
    for claim in small.claims:
        if not isinstance(claim, s.Keys | s.Cache) or (name, type(claim)) in LOOSE:
            continue
        lengths = [claim.at.values[0]] if claim.at is not None else LONG
        assert any(most(claim, small, n) == number(claim.most, n) for n in lengths), claim.span.text


def most(claim: s.Keys | s.Cache, pattern: BoundPattern, n: int) -> int:
    if isinstance(claim, s.Cache):
        return int(live_counts(pattern, n).max())
    cross = pattern.direction is s.Direction.CROSS
    return max(int(counts.max()) for counts in key_counts(pattern, n, n if cross else None))


@pytest.mark.parametrize(
    ("file", "claim"),
    [
        ("dense", "keys <= n - 1"),
        ("fixed_factorized", "reach in 1 step"),
        ("global_itc", "density <= 1% at n = 97"),
        ("longformer", "disjoint(self, local(w))"),
        ("moba", "reach in 3 steps"),
        ("neighborhood", "symmetric"),
        ("sliding_window", "cache <= w - 1"),
        ("streaming", "not reach in 97 steps"),
        ("strided_factorized", "far = causal"),
    ],
)
def test_a_false_claim_does_not_hold(file: str, claim: str) -> None:
    lines = [line for line in catalogue.text(file).splitlines() if not line.strip().startswith("prove")]
    lines.insert(lines.index("}"), f"    prove {claim}")
    pattern = loads("\n".join(lines))[file].bind(**DEFINITIONS[file].parameters).bound
    assert not holds(pattern.claims[0], pattern, LENGTHS[-1])
