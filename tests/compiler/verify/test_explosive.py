"""Formulas built to explode end in a verdict, in the time of compiler/verify/guard.py and without a traceback.

Each took less than ten seconds when it was measured by hand; no test measures time.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from patternc.cli import app


def causal(*statements: str) -> str:
    return "pattern p causal {\n" + "\n".join(statements) + "\n}\n"


EXPLOSIVE = {
    "exists and moduli": causal(
        "step { (i, j) : exists a : exists b : exists c : (i + a) mod 7 = (j + b) mod 11",
        "  and (a * 3 + c) mod 13 = b mod 5 and c mod 17 = (i + j) mod 19 }",
        "prove nonempty",
    ),
    "forty parts under not": causal(
        "step not { (i, j) : " + " or ".join(f"(i + {k} * j) mod {k + 2} = {k % 2}" for k in range(40)) + " }",
        "prove nonempty prove reach in 2 steps",
    ),
    "large moduli": causal(
        "step { (i, j) : i mod 1000003 = j mod 999983 and (i + j) mod 998244353 < 5 }",
        "prove nonempty prove reach in 2 steps prove keys <= 10 prove cache <= 3",
    ),
    "moduli without a common divisor": causal(
        "step { (i, j) : (i - j) mod 97 = 3 or (i + 2 * j) mod 101 = 5 or (3 * i + j) mod 103 < 9 }",
        "prove reach in 3 steps",
    ),
    "products of strides": causal(
        "step " + " @ ".join(f"(strided({k}) | local({k}))" for k in (3, 5, 7, 11, 13, 17, 19, 23)),
        "prove nonempty prove reach in 2 steps prove keys <= 10",
    ),
    "ninety products": causal(f"step {' @ '.join(['local(2)'] * 90)}", "prove nonempty prove reach in 2 steps"),
    "a sum of squares": causal(
        "step { (i, j) : exists a in 0..60 : exists b in 0..60 : i - j = a * a + 7 * b }", "prove reach in 5 steps"
    ),
    "a million steps": causal("step local(2)", "prove reach in 1000000 steps"),
    "orders of forty steps": causal(*(f"step local({k})" for k in range(1, 40)), "prove reach in any layer order"),
    "ten thousand layers": causal("step local(4)", "step strided(4)")
    + "plan m { layers 0..9999 : p interleaved prove reach in any 5000 layers prove cache <= 10 }",
    "a hundred claims": causal("step local(8) | strided(31)", *(f"prove keys <= {k}" for k in range(1, 100))),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", EXPLOSIVE)
def test_formulas_built_to_explode(name: str, tmp_path: Path) -> None:
    """A verdict on every claim: which one depends on the machine, and UNKNOWN is one."""
    (tmp_path / "x.pat").write_text(EXPLOSIVE[name], encoding="utf-8")
    done = CliRunner().invoke(app, ["check", str(tmp_path / "x.pat")], catch_exceptions=False)
    assert done.exit_code in (0, 1)
    verdicts = re.findall(r"^  (?:PROVED|CHECKED|REFUTED|UNKNOWN) ", done.stdout, re.MULTILINE)
    assert len(verdicts) == EXPLOSIVE[name].count("prove ")
