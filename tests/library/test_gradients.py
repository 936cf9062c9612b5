"""Outputs and gradients of every stock pattern that an engine runs, on random shapes, strides, padding and offsets,
against float64: what `patternc compile --check-gradients` asks."""

from __future__ import annotations

import pytest

import patternc as pc
from patternc.library import catalogue
from patternc.testing.verify.program import uncompilable
from patternc.testing.verify.run import Search, check_gradients

RUN = [
    pytest.param(file, name, id=name)
    for file in catalogue.names()
    for name, pattern in pc.load(f"library:{file}").patterns.items()
    if not uncompilable(pattern.bind(), "compose")
]


@pytest.mark.parametrize(("file", "name"), RUN)
def test_engines_keep_to_float64(file: str, name: str) -> None:
    report = check_gradients(pc.load(f"library:{file}")[name].bind(), Search(examples=6, seed=1))
    tried = {outcome.name: outcome.examples for outcome in report.outcomes if not outcome.left_out}
    assert tried == {"engine reference": 6, "engine compose": 6}
    assert report.passed, [outcome.failure for outcome in report.outcomes if outcome.failure]
