"""The Prefect flow ``nightly``: resolve the remote sources again, run what that changes, commit.

It works in a clone of its own, so that it disturbs nobody: the workspace's files, branch and
``dvc.lock`` stay as they are. Nothing is pushed; ``git fetch CLONE nightly`` gets what it found.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from filelock import FileLock, Timeout
from prefect import flow, get_run_logger
from prefect.states import Cancelled, Completed, Failed, State
from pydantic import Field

from flows.checkout import find_root
from flows.orchestration.checkout_code import code_of
from flows.orchestration.clone import commit_results, prepare
from flows.servers.child import end_with_runner
from tasks.contracts import paths
from tasks.errors import DownstreamError, StageFailed
from tasks.progress import say
from tasks.tracking.store import CHOICE, tracking_uri

CLONE = str(paths.STATE / "nightly" / "clone")


@flow(name="nightly", persist_result=False)
def nightly(
    branch: str = "main",
    commit_to: str = "nightly",
    targets: tuple[str, ...] = (),
    refresh: bool = True,
    jobs: Annotated[int, Field(ge=0)] = 0,
    repository: str = "",
    clone: str = CLONE,
) -> State[Any]:
    """Refresh the pins of remote sources in a clone, run what is stale there, commit, never push.

    Args:
        branch: the branch whose code and parameters are run.
        commit_to: the branch of the clone that pin.json and dvc.lock are committed to.
        targets: stages (evaluate@reuters-topics) or all rows of one (evaluate), with all that lies
            upstream of them; none runs the whole pipeline.
        refresh: resolve the remote sources again first.
        jobs: how many CPU stages run at once; 0 is the number of cores.
        repository: what is cloned, a path or a URL; empty is the workspace that this runs in.
        clone: where the clone lies; a relative path is below the workspace.
    """
    end_with_runner()
    workspace = find_root(Path.cwd())
    place = workspace / clone
    try:
        with _alone(place), _same_store():
            prepare(workspace, repository or str(workspace), place, branch, commit_to)
            if refresh:
                _refresh(place)
            ended = _run(place, targets, jobs)
            if not ended.is_completed():
                return ended
            commit = commit_results(place, f"Nightly results of {branch}")
    except Timeout:
        return Cancelled(name="Skipped", message=f"another nightly run works in {place}")
    except DownstreamError as error:
        return Failed(message=str(error))
    made = f"committed {commit} to {commit_to} in {place}" if commit else "nothing to commit"
    return Completed(message=f"{ended.message}; {made}")


@contextmanager
def _alone(clone: Path) -> Iterator[None]:
    """Hold the clone; the lock goes with its process, also after kill -9."""
    clone.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(clone.with_name(f"{clone.name}.lock"), timeout=0):
        yield


@contextmanager
def _same_store() -> Iterator[None]:
    """Send the clone's records to the workspace's MLflow store, where reviewers look."""
    before = os.environ.get(CHOICE)
    os.environ[CHOICE] = tracking_uri()
    try:
        yield
    finally:
        os.environ.pop(CHOICE)
        if before is not None:
            os.environ[CHOICE] = before


def _refresh(clone: Path) -> None:
    """Call ``downstream refresh`` as a person would, with the clone's own code."""
    logger = get_run_logger()
    with subprocess.Popen(
        [sys.executable, "-m", "flows", "refresh"],
        cwd=clone,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        last = ""
        for line in process.stdout or ():
            last = line.rstrip() or last
            say(line.rstrip())
            logger.info(line.rstrip())
    if process.returncode != 0:
        raise StageFailed(f"refresh failed: {last.removeprefix('error: ')}")


def _run(clone: Path, targets: tuple[str, ...], jobs: int) -> State[Any]:
    """Run the pipeline in the clone, its stages as task runs of this flow run."""
    with code_of(clone):
        # The clone's, not this checkout's.
        from flows.orchestration.train import run_here

        ended: State[Any] = run_here(targets=targets, jobs=jobs)
    return ended
