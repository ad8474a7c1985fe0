"""What a test changes in the registry, as somebody could who may write to it."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tasks.tracking.registry.version import BINDINGS

if TYPE_CHECKING:
    from mlflow import MlflowClient


def bind(
    client: "MlflowClient", model: str, number: int, changes: Mapping[str, str | None]
) -> None:
    """Change what a version is bound to.

    Args:
        client: the open store.
        model: the registered model.
        number: the version's number.
        changes: the new text of each tag; None takes it away.
    """
    known = client.get_model_version(model, str(number)).tags
    bound = {**json.loads(known[BINDINGS]), **changes}
    text = json.dumps({name: text for name, text in bound.items() if text is not None})
    client.set_model_version_tag(model, str(number), BINDINGS, text)
