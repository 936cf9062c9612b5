"""pytest's importlib mode leaves sys.path alone; what the test files of this folder share lies beside them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
