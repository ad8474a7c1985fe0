"""Claims: of several who want to decide one thing, exactly one does, on whatever machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.tracking.audit.entry import canonical
from tasks.tracking.audit.run import find_run, make_run, write_once

if TYPE_CHECKING:
    from mlflow import MlflowClient

CLAIM = "claim."


def claim(
    client: MlflowClient, model: str, subject: str, intent: Mapping[str, Any]
) -> dict[str, Any]:
    """Claim a subject with what is going to be done about it, unless somebody has.

    A claim is for ever: after a crash, whoever comes next completes what was claimed.

    Args:
        client: the open store.
        model: the registered model.
        subject: what is claimed: letters, digits, ``_ - . /`` and spaces, at most 240.
        intent: what is going to be done; plain JSON.

    Returns:
        The intent that holds: ours, or that of who came first.
    """
    ours = canonical(intent)
    if write_once(client, make_run(client, model), CLAIM + subject, ours):
        held: dict[str, Any] = json.loads(ours)
        return held
    theirs = claimed(client, model, subject)
    if theirs is None:
        raise AssertionError("a claim cannot be taken back")
    return theirs


def claimed(client: MlflowClient, model: str, subject: str) -> dict[str, Any] | None:
    """Return the intent with which a subject was claimed; None if it was not."""
    run = find_run(client, model)
    text = run.data.params.get(CLAIM + subject) if run is not None else None
    if text is None:
        return None
    held: dict[str, Any] = json.loads(text)
    return held
