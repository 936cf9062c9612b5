"""Options of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Threads that have nothing to do sleep: workers have more threads than there are cores, and by default each idle one spins,
# which is most of the time of tests with small tensors. OpenMP reads this once, when torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

settings.register_profile("patternc", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("patternc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what is made into the files that it is compared with"
    )


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the user's cache. All workers of a run have one, so that what runs an engine need not
    wait for a program that another worker has lowered; what tests the lowering calls ``lower``, which reads none."""
    session = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        session = session.parent  # each worker has a folder of its own in that of the run
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATTERNC_CACHE_DIR", str(session / "patternc_cache"))
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
