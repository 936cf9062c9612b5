"""Patterns and tiny random models that the runtime's tests share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

import patternc as pc

# pytest's importlib mode leaves sys.path alone; the models shared by the test files live beside them.
sys.path.insert(0, str(Path(__file__).parent))

SOURCE = """
pattern dense causal { step { (i, j) : j <= i } }
pattern window(w: int = 4) causal { step local(w) }
pattern factorized(s: int = 4) causal {
    step near = local(s)
    step far = strided(s)
}
pattern both(w: int = 3) bidirectional { step local(w) }
pattern tail causal { step { (i, j) : j >= n - 3 or i = j } }
pattern gaps causal { step { (i, j) : j mod 4 = 3 } }
"""


@pytest.fixture(scope="session")
def patterns() -> Callable[[str], pc.Pattern]:
    """A pattern of ``SOURCE`` by name, bound to its defaults."""
    module = pc.loads(SOURCE)
    return lambda name: module[name].bind()


@pytest.fixture(scope="session")
def plans() -> Callable[[str], pc.Plan]:
    """A plan over the patterns of ``SOURCE``, from the text between its braces."""
    return lambda body: pc.loads(f"{SOURCE}\nplan test {{ {body} }}").plans["test"]


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
