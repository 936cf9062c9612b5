"""What a fresh process imports: checking a pattern needs neither torch nor a picture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import patternc

LONGFORMER = Path(patternc.__file__).parent / "library" / "longformer.pat"
HEAVY = ("torch", "triton", "transformers", "matplotlib")


def loaded(code: str, modules: tuple[str, ...] = HEAVY) -> set[str]:
    """Which of the modules are in memory after running ``code`` in a new interpreter."""
    report = f"import sys, json; print(json.dumps([m for m in {modules!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import patternc",
        "import patternc.cli",
        "import patternc; patternc.library.load('fixed_factorized'); patternc.Status, patternc.PatternError",
        "import patternc; patternc.check(patternc.load('library:fixed_factorized')['fixed_factorized'].bind())",
        "from patternc import cli; cli.app(['check', 'library:fixed_factorized'], standalone_mode=False)",
    ],
)
def test_light(code: str) -> None:
    assert loaded(code) == set()


def test_what_is_simply_proved_needs_no_arrays() -> None:
    code = "from patternc import cli; cli.app(['check', 'library:fixed_factorized'], standalone_mode=False)"
    assert loaded(code, ("numpy", "networkx")) == set()


@pytest.mark.parametrize(
    "code",
    [
        "import patternc; patternc.load('library:longformer')['longformer'].bind(w=8).bound",
        f"from patternc import cli; cli.app(['fmt', '--check', {str(LONGFORMER)!r}], standalone_mode=False)",
    ],
)
def test_text_needs_no_sets(code: str) -> None:
    assert loaded(code, ("islpy", "numpy")) == set()


def test_calls_need_no_graph_compiler() -> None:
    code = """
import patternc, torch
x = torch.ones(1, 1, 8, 16, requires_grad=True)
program = patternc.compile(patternc.loads("pattern p causal { step local(2) }")["p"], head_dim=16, engine="compose")
program(x, x, x).sum().backward()
"""
    assert loaded(code, ("torch._dynamo", "sympy", "triton")) == set()


def test_public_names() -> None:
    assert set(patternc.__all__) <= set(dir(patternc))
    for name in patternc.__all__:
        assert getattr(patternc, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        patternc.nonsense  # noqa: B018
