"""Options of the whole suite."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

# Workers have more threads than there are cores, and an idle thread spins by default: for small tensors that is most of
# the time. Idle threads of torch sleep instead; NumPy, which oracles use, has one. Read once, when they are imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

settings.register_profile("patternc", deadline=None)  # no test depends on how fast the machine is
settings.load_profile("patternc")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write what is made into the files that it is compared with"
    )
    parser.addoption("--programs", help="the cache of the session that starts this one")


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the user's cache. All workers of a run have one, so that what runs an engine need not
    wait for a program that another worker has lowered; what tests the lowering calls ``lower``, which reads none."""
    session = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        session = session.parent  # each worker has a folder of its own in that of the run
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATTERNC_CACHE_DIR", request.config.getoption("--programs") or str(session / "patternc_cache"))
        yield


@pytest.fixture(scope="session", autouse=True)
def machine_of_the_session() -> Iterator[None]:
    """No test depends on what is measured: every prediction is for one machine that is written down."""
    from patternc.runtime.engines.compose.pricing.machine import assume
    from patternc.runtime.learned.pricing import speeds
    from patternc.testing.machines import PLAIN, QUICK_LISTS

    with assume(PLAIN), speeds.assume(QUICK_LISTS):
        yield


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))
