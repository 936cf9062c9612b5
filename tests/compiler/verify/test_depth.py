"""Reach in many hops holds, and is worth a warning."""

from __future__ import annotations

import patternc as pc
from patternc.compiler.examine import FileReport, Finding, warning
from patternc.compiler.verify.result import Result, Status


def verdict(text: str) -> Result:
    [result] = pc.check(pc.loads(f"pattern p causal {{ {text} }}")["p"])
    return result


def test_few_hops_are_fine() -> None:
    for text in (
        "step block(3) step fixed(3, 1) | self prove reach in 2 steps",
        "step block(3) step fixed(3, 1) | self prove reach in 9 steps",  # it takes two
        "step local(4) prove reach in 3 steps at n = 10",
        "step local(2) prove not reach in 9 steps",
    ):
        assert verdict(text).warning == ""


def test_many_hops_are_named() -> None:
    found = verdict("step local(2) prove reach in 4 steps at n = 5")
    assert (found.status, found.warning) == (Status.CHECKED, "`reach in 4 steps at n = 5` holds, but not in 3 steps")
    said = warning(found)
    assert said is not None and (said.code, str(said.severity)) == ("P320", "warning")
    report = FileReport("x.pat", (Finding("p", (found,)),))
    assert report.passed and list(report.warnings()) == [said]
    assert verdict("step { (i, j) : i = j or j = 0 or j >= 3 * (i div 4) } prove reach in 4 steps").warning == ""
