"""Records on disk: read back as written, and recognised when they are not what was written."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from patternc.runtime.cache import CacheWarning, read_record, record_path, write_record

SUBJECT = {"program": "abc", "device": "card"}
VERSIONS = {"patternc": "1"}
VALUE = {"block": [128, 64], "seconds": 0.25}


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path))
    return tmp_path


def kept() -> Any:
    """What is read, with every warning an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return read_record("timing", SUBJECT, VERSIONS)


def test_a_record_is_read_back() -> None:
    assert kept() is None
    write_record("timing", SUBJECT, VERSIONS, VALUE)
    assert kept() == VALUE
    assert read_record("timing", {**SUBJECT, "device": "other card"}, VERSIONS) is None
    assert read_record("probe", SUBJECT, VERSIONS) is None


def test_what_was_measured_under_other_versions_is_stale() -> None:
    write_record("timing", SUBJECT, VERSIONS, VALUE)
    with pytest.warns(CacheWarning, match="other versions"):
        assert read_record("timing", SUBJECT, {"patternc": "2"}) is None
    write_record("timing", SUBJECT, {"patternc": "2"}, VALUE)
    assert read_record("timing", SUBJECT, {"patternc": "2"}) == VALUE


def edited(change: dict[str, Any]) -> bytes:
    return json.dumps(json.loads(record_path("timing", SUBJECT).read_text()) | change).encode()


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda: b"", "cannot be read"),
        (lambda: b"\xff\xfe", "cannot be read"),
        (lambda: b"[" * 100_000 + b"]" * 100_000, "cannot be read"),
        (lambda: record_path("timing", SUBJECT).read_bytes()[:-20], "cannot be read"),
        (lambda: b"[1]", "not a record"),
        (lambda: edited({"format": 0}), "not a record"),
        (lambda: edited({"value": {"block": [16, 16]}}), "changed after"),
        (lambda: edited({"circumstances": {"patternc": "0"}}), "changed after"),
    ],
)
def test_a_file_that_is_not_as_written_is_ignored_and_rewritten(spoil: Any, reason: str) -> None:
    write_record("timing", SUBJECT, VERSIONS, VALUE)
    record_path("timing", SUBJECT).write_bytes(spoil())
    with pytest.warns(CacheWarning, match=reason):
        assert read_record("timing", SUBJECT, VERSIONS) is None
    write_record("timing", SUBJECT, VERSIONS, VALUE)
    assert kept() == VALUE


def test_a_foreign_record_under_this_name_is_ignored() -> None:
    write_record("timing", {"program": "other"}, VERSIONS, VALUE)
    record_path("timing", {"program": "other"}).replace(record_path("timing", SUBJECT))
    with pytest.warns(CacheWarning, match="something else"):
        assert read_record("timing", SUBJECT, VERSIONS) is None


def test_a_disk_that_refuses_costs_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path / "file"))
    with pytest.warns(CacheWarning, match="PATTERNC_CACHE_DIR"):
        write_record("timing", SUBJECT, VERSIONS, VALUE)


def test_two_processes_may_write_at_once(directory: Path) -> None:
    program = (
        "from patternc.runtime.cache import write_record\n"
        "for i in range(60): write_record('timing', {'at': str(i % 3)}, {}, list(range(500)))"
    )
    running = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    while any(process.poll() is None for process in running):
        for at in range(3):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                assert read_record("timing", {"at": str(at)}, {}) in (None, list(range(500)))
    assert [process.returncode for process in running] == [0, 0]
    assert sorted(path.suffix for path in directory.iterdir()) == [".json"] * 3
