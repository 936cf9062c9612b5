"""Sequences are short here: entries without a mask are told apart in them as in long ones."""

from __future__ import annotations

import pytest

from patternc.runtime.learned.running import tiling


@pytest.fixture(autouse=True)
def every_piece_is_large(monkeypatch) -> None:
    monkeypatch.setattr(tiling, "FEW_SCORES", 0)
