"""Where files are kept, and how they are written."""

from __future__ import annotations

from pathlib import Path

import pytest

from patternc.compiler.cache import cache_directory, write_atomically


def test_the_directory_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATTERNC_CACHE_DIR", str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.delenv("PATTERNC_CACHE_DIR")
    assert cache_directory().name in ("patternc", "Cache")


@pytest.mark.skipif("sys.platform != 'linux'")
def test_the_platform_places_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PATTERNC_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "patternc"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_directory() == Path.home() / ".cache" / "patternc"


def test_a_file_is_there_whole_or_as_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_atomically(path, "first\n")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "second \udc80")
    assert path.read_bytes() == b"first\n"
    assert [item.name for item in path.parent.iterdir()] == ["file.txt"]
