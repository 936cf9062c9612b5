"""Commands within a budget of time: each in a process of its own, or asked of one that is kept; what does not fit is
skipped with a word.

A kernel that faults takes its process with it and no other item; one that hangs is ended when its time is up.
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from worker import Ended, Workers, end_group

DONE, FAILED, SKIPPED = "done", "failed", "skipped"


@dataclass(frozen=True, slots=True)
class Item:
    """``seconds``: it is ended after so many. ``least``: with less time left it is not begun. ``file``: where it leaves
    what it found; otherwise that is the last line that it prints. ``request``: a line that ``command`` is asked, which
    runs until nothing is left to ask (worker.py)."""

    name: str
    command: tuple[str, ...]
    seconds: float
    least: float = 0.0
    file: Path | None = None
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """``text``: what was found. Where it is not done ``word`` says why, and ``text`` may hold a part."""

    item: Item
    status: str
    seconds: float
    text: str = ""
    word: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """``seconds`` from ``begin`` on, by ``clock``."""

    seconds: float
    begin: float
    clock: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, seconds: float) -> Budget:
        return cls(seconds, time.monotonic())

    def left(self, share: float = 1.0) -> float:
        """Of the first ``share`` of the budget; never negative."""
        return max(0.0, self.begin + share * self.seconds - self.clock())

    def run(
        self,
        items: Sequence[Item],
        *,
        workers: int = 1,
        share: float = 1.0,
        say: Callable[[str], None] = lambda text: None,
    ) -> list[Outcome]:
        """In their order, ``workers`` at a time, within the first ``share`` of the budget."""

        def one(item: Item) -> Outcome:
            left = self.left(share)
            if left <= item.least:
                return Outcome(item, SKIPPED, 0.0, word=f"no time left for it ({left:.0f} s of {self.seconds:g} s)")
            outcome = execute(item, left) if item.request is None else ask(item, kept, left)
            say(f"{outcome.seconds:6.1f} s  {item.name}: {outcome.word or outcome.status}")
            return outcome

        with Workers() as kept, ThreadPoolExecutor(workers) as pool:
            return list(pool.map(one, items))


def execute(item: Item, most: float = math.inf) -> Outcome:
    """One command, ended with all that it started when its time is up, which is a failure, or so many seconds are."""
    begin, status = time.monotonic(), FAILED
    with subprocess.Popen(
        item.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(timeout=min(item.seconds, most))
            word = "" if process.returncode == 0 else _last(err) or _last(out) or f"ended with {process.returncode}"
        except subprocess.TimeoutExpired:
            end_group(process)
            out, _ = process.communicate()
            word, status = _too_late(item, most)
    took = time.monotonic() - begin
    if item.file is not None:
        text = item.file.read_text(encoding="utf-8") if item.file.exists() else ""
    else:
        text = "" if word else _last(out)
    return Outcome(item, status if word else DONE, took, text, word)


def ask(item: Item, workers: Workers, most: float = math.inf) -> Outcome:
    """Likewise, of a process that is kept."""
    assert item.request is not None
    begin, status, text, word = time.monotonic(), DONE, "", ""
    try:
        text = workers.ask(item.command, item.request, min(item.seconds, most))
    except Ended as last:
        status, word = FAILED, str(last)
    except TimeoutError:
        word, status = _too_late(item, most)
    return Outcome(item, status, time.monotonic() - begin, text, word)


def _too_late(item: Item, most: float) -> tuple[str, str]:
    """(word, status) of one that was ended: a failure if it took longer than it may ever take."""
    return f"ended after {min(item.seconds, most):.0f} s, before it was done", (
        SKIPPED if most < item.seconds else FAILED
    )


def _last(text: str) -> str:
    """The last line, or nothing."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""
