"""A bound in time and memory for proofs: a formula built to explode ends in a verdict, never in a hang or a crash.

Most claims are decided here, within a budget of set operations that stops at the same place on every machine. But the
operations are not equally long, and a formula of hundreds of parts can make each of them slow. So what is large, and
what is left of a pattern that has taken long already, is decided in a process of its own, with a time limit and a limit
of memory; what it does not decide is UNKNOWN.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from threading import Timer
from typing import Any

from ...patterns_dsl.syntax import BoundPattern, BoundPlan, Claim, Node, PlanClaim
from .plan_prove import prove as prove_plan
from .plan_subject import PlanSubject
from .prove import prove
from .result import Result, Status
from .subject import Subject

LARGE = 600
"""Nodes of a pattern's tree; the largest stock pattern has a quarter of it."""

PATIENCE = 3.0
"""Seconds that a pattern's proofs may take here before the rest goes to a process of its own."""

TIME_LIMIT = 6.0
"""Seconds that this process gets."""

MEMORY_LIMIT = 4 << 30


def check_within(bound: BoundPattern | BoundPlan) -> tuple[Result, ...]:
    """The verdict on every claim, in order; none takes longer than the limits of this module."""
    begun, results = time.monotonic(), list[Result]()
    claims: Sequence[Claim | PlanClaim] = bound.claims
    if size(bound) <= LARGE:
        for claim in claims:
            if time.monotonic() - begun > PATIENCE:
                break
            results.append(proved(bound, claim))
    if len(results) < len(claims):
        results += _apart(bound, range(len(results), len(claims)))
    return tuple(results)


def proved(bound: BoundPattern | BoundPlan, claim: Claim | PlanClaim) -> Result:
    """The verdict on one claim of a pattern or plan, decided here."""
    if isinstance(bound, BoundPlan):
        assert isinstance(claim, PlanClaim)
        return prove_plan(claim, PlanSubject(bound))
    assert isinstance(claim, Claim)
    return prove(claim, Subject(bound))


def size(node: Any) -> int:
    """The nodes of a tree; a loop, since it may be deep."""
    count, todo = 0, [node]
    while todo:
        current = todo.pop()
        if isinstance(current, tuple):
            todo += current
        elif isinstance(current, Node):
            count += 1
            todo += [getattr(current, field.name) for field in fields(current) if field.name != "span"]
    return count


def _apart(bound: BoundPattern | BoundPlan, numbers: range) -> list[Result]:
    """The claims of these numbers, decided by a process of its own as far as it comes."""
    command = [sys.executable, "-m", f"{__package__}.worker", str(MEMORY_LIMIT)]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert worker.stdin is not None and worker.stdout is not None
    timer = Timer(TIME_LIMIT, worker.kill)
    timer.start()
    results: list[Result] = []
    try:
        worker.stdin.write(pickle.dumps((bound, tuple(numbers))))
        worker.stdin.close()
        while len(results) < len(numbers):
            results.append(pickle.load(worker.stdout))
    except (EOFError, pickle.UnpicklingError, BrokenPipeError):
        pass  # it was stopped, or ran out of memory: what it has not said is not decided
    finally:
        timer.cancel()
        worker.kill()
        worker.wait()
        worker.stdout.close()
    note = f"the proof was stopped after {TIME_LIMIT:.0f} seconds, or out of memory"
    for number in numbers[len(results) :]:
        claim = bound.claims[number]
        text = " ".join(claim.span.text.split()).removeprefix("prove ")
        results.append(Result(claim, text, Status.UNKNOWN, explanation=note))
    return results
