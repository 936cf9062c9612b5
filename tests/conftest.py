"""Options of the whole suite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("patternc", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("patternc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what is made into the files that it is compared with"
    )


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATTERNC_CACHE_DIR", str(tmp_path_factory.mktemp("patternc_cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def machine_of_the_session() -> Iterator[None]:
    """No test depends on what is measured: every prediction is for one machine that is written down."""
    from patternc.runtime.engines.compose.pricing.machine import assume
    from patternc.runtime.learned import speeds
    from patternc.testing.machines import PLAIN, QUICK_LISTS

    with assume(PLAIN), speeds.assume(QUICK_LISTS):
        yield


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
