"""An open store with a registered model, which has a log or not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.tracking.audit.writer import Change, append
from tasks.tracking.store import opened


@pytest.fixture
def client(workspace: Path) -> Iterator[MlflowClient]:
    """An open store with the registered model ``m``, which has no versions."""
    with opened() as client:
        client.create_registered_model("m")
        yield client


@pytest.fixture
def logged(client: MlflowClient) -> MlflowClient:
    """The same with three entries about ``m``."""
    for number in (1, 2, 3):
        change = Change("reject", version_to=number, reason=f"of {number}", actor="ann")
        append(client, "m", change)
    return client
