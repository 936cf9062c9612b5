"""Outputs and gradients of every stock pattern under the generated kernels, in Triton's interpreter, against float64.

Parameters, lengths up to 300, groups of heads, strides, padding (also of all rows), late queries and data types are
drawn.
"""

from __future__ import annotations

import pytest

import patternc as pc
from patternc.library import catalogue
from patternc.testing.verify.engines import Engine
from patternc.testing.verify.program import uncompilable
from patternc.testing.verify.run import Search

TRITON = Engine("triton")
EXAMPLES = 4
TOO_COMPLEX = {"radial", "sliding_tile", "sliding_tile_map"}  # P401 with whatever parameters
RUN = [
    pytest.param(file, name, id=name)
    for file in catalogue.names()
    for name, pattern in pc.load(f"library:{file}").patterns.items()
    if name not in TOO_COMPLEX and not uncompilable(pattern.bind(), "triton")
]


# Keys behind the last are 0, and e^(0 - lse) of a query far below that is more than fp16 holds: rows of dk and dv that
# are computed, not stored. What is stored is compared.
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
@pytest.mark.slow
@pytest.mark.parametrize(("file", "name"), RUN)
def test_kernels_keep_to_float64(file: str, name: str) -> None:
    look = Search(examples=round(EXAMPLES / TRITON.share), seed=1)
    [outcome] = look(pc.load(f"library:{file}")[name].bind(), [TRITON]).outcomes
    assert outcome.failure is None
    assert not outcome.left_out
    assert outcome.examples == EXAMPLES
