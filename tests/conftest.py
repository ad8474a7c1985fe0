"""What every test shares."""

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import settings

from tasks.interpreter import COLLECTED_AFTER

# As in a stage: all libraries are imported here.
gc.set_threshold(*COLLECTED_AFTER)

# Timings say nothing on a busy machine, and CI repeats what it found.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("repeatable")

# The libraries' telemetry is off, and nothing looks for a hub.
os.environ.update(
    OMP_WAIT_POLICY="passive",  # two workers on two cores: a thread that waits must not spin
    OPENBLAS_NUM_THREADS="1",  # as those of NumPy's and SciPy's linear algebra do
    OMP_NUM_THREADS="1",  # a training takes as many as it says all the same
    DO_NOT_TRACK="1",
    DVC_NO_ANALYTICS="1",  # each command would leave a process behind that sends a report
    GX_ANALYTICS_ENABLED="false",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    MLFLOW_DISABLE_TELEMETRY="true",
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
)

# The leases on this machine's GPUs are not for tests, which make up devices of their own.
_LEASES = tempfile.TemporaryDirectory(prefix="downstream-devices-")
os.environ["DOWNSTREAM_DEVICES"] = _LEASES.name

LONGEST_FIRST = (
    "tests/test_pipeline.py",
    "tests/test_review.py",
    "tests/flows/test_kills.py",
    "tests/tasks/training/test_resume.py",
    "tests/flows/upkeep/test_upgrade.py",
    "tests/tasks/training/test_compile.py",
    "tests/flows/orchestration/",
    "tests/flows/servers/",
    "tests/tasks/training/",
    "tests/flows/",
)
"""Files and folders of which a worker takes the longest first, or it would run the last alone."""

# A job in the background ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take long in front; pytest-xdist hands files out in this order."""

    def turn(item: pytest.Item) -> int:
        places = (place for place, name in enumerate(LONGEST_FIRST) if item.nodeid.startswith(name))
        return next(places, len(LONGEST_FIRST))

    items.sort(key=turn)


@pytest.fixture(autouse=True, scope="module")
def _module_leaves_the_process_alone() -> Iterator[None]:
    with _same_process():
        yield


@pytest.fixture(autouse=True)
def _test_leaves_the_process_alone() -> Iterator[None]:
    with _same_process():
        yield


@contextmanager
def _same_process() -> Iterator[None]:
    # MLflow writes the address of its store into the environment, and would send the records of
    # whatever test comes next to a server that has ended.
    environment, folder = dict(os.environ), Path.cwd()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)
        os.chdir(folder)
        for number, handler in handlers.items():
            signal.signal(number, handler)
