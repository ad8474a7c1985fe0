"""The MLflow store for as long as a step of a review takes; its refusals are errors of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tasks.errors import Unreachable
from tasks.tracking.store import errors, first_line, opened

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient


@contextmanager
def connected() -> Iterator[MlflowClient]:
    """Hold the store, alone among this workspace's processes.

    Raises:
        Unreachable: it does not answer, or goes away meanwhile, or refuses.
    """
    with opened() as client:
        try:
            yield client
        except errors() as error:
            raise Unreachable(
                f"MLflow: {first_line(error)}: what was done up to here is kept; call it again"
            ) from error
