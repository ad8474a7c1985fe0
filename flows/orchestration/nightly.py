"""The Prefect flow ``nightly``: resolve the remote sources again, run what that changes, commit.

It works in a clone of its own, so that it disturbs nobody: the workspace's files, branch and
``dvc.lock`` stay as they are. Nothing is pushed; ``git fetch CLONE nightly`` gets what it found.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

from filelock import Timeout
from prefect import flow, get_run_logger
from prefect.states import Cancelled, Completed, Failed, State
from pydantic import Field

from flows.checkout import find_root
from flows.orchestration.child_run import run_pipeline_in
from flows.orchestration.clone import commit_results, prepare
from flows.orchestration.settings import end_with_runner
from tasks.contracts import paths
from tasks.errors import DownstreamError, StageFailed
from tasks.machine.locks import file_lock
from tasks.progress import say
from tasks.tracking.store import CHOICE, tracking_uri

CLONE = paths.STATE / "nightly" / "clone"
REPOSITORY = "DOWNSTREAM_NIGHTLY_REPOSITORY"
"""Names what is cloned, a path or a URL, in place of the workspace that the flow runs in.

It and the clone's place are no parameters of the flow: whose code runs is for whoever starts the
worker to say, not for whoever may ask for a run.
"""


@flow(name="nightly", persist_result=False)
def nightly(
    branch: str = "main",
    commit_to: str = "nightly",
    targets: tuple[str, ...] = (),
    refresh: bool = True,
    jobs: Annotated[int, Field(ge=0)] = 0,
) -> State[Any]:
    """Refresh the pins of remote sources in a clone, run what is stale there, commit, never push.

    Args:
        branch: the branch whose code and parameters are run.
        commit_to: the branch of the clone that pin.json and dvc.lock are committed to.
        targets: stages (evaluate@reuters-topics) or all rows of one (evaluate), with all that lies
            upstream of them; none runs the whole pipeline.
        refresh: resolve the remote sources again first.
        jobs: how many CPU stages run at once; 0 is the number of cores.
    """
    end_with_runner()
    workspace = find_root(Path.cwd())
    checkout = workspace / CLONE
    checkout.parent.mkdir(parents=True, exist_ok=True)
    # The clone's records go to the workspace's MLflow store, where reviewers look.
    environment = {**os.environ, CHOICE: tracking_uri()}
    try:
        # The lock goes with its process, also after kill -9.
        with file_lock(checkout.with_name(f"{checkout.name}.lock"), timeout=0):
            repository = os.environ.get(REPOSITORY) or str(workspace)
            prepare(workspace, repository, checkout, branch, commit_to)
            if refresh:
                _refresh(checkout, environment)
            ended = run_pipeline_in(checkout, targets, jobs, environment)
            if not ended.is_completed():
                return ended
            commit = commit_results(checkout, f"Nightly results of {branch}")
    except Timeout:
        return Cancelled(name="Skipped", message=f"another nightly run works in {checkout}")
    except DownstreamError as error:
        return Failed(message=str(error))
    made = f"committed {commit} to {commit_to} in {checkout}" if commit else "nothing to commit"
    return Completed(message=f"{ended.message}; {made}")


def _refresh(checkout: Path, environment: dict[str, str]) -> None:
    """Call ``downstream refresh`` as a person would, with the clone's own code."""
    logger = get_run_logger()
    command = [sys.executable, "-m", "flows", "refresh"]
    with subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-m", "flows.servers.child", *command],
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        last = ""
        try:
            for line in process.stdout or ():
                last = line.rstrip() or last
                say(line.rstrip())
                logger.info(line.rstrip())
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        raise StageFailed(f"refresh failed: {last.removeprefix('error: ')}")
