"""Runs tests/runtime/engines/interpreter in a process of its own.

Triton decides when a kernel is defined whether it is interpreted; this process may need compiled kernels elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("triton")
torch = pytest.importorskip("torch")

FOLDER = Path(__file__).parent / "interpreter"


FAST, SLOW = 2, 12
"""Processes among which the tests are dealt out."""


@pytest.mark.parametrize(
    ("selection", "share"),
    [
        *(("not slow", f"{at}/{FAST}") for at in range(FAST)),
        *(pytest.param("slow", f"{at}/{SLOW}", marks=pytest.mark.slow) for at in range(SLOW)),
    ],
)
def test_generated_kernels_in_the_interpreter(selection: str, share: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment |= {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", str(FOLDER), "-q", "-n", "0", "-p", "no:cacheprovider"]
    command += ["-m", selection, "--share", share, "--programs", environment["PATTERNC_CACHE_DIR"]]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=FOLDER.parents[3])
    assert run.returncode == 0, run.stdout + run.stderr


def test_without_a_gpu_or_the_interpreter_the_remedy_is_stated(monkeypatch: pytest.MonkeyPatch) -> None:
    from patternc.compiler.passes.program import Program, Tile
    from patternc.runtime.engines.engine import Call
    from patternc.runtime.engines.triton.engine import TritonEngine
    from patternc.runtime.errors import EngineUnavailable

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    x = torch.zeros(1, 1, 4, 16)
    with pytest.raises(EngineUnavailable, match="TRITON_INTERPRET=1"):
        TritonEngine().forward(Program("none", True, Tile(16, 16), (), (), ()), x, x, x, Call(1.0))


def test_lists_of_learned_terms_state_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    import patternc as pc
    from patternc.runtime.errors import EngineUnavailable

    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    module = pc.loads("pattern only() causal {\n    learn few = importance(budget = 30%)\n    step columns(few)\n}\n")
    layer = pc.compile(module["only"].bind(), heads=1, head_dim=16, engine="triton")
    x = torch.zeros(1, 1, 4, 16)
    with pytest.raises(EngineUnavailable, match="TRITON_INTERPRET=1"):
        layer(x, x, x, hidden=x[:, 0])
