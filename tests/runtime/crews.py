"""What a crew is given to share out."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from patternc.runtime.engines.compose.running import crew


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tasks each call of ``share_out`` has, from here on; they run as before."""
    counts: list[int] = []
    run = crew.share_out

    def noted(tasks: Sequence[crew.Task], threads: int) -> None:
        counts.append(len(tasks))
        run(tasks, threads)

    monkeypatch.setattr(crew, "share_out", noted)
    return counts
