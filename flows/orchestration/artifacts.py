"""What Prefect's pages show of one stage beside its log: how far a training is, and its MLflow run.

Pages are for readers: a server that does not answer costs a line of warning, never a stage.
"""

import re
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
from prefect.artifacts import (
    create_link_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException

from tasks.progress import say
from tasks.tracking.runs.page import mlflow_page

PROGRESS = re.compile(r"^.+: (?P<done>[\d,]+)/(?P<total>[\d,]+)(?: |$)")
_lost = threading.Event()


class StagePages:
    """The artifacts of one stage; made and used inside its task run."""

    def __init__(self, name: str, gpu: bool) -> None:
        self._name = name
        self._key = re.sub(r"[^a-z0-9]+", "-", name.lower())
        self._wanted = gpu
        self._artifact: UUID | None = None

    def hear(self, line: str) -> None:
        """Move the progress of a GPU stage, if a line of its output says how far it is."""
        share = share_done(line)
        if self._wanted and share is not None:
            self._show(100 * share, line)

    def finish(self, ran: bool, stage_hash: str | None) -> None:
        """Say that a stage is done, and where its MLflow run is.

        Args:
            ran: it was run, not restored.
            stage_hash: what its result was made from, if it has a new one.
        """
        if self._wanted and ran:
            self._show(100.0, "done")
        page = None if _lost.is_set() else mlflow_page(self._name, stage_hash)
        if page:
            publish(
                f"the MLflow page of {self._name}",
                create_link_artifact,
                page,
                link_text=f"{self._name} in MLflow",
                key=f"mlflow-{self._key}",
                description="Parameters, metrics and files of this stage",
            )

    def _show(self, percent: float, note: str) -> None:
        what, text = f"the progress of {self._name}", f"{self._name}: {note}"
        if self._artifact is None:
            key = f"progress-{self._key}"
            self._artifact = publish(
                what, create_progress_artifact, percent, key=key, description=text
            )
        else:
            publish(what, update_progress_artifact, self._artifact, percent, description=text)


def publish(what: str, make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Show something on Prefect's pages; go on without, also later on, if its server is away.

    Args:
        what: what is shown, for a warning.
        make: a function of ``prefect.artifacts``.
        arguments: for it.
        options: for it.

    Returns:
        The artifact's id; None where there is none.
    """
    if _lost.is_set():
        return None  # Prefect would try each for many seconds
    try:
        return make(*arguments, **options)
    except (httpx.HTTPError, PrefectException, OSError) as error:
        _lost.set()
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        say(f"warning: Prefect's server did not take {what}: {reason}")
        return None


def share_done(line: str) -> float | None:
    """Return how far a line of progress (``pretrain x: 129/612 loss 0.8``) says a stage is."""
    match = PROGRESS.match(line)
    if not match:
        return None
    done, total = (int(match[key].replace(",", "")) for key in ("done", "total"))
    return min(done / total, 1.0) if total else None
