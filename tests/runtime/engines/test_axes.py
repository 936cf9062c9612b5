"""The compose engine over the rows of a grid, some of which are left out: against the reference in float64."""

from __future__ import annotations

import pytest
from beside_reference import agrees
from tiled_rows import pattern, program

from patternc.runtime.engines.engine import Call


@pytest.mark.parametrize("n", [270, 600])
@pytest.mark.parametrize("direction", ["causal", "bidirectional"])
def test_outputs_and_gradients_are_those_of_the_reference(direction: str, n: int) -> None:
    agrees(pattern(direction), program(direction), n, n, Call(0.3))
