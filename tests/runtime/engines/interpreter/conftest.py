"""Triton decides when a kernel is defined whether it is interpreted, so these tests need a process of their own.

tests/runtime/engines/test_triton_interpreter.py starts it. In any other process nothing here is collected.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if os.environ.get("TRITON_INTERPRET") == "1":
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    collect_ignore_glob: list[str] = []
else:
    collect_ignore_glob = ["test_*.py"]
