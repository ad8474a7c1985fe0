"""``downstream accept``: existing outputs recorded as good under changed code, instead of rerun.

Only a person can know that a change of code does not reach the outputs, so it is on record who said
so, when and why: in ``accepted.jsonl`` beside ``dvc.lock``, since that is the file it changes and
both belong into the same commit, and in ``.downstream/accepted.jsonl``, which outlives a checkout
of another branch.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from flows.dvc.graph import CODE, Graph, load_graph
from flows.dvc.internals import dvc_errors, dvc_stages, hold_files, open_repo
from flows.dvc.lockfile import LockFile
from flows.dvc.recorder import Job, Recorder
from flows.plan.plan import Plan, make_plan
from flows.plan.reasons import reason_line
from flows.run.stage_command import Processes
from tasks.contracts import paths
from tasks.contracts.acceptances import Acceptance, append_acceptances
from tasks.contracts.actor import actor
from tasks.contracts.git import ask_git
from tasks.errors import BadInput, DownstreamError, StageFailed
from tasks.fingerprint import libraries
from tasks.progress import say
from tasks.stage_process.stage_hash import stage_hash

if TYPE_CHECKING:
    from dvc.stage import Stage as DvcStage


@dataclass(frozen=True)
class Accepted:
    """One stage whose outputs were recorded under new code."""

    stage: str
    old_hash: str
    new_hash: str
    changed: list[str]
    """The modules that differ, and the defaults."""


def accept(targets: tuple[str, ...], reason: str, codes: dict[str, str]) -> list[Accepted]:
    """Record the outputs of stages as good under the code as it is now.

    Args:
        targets: stages, or all rows of one; what lies upstream of them is not included.
        reason: why the change does not reach the outputs; it is logged.
        codes: the code fingerprint of every ``stage@row``, as it is now.

    Returns:
        What was recorded, upstream first.

    Raises:
        DownstreamError: no stage of that name, or no reason was given.
        BadInput: more than code differs, or an output is not as recorded; nothing was recorded.
    """
    if not " ".join(reason.split()):
        raise DownstreamError(
            "--reason: expected a text that says why the changed code does not reach the outputs, "
            "found nothing"
        )
    graph = load_graph()
    named = {name for target in targets for name in graph.named(target)}
    plan = make_plan(graph, codes, graph.planned())
    names = [stage.name for stage in plan.unfresh if stage.name in named]
    if not names:
        raise DownstreamError(f"{', '.join(sorted(named))}: fresh already, nothing to accept")
    _require_code_alone(graph, plan, names)
    changed = {
        stage.name: [reason.what for reason in stage.reasons if reason.kind in ("code", "param")]
        for stage in plan.stages
        if stage.name in names
    }
    accepted = record_under_present_code(changed)
    log_accepted(accepted, " ".join(reason.split()))
    return accepted


def _require_code_alone(graph: Graph, plan: Plan, names: list[str]) -> None:
    """Refuse before anything is written; DVC looks again when it is."""
    by_name = {stage.name: stage for stage in plan.stages}
    for name in names:
        stage, reasons = graph.stages[name], by_name[name].reasons
        if stage.record is None:
            raise BadInput(f"{name} never ran: there is nothing to accept; `downstream run {name}`")
        other = [
            reason_line(reason)
            for reason in reasons
            if reason.kind in ("data", "command", "missing")
            or (reason.kind == "param" and not reason.default)
        ]
        if other:
            raise BadInput(
                f"{name}: not only its code differs: {'; '.join(other[:3])}. Only code and "
                f"defaults can be accepted: `downstream run {name}`, or undo the other changes"
            )


def record_under_present_code(changed: Mapping[str, list[str]]) -> list[Accepted]:
    """Record the outputs of stages, as they are recorded already, under the code as it is now.

    Args:
        changed: the stages, upstream first, and what differs of the code and defaults of each.

    Returns:
        What was recorded, in the same order.

    Raises:
        BadInput: DVC finds that more than code differs; nothing was recorded.
        StageFailed: another process works on one of them.
    """
    with dvc_errors(), _refused_if_held():
        repo = open_repo()
        with repo.lock:
            stages = dvc_stages(repo)
            for name in (CODE, *changed):
                with hold_files(stages[name]):
                    pass  # nobody works on it
        _write_fingerprints()
        repo, lock_file = open_repo(), LockFile()
        with repo.lock:
            stages = dvc_stages(repo)
            for name in changed:
                _require_unchanged(stages[name])
            return [_record_one(stages[name], changed[name], lock_file) for name in changed]


@contextmanager
def _refused_if_held() -> Iterator[None]:
    """Turn DVC's locks into an error of ours: a training may hold its files for hours."""
    from dvc.lock import LockError

    try:
        yield
    except LockError as held:
        raise StageFailed(
            f"another process works on these stages ({' '.join(str(held).split())}): "
            "wait for its end, then accept again"
        ) from None


def _write_fingerprints() -> None:
    """Bring ``data/code`` up to date, which the records are to name."""
    recorder = Recorder()
    job = recorder.begin(CODE)
    if isinstance(job, Job):
        succeeded = False
        try:
            Processes().run(CODE, job.command, job.environment, say)
            succeeded = True
        finally:
            recorder.end(job, succeeded)


def _require_unchanged(stage: "DvcStage") -> None:
    """Ask DVC itself, which is about to record it, whether all but the code is as recorded.

    Raises:
        BadInput: it is not.
    """
    code = paths.code(*stage.name.split("@", 1)).as_posix()
    items = [*stage.outs, *(item for item in stage.deps if item.def_path != code)]
    differing = sorted({str(path) for item in items for path in item.status()})
    if stage.cmd_changed or differing:
        what = ", ".join([*(["its command"] if stage.cmd_changed else []), *differing])
        raise BadInput(f"{stage.name}: {what}: not as recorded in dvc.lock: nothing was accepted")


def _record_one(stage: "DvcStage", changed: list[str], lock_file: LockFile) -> Accepted:
    old_hash = stage_hash(stage)
    with hold_files(stage):
        stage.save_deps()
        stage.md5 = stage.compute_md5()
        stage.repo.stage_cache.save(stage)
        lock_file.record(stage)
    libraries.carry_versions(stage.name, old_hash, stage_hash(stage))
    return Accepted(stage.name, old_hash, stage_hash(stage), changed)


def log_accepted(accepted: list[Accepted], reason: str) -> None:
    """Append one line a stage, each whole or absent, to both logs."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    who, commit = actor(), ask_git("rev-parse", "HEAD")
    append_acceptances(
        Acceptance(
            stage=one.stage,
            old_hash=one.old_hash,
            new_hash=one.new_hash,
            changed=one.changed,
            time=time,
            who=who,
            commit=commit,
            reason=reason,
        )
        for one in accepted
    )
