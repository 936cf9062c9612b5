"""The pairs of some queries and keys, from the closed form."""

from __future__ import annotations

import numpy as np
import pytest

import patternc as pc
from patternc.compiler.relations.membership import membership


@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
@pytest.mark.parametrize("step", ["everything", "block(4) | columns({3})", "local(3)"])
def test_it_is_the_mask_and_the_callers_own(direction: str, step: str) -> None:
    pattern = pc.loads(f"pattern p {direction} {{ step {step} }}")["p"].bind()
    rows = np.array([0, 5, 11])
    found = membership(pattern.bound.union, pattern.bound.direction, 12, 12)(rows, np.arange(12))
    assert np.array_equal(found, pattern.mask(12).numpy()[rows])
    assert found.flags.writeable and found.base is None
