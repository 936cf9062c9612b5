"""One length: who takes part, whether it is right, and how long it takes; and of everyone else, why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from cases import BOTH, DECODE, FORWARD, Case
from contestants import CannotRun, Contestant, Prepared
from estimate import BACKWARD_TENSORS, FORWARD_TENSORS, HELD, History, Key, tensor_bytes
from formula import Disagreement, Expected
from memory import free_bytes, peak_apart, peak_on_gpu
from record import Spread

from patternc.runtime.bench import clock
from patternc.runtime.bench.inputs import Inputs
from patternc.runtime.errors import in_a_line


@dataclass(frozen=True, slots=True)
class Limits:
    """Beyond which something is left out, with the estimate that says so: seconds of one call, share of the memory that
    is free, seconds of a process that measures memory."""

    call: float = 20.0
    memory: float = 0.8
    process: float = 300.0


@dataclass
class Comparison:
    """``settings``: device, dtype, batch, heads, head_dim, n, threads, rounds."""

    settings: dict[str, Any]
    contestants: Sequence[Contestant]
    history: History
    limits: Limits = field(default_factory=Limits)
    say: Callable[[str], None] = lambda text: None
    runs: dict[Key, Callable[[], Any]] = field(default_factory=dict)
    prepared: dict[tuple[str, str], Prepared] = field(default_factory=dict)
    facts: list[dict[str, Any]] = field(default_factory=list)
    left_out: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        s = self.settings
        self.device, self.n = s["device"], s["n"]
        self.dtype = getattr(torch, s["dtype"])
        self.shape = (s["batch"], s["heads"], s["n"], s["head_dim"])
        self._seen: set[tuple[str, str]] = set()
        self._available = []
        for contestant in self.contestants:
            if reason := contestant.available(self.device, self.dtype):
                self._leave_out("", contestant.name, "", reason)
            else:
                self._available.append(contestant)

    def run(self, cases: Sequence[Case], rounds: int, *, memory: bool = False) -> dict[str, Any]:
        """Everything about this length, as it is written to the file."""
        if reason := self._too_large(FORWARD):
            self._leave_out("", "", "", reason)
            return self._result([], [], [])
        self.inputs = Inputs.draw(self.shape, self.device, self.dtype)
        for case in cases:
            self.say(f"n={self.n}: preparing {case.name}")
            self._enter(case)
        self.say(f"n={self.n}: timing")
        seconds, calls = self._measure(rounds)
        for key, values in seconds.items():
            self.history.add(key, self.n, Spread.of(values).median)
        times = [
            {"pattern": key[0], "pass": key[1], "contestant": key[2], "calls": calls[key], **asdict(Spread.of(values))}
            for key, values in seconds.items()
        ]
        return self._result(times, self._ratios(cases, seconds), self._peaks(cases) if memory else [])

    def _result(self, times: list[Any], ratios: list[Any], peaks: list[Any]) -> dict[str, Any]:
        return {
            "settings": self.settings,
            "seconds": times,
            "ratios": ratios,
            "memory": peaks,
            "facts": self.facts,
            "left_out": self.left_out,
        }

    def _enter(self, case: Case) -> None:
        expected: dict[str, Expected] = {}
        for contestant in self._available:
            subject = contestant.computes(case)
            if (subject.name, contestant.name) in self._seen:
                continue
            self._seen.add((subject.name, contestant.name))
            if reason := self._too_slow(subject.name, contestant.name):
                self._leave_out(subject.name, contestant.name, "", *reason)
                continue
            try:
                prepared = contestant.prepare(subject, self.inputs)
            except CannotRun as cannot:
                self._leave_out(subject.name, contestant.name, "", str(cannot))
                continue
            except Exception as error:  # noqa: BLE001  (a rival that fails is named with its error, whatever it is)
                self._leave_out(subject.name, contestant.name, "", failure(error))
                continue
            if subject.name not in expected:
                expected[subject.name] = Expected.of(subject, self.inputs)
            self._take(subject, contestant.name, prepared, expected[subject.name])

    def _take(self, case: Case, name: str, prepared: Prepared, expected: Expected) -> None:
        """Check each pass, and enter those that are right."""
        self.prepared[case.name, name] = prepared
        errors = {}
        for what, run in prepared.runs().items():
            key = (case.name, what, name)
            if reason := self._too_large(what):
                self._leave_out(case.name, name, what, reason)
                continue
            if reason := self._too_slow_pass(key):
                self._leave_out(case.name, name, what, *reason)
                continue
            try:
                errors[what] = expected.check(f"{name}, {case.name}", what, run())
            except Disagreement as wrong:
                self._leave_out(case.name, name, what, f"WRONG: {wrong}")
            except Exception as error:  # noqa: BLE001  (as above)
                self._leave_out(case.name, name, what, failure(error))
            else:
                self.runs[key] = run
        if any((case.name, what, name) in self.runs for what in errors):
            self.runs |= {(case.name, what, name): run for what, run in prepared.extra.items()}
        for what, why in prepared.missing.items():
            self._leave_out(case.name, name, what, why)
        facts = {"share_of_allowed_error": errors, **prepared.facts}
        self.facts.append({"pattern": case.name, "contestant": name, **facts})

    def _measure(self, rounds: int) -> tuple[dict[Key, list[float]], dict[Key, int]]:
        calls: dict[Key, int] = {}
        for key, run in list(self.runs.items()):
            try:
                calls[key] = clock.calls_of(run, self.device)
            except Exception as error:  # noqa: BLE001  (as above)
                self._leave_out(key[0], key[2], key[1], failure(error))
                del self.runs[key]
        # A recompilation would be counted as attention: after the warm-up it is an error.
        with torch.compiler.set_stance("fail_on_recompile"):
            return clock.interleaved(self.runs, calls, rounds, self.device), calls

    def _ratios(self, cases: Sequence[Case], seconds: dict[Key, list[float]]) -> list[dict[str, Any]]:
        """The medians over rounds of (seconds of a rival) / (seconds of ours), with what comes before it and
        without."""
        rows = []
        for (pattern, what, mine), own in seconds.items():
            case = next((case for case in cases if case.name == pattern), None)
            if case is None or not mine.startswith("ours") or what not in (FORWARD, BOTH, DECODE):
                continue
            for rival in self._available:
                name = rival.computes(case).name
                theirs = seconds.get((name, what, rival.name))
                if theirs is None or rival.name.startswith("ours"):
                    continue
                rows.append(_ratio(pattern, what, mine, rival.name, theirs, own))
                before = self.prepared[name, rival.name].before.get(what, "")
                if extra := seconds.get((name, before, rival.name)):
                    together = [x + y for x, y in zip(theirs, extra, strict=True)]
                    rows.append(_ratio(pattern, what, mine, f"{rival.name} + {before}", together, own))
        return rows

    def _peaks(self, cases: Sequence[Case]) -> list[dict[str, Any]]:
        if self.device == "cuda":
            return [
                {"pattern": name, "pass": what, "contestant": contestant, "bytes": peak_on_gpu(run)}
                for (name, what, contestant), run in self.runs.items()
                if what in (FORWARD, BOTH, DECODE)
            ]
        rows, seen = [], set()
        for case in cases:
            for contestant in self._available:
                subject = contestant.computes(case).name
                if (subject, contestant.name) in seen or (subject, FORWARD, contestant.name) not in self.runs:
                    continue
                seen.add((subject, contestant.name))
                self.say(f"n={self.n}: memory of {contestant.name}, {subject}")
                found = peak_apart(case.name, contestant.name, self.settings, self.limits.process)
                if isinstance(found, str):
                    self._leave_out(subject, contestant.name, "memory", found)
                    continue
                for what, peak in found.items():
                    rows.append({"pattern": subject, "pass": what, "contestant": contestant.name, "bytes": peak})
        return rows

    def _too_slow(self, pattern: str, name: str) -> tuple[str, float] | None:
        """Whether its forward pass, or anything that has to come before it, takes too long to be prepared at all."""
        passes = {what for known, what, who in self.history.seconds if (known, who) == (pattern, name)}
        return next(
            (
                found
                for what in sorted(passes - {BOTH, DECODE})
                if (found := self._too_slow_pass((pattern, what, name)))
            ),
            None,
        )

    def _too_slow_pass(self, key: Key) -> tuple[str, float] | None:
        estimate = self.history.estimate(key, self.n)
        if estimate is None or estimate <= self.limits.call:
            return None
        return f"its {key[1]} would take about {duration(estimate)} a call", estimate

    def _too_large(self, what: str) -> str | None:
        batch, heads, n, head_dim = self.shape
        tensors = BACKWARD_TENSORS if what == BOTH else FORWARD_TENSORS
        tensors += 0 if hasattr(self, "inputs") else HELD
        wanted = tensors * tensor_bytes(batch, heads, n, head_dim, self.dtype.itemsize)
        free = free_bytes(self.device)
        if wanted <= self.limits.memory * free:
            return None
        return f"it would take about {wanted / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free"

    def _leave_out(self, pattern: str, name: str, what: str, reason: str, estimate: float | None = None) -> None:
        row = {"pattern": pattern, "contestant": name, "pass": what, "reason": reason}
        self.left_out.append(row if estimate is None else {**row, "estimated_seconds": estimate})


def _ratio(
    pattern: str, what: str, mine: str, rival: str, theirs: Sequence[float], own: Sequence[float]
) -> dict[str, Any]:
    spread = Spread.of([x / y for x, y in zip(theirs, own, strict=True)])
    return {"pattern": pattern, "pass": what, "contestant": mine, "rival": rival, **asdict(spread)}


def failure(error: Exception) -> str:
    return f"FAILED: {in_a_line(error, most=200)}"


def duration(seconds: float) -> str:
    """In the unit that a reader thinks in."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (120, "minutes")):
        if seconds >= size:
            return f"{seconds / (60 if unit == 'minutes' else size):.1f} {unit}"
    return f"{seconds:.2g} s"
