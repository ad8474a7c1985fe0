"""The Prefect flow ``stage``: one GPU stage of a run on another machine, in the work pool ``gpu``.

It works in a clone for each stage hash, ``.downstream/pool/<its beginning>/``, at the commit that
the run has made of its work tree, with that commit's own code. The clone shares this workspace's
DVC cache, device leases and records for MLflow. It stays until the stage has ended well, so that
one whose worker was killed goes on from its last checkpoint.
"""

import os
import shutil
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from filelock import Timeout
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.exceptions import Pause
from prefect.flows import Flow
from prefect.runtime import flow_run
from prefect.states import Failed, Scheduled, State
from pydantic import Field

from flows.checkout import find_root
from flows.dvc.internals import share_cache
from flows.orchestration.child_run import run_pipeline_in
from flows.orchestration.clone import LINK_TYPES, share_state
from flows.orchestration.pool import wake_waiting
from flows.orchestration.settings import end_with_runner
from flows.sharing.work_tree import ORIGIN, drop_ref
from tasks.contracts import files, paths
from tasks.errors import DownstreamError
from tasks.machine.git import ask_git, git
from tasks.machine.locks import file_lock
from tasks.progress import say
from tasks.tracking.store import CHOICE, tracking_uri

ROOM = paths.STATE / "pool"
KEPT = 20
"""How many clones of stages that failed stay, so that what they have begun can go on."""
DEATH_SECONDS = 5.0
"""How long the processes of a worker that was killed may take to end."""


def wake(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001
    """Start the runs again that wait for this one, however it has ended."""
    wake_waiting(flow_run.id)


@flow(
    name="stage",
    persist_result=False,
    on_completion=[wake],
    on_failure=[wake],
    on_cancellation=[wake],
    on_crashed=[wake],
)
def stage(
    name: str,
    stage_hash: Annotated[str, Field(pattern="^[0-9a-f]{64}$")],
    commit: Annotated[str, Field(pattern="^[0-9a-f]{40,64}$")],
    ref: Annotated[str, Field(pattern="^refs/downstream/[0-9a-f]+$")],
) -> State[Any]:
    """Run one stage of a run that works on another machine; its result goes to DVC's remote.

    Args:
        name: the stage (finetune@reuters-topics).
        stage_hash: what its inputs, parameters and code have to come to.
        commit: the work tree of the run.
        ref: where the git remote has it.
    """
    end_with_runner()
    workspace = find_root(Path.cwd())
    room = workspace / ROOM
    clone = room / stage_hash[:32]
    room.mkdir(parents=True, exist_ok=True)
    _sweep(room)
    try:
        # The lock goes with its process, also after kill -9.
        with file_lock(_lock_of(clone)):
            files.write_json(_record_of(clone), {"flow_run": str(flow_run.id)})
            _prepare(workspace, clone, commit, ref)
            environment = {**os.environ, CHOICE: tracking_uri()}
            ended = run_pipeline_in(clone, (name,), 0, environment, alone=stage_hash)
            if ended.is_cancelled():
                _schedule_again()
            _record_of(clone).unlink()
            drop_ref(ref)
            if ended.is_completed():
                shutil.rmtree(clone)
    except DownstreamError as error:
        return Failed(message=str(error))
    return ended


def recover(workspace: Path) -> int:
    """Have the stages scheduled again whose processes were killed with their worker.

    Args:
        workspace: where the worker is started again.

    Returns:
        How many there are.
    """
    found = 0
    for record in sorted((workspace / ROOM).glob("*.json")):
        try:
            with file_lock(record.with_suffix(".lock"), timeout=DEATH_SECONDS):
                identifier = UUID(files.read_json(record)["flow_run"])
                with get_client(sync_client=True) as client:
                    state = client.read_flow_run(identifier).state
                    if state and (state.is_running() or state.is_pending()):
                        client.set_flow_run_state(identifier, Scheduled(), force=True)
                        found += 1
                record.unlink()
        except Timeout:
            continue  # another worker of this workspace is at it
    return found


def _prepare(workspace: Path, clone: Path, commit: str, ref: str) -> None:
    """Bring the clone to the commit; what a killed run has left there stays, if git ignores it.

    Raises:
        StageFailed: git failed.
    """
    origin = git(workspace, "remote", "get-url", ORIGIN)
    if not clone.exists():
        with files.new_folder(clone) as unfinished:
            # What this workspace has of the history need not come again.
            shared = ("--shared", "--no-checkout", str(workspace), str(unfinished))
            git(clone.parent, "clone", "--quiet", *shared)
    git(clone, "remote", "set-url", ORIGIN, origin)
    (clone / ".git" / "index.lock").unlink(missing_ok=True)
    if not _has(clone, commit):
        git(clone, "fetch", "--quiet", "--no-tags", ORIGIN, ref)
    git(clone, "checkout", "--quiet", "--force", "--detach", commit)
    git(clone, "clean", "--quiet", "--force", "-d")
    local = workspace / ".dvc" / "config.local"
    if local.exists():
        shutil.copy(local, clone / ".dvc" / "config.local")
    share_cache(workspace, clone, LINK_TYPES)
    share_state(workspace, clone)


def _has(clone: Path, commit: str) -> bool:
    return ask_git("-C", str(clone), "cat-file", "-e", f"{commit}^{{commit}}") is not None


def _schedule_again() -> None:
    """Leave a stage that was ended with its worker, and not by a person, to the next worker.

    Raises:
        Pause: it is scheduled again.
    """
    identifier = UUID(str(flow_run.id))
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(identifier).state
        if state and state.is_cancelling():
            return
        again: State[None] = Scheduled(message="its worker was stopped")
        client.set_flow_run_state(identifier, again, force=True)
    say("the worker was stopped: the stage is scheduled again")
    raise Pause(state=again)


def _sweep(room: Path) -> None:
    """Remove the clones of stages that failed, but the newest."""
    clones = [path for path in room.iterdir() if path.is_dir() and not path.name.startswith(".")]
    for clone in sorted(clones, key=lambda path: -files.stamp(path)[0])[KEPT:]:
        try:
            with file_lock(_lock_of(clone), timeout=0):
                shutil.rmtree(clone, ignore_errors=True)
        except Timeout:
            continue


def _lock_of(clone: Path) -> Path:
    return clone.with_name(f"{clone.name}.lock")


def _record_of(clone: Path) -> Path:
    return clone.with_name(f"{clone.name}.json")
