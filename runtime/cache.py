"""What was measured on this machine, kept on disk: one JSON record per subject.

A record is data. It holds what it is about, and a digest of all of it, so that a file which was cut short, edited,
written by another version or for another machine is recognised: it is ignored with a warning, and written anew.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..compiler.cache import CacheWarning, cache_directory, keep

__all__ = ["CacheWarning", "read_record", "record_path", "write_record"]

FORMAT = 1


def record_path(kind: str, subject: Mapping[str, str], directory: Path | None = None) -> Path:
    """The file of a record: ``kind`` (a word) and a hash of ``subject``, what the record is about."""
    folder = cache_directory() if directory is None else directory
    return folder / f"{kind}_{_digest(dict(subject))[:24]}.json"


def read_record(
    kind: str, subject: Mapping[str, str], circumstances: Mapping[str, str], directory: Path | None = None
) -> Any | None:
    """The value that was kept, or None where there is none that holds.

    ``circumstances`` are what the value depends on beside its subject, versions for instance: a record that was made
    under others is stale. Warns (CacheWarning) of a file that is there and not used.
    """
    path = record_path(kind, subject, directory)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        reason = f"it cannot be read ({error})"
    else:
        reason = _reason_against(content, subject, circumstances)
        if not reason:
            return content["value"]
    warnings.warn(f"{path} is ignored: {reason}", CacheWarning, stacklevel=2)
    return None


def _reason_against(content: Any, subject: Mapping[str, str], circumstances: Mapping[str, str]) -> str:
    """Why a record does not hold; empty where it does."""
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        return "it is not a record of this version of patternc"
    if content.get("digest") != _digest({name: content.get(name) for name in ("subject", "circumstances", "value")}):
        return "it was changed after it was written"
    if content["subject"] != dict(subject):
        return "it is about something else"
    if content["circumstances"] != dict(circumstances):
        return "it was made under other versions or settings"
    return ""


def write_record(
    kind: str,
    subject: Mapping[str, str],
    circumstances: Mapping[str, str],
    value: Any,
    directory: Path | None = None,
) -> None:
    """Keep ``value``, which must be JSON. A disk that refuses costs a warning: the value is computed again next time.

    Atomic; of two processes that write at once, the later one wins.
    """
    path = record_path(kind, subject, directory)
    body = {"subject": dict(subject), "circumstances": dict(circumstances), "value": value}
    keep(path, json.dumps({"format": FORMAT, **body, "digest": _digest(body)}, indent=1) + "\n")


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
