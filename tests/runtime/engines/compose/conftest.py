"""What tests of plans share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from patternc.runtime.engines.compose.routes import forget


@pytest.fixture
def forgotten() -> Iterator[None]:
    """No route is kept from before, nor afterwards."""
    forget()
    yield
    forget()
