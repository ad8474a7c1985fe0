"""``downstream accept``: existing outputs recorded as good under changed code, instead of rerun.

A person may know that a change of code does not reach the outputs, or a probe may show it; so it is
on record who said so, when and why: in ``accepted.jsonl`` beside ``dvc.lock``, since that is the
file it changes and both belong into the same commit, and in ``.downstream/accepted.jsonl``, which
outlives a checkout of another branch.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from flows.dvc.graph import CODE, Graph, load_graph
from flows.dvc.internals import dvc_errors, dvc_stages, hold_files, open_repo
from flows.dvc.lockfile import LockFile
from flows.dvc.recorder import Job, Recorder
from flows.plan.fingerprints import are_written
from flows.plan.plan import Judged, Plan, StagePlan, make_plan
from flows.plan.reasons import Reason, reason_line
from flows.run.stage_command import Processes
from tasks.contracts import paths
from tasks.contracts.acceptances import Acceptance, Probed, append_acceptances
from tasks.contracts.params import asks_for_probes, on_code_change, read_params
from tasks.errors import BadInput, DownstreamError
from tasks.fingerprint import libraries
from tasks.fingerprint.rows import fingerprint
from tasks.machine.actor import actor
from tasks.machine.git import ask_git
from tasks.progress import say
from tasks.stage_process import kept_results
from tasks.stage_process.identity import carry_identity
from tasks.stage_process.stage_hash import entry_hash, stage_hash

if TYPE_CHECKING:
    from flows.dvc.internals import DvcStage

SAME_BYTES = "a short run gives the same bytes under the code before and the code now"


def accept(targets: tuple[str, ...], reason: str, codes: dict[str, str]) -> list[Acceptance]:
    """Record the outputs of stages as good under the code as it is now.

    Args:
        targets: stages, or all rows of one; what lies upstream of them is not included.
        reason: why the change does not reach the outputs; it is logged.
        codes: the code fingerprint of every ``stage@row``, as it is now.

    Returns:
        What was recorded, upstream first; or, of the results that were kept aside since they have
        read what nothing names, those that the next run may take.

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
    aside = _accept_kept(sorted(named), " ".join(reason.split()))
    if aside:
        return aside
    plan = make_plan(graph, codes, graph.planned())
    chosen = [stage for stage in plan.unfresh if stage.name in named]
    if not chosen:
        raise DownstreamError(f"{', '.join(sorted(named))}: fresh already, nothing to accept")
    for stage in chosen:
        if stage.name not in graph.lock:
            raise BadInput(
                f"{stage.name} never ran: there is nothing to accept; `downstream run {stage.name}`"
            )
        other = beyond_code(stage.reasons)
        if other:
            raise BadInput(
                f"{stage.name}: not only its code differs: {'; '.join(other[:3])}. Only code and "
                f"defaults can be accepted: `downstream run {stage.name}`, or undo the other "
                "changes"
            )
    with recording([stage.name for stage in chosen], codes) as stages:
        for dvc_stage in stages:
            different = not_as_recorded(dvc_stage)
            if different:
                raise BadInput(
                    f"{dvc_stage.name}: {', '.join(different)}: not as recorded in dvc.lock: "
                    "nothing was accepted"
                )
        return record(graph, plan, stages, " ".join(reason.split()))


def accept_probed(
    targets: tuple[str, ...], codes: dict[str, str]
) -> tuple[list[Acceptance], dict[str, str]]:
    """Record those stages whose short run gives the same bytes under the code before and now.

    Args:
        targets: stages, or all rows of one; what lies upstream of them is not included.
        codes: the code fingerprint of every ``stage@row``, as it is now.

    Returns:
        What was recorded, upstream first; and why the other stages were not.

    Raises:
        DownstreamError: no stage of that name, or all are fresh.
    """
    graph = load_graph()
    named = {name for target in targets for name in graph.named(target)}
    plan = make_plan(graph, codes, graph.planned())
    chosen = [stage for stage in plan.unfresh if stage.name in named]
    if not chosen:
        raise DownstreamError(f"{', '.join(sorted(named))}: fresh already, nothing to accept")
    return _record_probed(graph, plan, chosen, codes)


def accept_by_themselves(targets: tuple[str, ...], codes: dict[str, str]) -> list[Acceptance]:
    """Record what ``on_code_change: probe`` in ``params.yaml`` lets a run record by itself.

    Args:
        targets: what is to run, with all upstream of it; none is everything.
        codes: the code fingerprint of every ``stage@row``, as it is now.
    """
    if not asks_for_probes(read_params()):
        return []
    graph = load_graph()
    plan = make_plan(graph, codes, graph.select(targets))
    chosen = [
        stage
        for stage in plan.stages
        if stage.state == "stale"
        and stage.gpu
        and on_code_change(read_params(), *stage.name.split("@", 1)) == "probe"
        and any(reason.kind == "code" for reason in stage.reasons)
    ]
    accepted, refused = _record_probed(graph, plan, chosen, codes)
    for entry in accepted:
        say(f"{entry['stage']}: not run: {entry['reason']}")
    for name, why in refused.items():
        say(f"{name}: has to run: {why}")
    return accepted


def _record_probed(
    graph: Graph, plan: Plan, chosen: list[StagePlan], codes: dict[str, str]
) -> tuple[list[Acceptance], dict[str, str]]:
    from flows.probe.verdicts import judge  # with NumPy and PyArrow, which few runs need

    judged = judge(graph, chosen)
    refused = {
        stage.name: "no code of a GPU stage has changed: there is nothing to probe"
        for stage in chosen
        if stage.name not in judged
    }
    for name, probed in judged.items():
        if probed.verdict != "same":
            refused[name] = f"probe: {probed.verdict}: {'; '.join(probed.why[:3])}"
    for stage in chosen:
        other = [reason_line(reason) for reason in stage.reasons if reason.misrecorded]
        if other:
            refused[stage.name] = f"its result was made with other inputs: {'; '.join(other)}"
    names = [stage.name for stage in chosen if stage.name not in refused]
    if not names:
        return [], refused
    with recording(names, codes) as stages:
        good = []
        for stage in stages:
            different = not_as_recorded(stage)
            if different:
                refused[stage.name] = f"{', '.join(different)}: not as recorded in dvc.lock"
            elif not _is_probed_code(stage.name, judged[stage.name]):
                refused[stage.name] = "its code was edited while it was probed: try again"
            else:
                good.append(stage)
        return record(graph, plan, good, SAME_BYTES, judged), refused


def _accept_kept(names: list[str], reason: str) -> list[Acceptance]:
    """Accept the results that were kept aside for what they have read; the next run takes them."""
    time = datetime.now(UTC).isoformat(timespec="seconds")
    accepted = []
    for name in names:
        for known, undeclared in kept_results.all_undeclared(name).items():
            acceptance = Acceptance(
                stage=name,
                old_hash=known,
                new_hash=known,
                changed=undeclared,
                time=time,
                who=actor(),
                commit=ask_git("rev-parse", "HEAD"),
                reason=reason,
            )
            append_acceptances([acceptance])
            kept_results.clear_undeclared(name, known)
            accepted.append(acceptance)
    return accepted


def beyond_code(reasons: Iterable[Reason]) -> list[str]:
    """Return, in words, what differs beside code and the defaults that it gives to settings."""
    return [
        reason_line(reason)
        for reason in reasons
        if reason.kind in ("data", "command", "missing")
        or (reason.kind == "param" and not reason.default)
        # A fingerprint names what a row reads as well: a template of ours, which is code, or a
        # checkpoint to start from and its pin, which are not.
        or (reason.kind == "code" and "/" in reason.what and not reason.what.startswith("tasks/"))
    ]


def not_as_recorded(stage: "DvcStage") -> list[str]:
    """Ask DVC itself, which is about to record a stage, what beside its code differs."""
    code = paths.code(*stage.name.split("@", 1)).as_posix()
    items = [*stage.outs, *(item for item in stage.deps if item.def_path != code)]
    differing = sorted({str(path) for item in items for path in item.status()})
    return [*(["its command"] if stage.cmd_changed else []), *differing]


@contextmanager
def recording(names: list[str], codes: Mapping[str, str]) -> Iterator[list["DvcStage"]]:
    """Bring ``data/code`` up to date, and give DVC's stages to record, under its lock.

    Args:
        names: the stages.
        codes: the code fingerprint of every ``stage@row``, as it is now.

    Raises:
        StageFailed: another process works on one of them.
    """
    with dvc_errors():
        repo = open_repo()
        with repo.lock:
            stages = dvc_stages(repo)
            for name in (CODE, *names):
                with hold_files(stages[name]):
                    pass  # nobody works on it
        _write_fingerprints(force=not are_written(codes))
        repo = open_repo()
        with repo.lock:
            stages = dvc_stages(repo)
            yield [stages[name] for name in names]


def record(
    graph: Graph,
    plan: Plan,
    stages: list["DvcStage"],
    reason: str,
    judged: Mapping[str, Judged] | None = None,
) -> list[Acceptance]:
    """Record outputs as good under the present code and command, and log it.

    Args:
        graph: the pipeline with its lock as it was before.
        plan: why they are not fresh.
        stages: DVC's stages, from ``recording``.
        reason: one line.
        judged: what probes have said of them, where they did.

    Returns:
        What was recorded, in the same order.
    """
    own = ("code", "param", "command", "library")
    changed = {
        stage.name: [reason.what for reason in stage.reasons if reason.kind in own]
        for stage in plan.stages
    }
    time = datetime.now(UTC).isoformat(timespec="seconds")
    who, commit = actor(), ask_git("rev-parse", "HEAD")
    lock_file = LockFile()
    accepted = []
    for stage in stages:
        old_hash = entry_hash(graph.lock[stage.name])
        with hold_files(stage):
            stage.save_deps()
            acceptance = Acceptance(
                stage=stage.name,
                old_hash=old_hash,
                new_hash=stage_hash(stage),
                changed=changed[stage.name],
                time=time,
                who=who,
                commit=commit,
                reason=reason,
            )
            if judged:
                acceptance["probe"] = _shown(judged[stage.name])
            # A line without a record says nothing; a record without a line would be unexplained.
            append_acceptances([acceptance])
            stage.md5 = stage.compute_md5()
            stage.repo.stage_cache.save(stage)
            lock_file.record(stage)
        libraries.carry_versions(stage.name, old_hash, acceptance["new_hash"])
        carry_identity(stage.name, old_hash, acceptance["new_hash"])
        accepted.append(acceptance)
    return accepted


def _is_probed_code(name: str, probed: Judged) -> bool:
    """Tell whether the fingerprint that is recorded now is that of the code that was probed."""
    group, _, row = name.partition("@")
    text = fingerprint(read_params(), group, row, Path.cwd(), probed.after)
    return paths.code(group, row).read_text(encoding="utf-8") == text


def _shown(probed: Judged) -> Probed:
    return Probed(
        device=probed.device or "", digest=probed.digest or "", before=probed.before or ""
    )


def _write_fingerprints(force: bool) -> None:
    """Bring ``data/code`` up to date, which the records are to name.

    Args:
        force: even if DVC says that it is.
    """
    recorder = Recorder()
    job = recorder.begin(CODE, force)
    if isinstance(job, Job):
        succeeded = False
        try:
            Processes().run(CODE, job.command, job.environment, say)
            succeeded = True
        finally:
            recorder.end(job, succeeded)
