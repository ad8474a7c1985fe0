"""Where the run of a stage is on the pages of an MLflow server."""

from __future__ import annotations

import os
from typing import Any

import requests

from tasks.contracts.params import TABLES
from tasks.tracking.runs.run_writer import OLDEST_FIRST, filter_of, identity_of
from tasks.tracking.store import ANSWER_TIMEOUT_SECONDS, CHOICE, pages


def mlflow_page(name: str, stage_hash: str | None) -> str | None:
    """Return the address of a stage's run on the MLflow server's pages, where there is a server.

    Args:
        name: the stage, ``<stage>@<row>``.
        stage_hash: what its result was made from; the run that made a restored result may be of
            another machine.
    """
    server = os.environ.get(CHOICE, "").rstrip("/")
    stage, _, row = name.partition("@")
    is_tracked = TABLES.get(stage) in ("backbones", "adapted", "models")
    if not stage_hash or not is_tracked or not server.startswith(("http://", "https://")):
        return None
    try:
        experiment = _ask(server, "experiments/get-by-name", {"experiment_name": row})
        experiment_id = experiment["experiment"]["experiment_id"]
        search = {
            "experiment_ids": [experiment_id],
            "filter": filter_of(identity_of(stage, stage_hash)),
            "order_by": OLDEST_FIRST,
            "max_results": 1,
        }
        run_id = _ask(server, "runs/search", search, post=True)["runs"][0]["info"]["run_id"]
    except (OSError, ValueError, LookupError, TypeError):
        return None  # nothing recorded there, or the server is away
    return f"{pages()}/#/experiments/{experiment_id}/runs/{run_id}"


def _ask(server: str, path: str, parameters: dict[str, Any], post: bool = False) -> Any:
    """Ask MLflow's REST API: its own client takes seconds to import."""
    answer = requests.request(
        "POST" if post else "GET",
        f"{server}/api/2.0/mlflow/{path}",
        json=parameters if post else None,
        params=None if post else parameters,
        timeout=ANSWER_TIMEOUT_SECONDS,
    )
    answer.raise_for_status()
    return answer.json()
