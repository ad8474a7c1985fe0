"""What MLflow refuses is told in a line."""

import pytest

from tasks.errors import Unreachable
from tasks.promotion.connection import connected
from tests.tasks.promotion.scene import Scene


def test_what_mlflow_refuses_is_an_error_of_ours(scene: Scene) -> None:
    message = r"^MLflow: Registered Model with name=nobody not found: what was done up to here is "
    with pytest.raises(Unreachable, match=message), connected() as client:
        client.get_registered_model("nobody")
