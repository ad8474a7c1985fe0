"""Forty planted edits of the code, each judged by plan, probe and ``dvc status``, and really run.

The edits are those of ``tests/planted_edits.py``: twenty that change the bytes of a result, five of
them late in a training, and twenty that do not. In a small workspace whose stages have run, each is
made, judged by ``downstream plan --probe`` and ``dvc status``, and then the stage is run with it,
as ``dvc.yaml`` would, and all its output files are compared with those of the code before. Of an
edit that acts on resumed trainings, the training is stopped once and goes on.

    python -m benchmarks.planted [--quick] [--only NAME ...] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import files, paths
from tasks.contracts.params import read_params, stage_settings
from tasks.probe.probe import short_run
from tasks.probe.workspace import SMALL, Size, Subject
from tests.planted_edits import EDITS, PlantedEdit
from tests.workspace import Workspace, make_workspace

QUICK = (
    "the schedule's last step",
    "what an epoch's end notes",
    "what a resumed training forgets",
    "a comment",
    "how a stage's process waits for its lock",
    "the same sum, written otherwise",
)
ROWS = ("evaluate@topics-label", "evaluate@digits-label")
"""The last stages that an edit concerns."""
INTERRUPT_AT = 10
WHOLE = 10**9
NOT_COPIED = (".dvc/cache", ".downstream/probes")
QUIET = {
    "OMP_WAIT_POLICY": "passive",
    "DO_NOT_TRACK": "1",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class JudgedEdit:
    """What was said of an edit, and what it really does.

    Attributes:
        name: the edit's.
        row: the stage that it concerns.
        late: when in a training it acts, if not from its beginning.
        expected: whether the table of edits says that it changes bytes.
        changed: the output files that a real run gives other bytes.
        plan: ``stale`` or ``fresh``, by the row's own reasons.
        probe: ``same``, ``different``, ``none``; nothing where no probe was asked for: of a row
            that is fresh, or of a stage that takes no device.
        why: what keeps a probe from clearing it, or what it saw.
        dvc: ``stale`` where ``dvc status`` says that the stage ``code`` has to run.
    """

    name: str
    row: str
    late: str
    expected: bool
    changed: list[str]
    plan: str
    probe: str | None
    why: list[str]
    dvc: str


def main() -> None:
    """Judge the edits, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help=f"{len(QUICK)} of the edits")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="the edits with these names")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    names = arguments.only or (QUICK if arguments.quick else [edit.name for edit in EDITS])
    unknown = sorted({*names} - {edit.name for edit in EDITS})
    if unknown:
        parser.error(f"no edit has the name {unknown[0]!r}: see tests/planted_edits.py")
    os.environ.update(QUIET)
    judged = []
    with tempfile.TemporaryDirectory(prefix="downstream-planted-") as folder:
        print("the workspace is made and its stages are run", flush=True)
        workspace = make_workspace(Path(folder).resolve() / "workspace")
        workspace.repro(*ROWS)
        for edit in EDITS:
            if edit.name in names:
                judged.append(judge_edit(workspace, edit))
                print(line_of(judged[-1]), flush=True)
    sys.exit(report(judged, as_json=arguments.json))


def judge_edit(workspace: Workspace, edit: PlantedEdit) -> JudgedEdit:
    """Judge one edit, and run it.

    Args:
        workspace: a small one whose stages have run; it is left as it was.
        edit: of its code.
    """
    path = workspace.root / edit.file
    text = path.read_bytes()
    edit.apply(workspace.root)
    try:
        stage = plan_with_probe(workspace, edit.row)
        own = [reason for reason in stage["reasons"] if reason["kind"] != "upstream"]
        probe = stage.get("probe") or {}
        return JudgedEdit(
            name=edit.name,
            row=edit.row,
            late=edit.late,
            expected=edit.changes_bytes,
            changed=changed_files(workspace, edit),
            plan="stale" if own else "fresh",
            probe=probe.get("verdict"),
            why=probe.get("why", []),
            dvc=dvc_status(workspace),
        )
    finally:
        path.write_bytes(text)


def plan_with_probe(workspace: Workspace, row: str) -> dict[str, Any]:
    """Return what ``downstream plan --probe`` says of a row."""
    found = json.loads(_output(workspace, "downstream", "plan", "--probe", "--json", row))
    stage: dict[str, Any] = next(stage for stage in found["stages"] if stage["name"] == row)
    return stage


def dvc_status(workspace: Workspace) -> str:
    """Return whether ``dvc status`` would have the code's stage run."""
    return "stale" if json.loads(_output(workspace, "dvc", "status", "--json", "code")) else "fresh"


def changed_files(workspace: Workspace, edit: PlantedEdit) -> list[str]:
    """Return the output files that differ where the row is really run with the edited code.

    Args:
        workspace: holds the edited code, and the result of the code before.
        edit: the edit.
    """
    stage, _, row = edit.row.partition("@")
    result = paths.stage_output(stage, row)
    before = hashes(workspace.root / result)
    with tempfile.TemporaryDirectory(dir=workspace.root.parent) as folder:
        copy = Workspace(Path(folder) / "workspace")
        left_out = {workspace.root / path for path in NOT_COPIED}
        shutil.copytree(
            workspace.root,
            copy.root,
            symlinks=True,
            ignore=lambda at, names: [name for name in names if Path(at) / name in left_out],
        )
        if edit.late == "resume":
            after = run_resumed(copy, stage, row, Path(folder) / "result")
            before = {name: digest for name, digest in before.items() if name in after}
        else:
            for command in (["code"], [stage, row]):
                _output(copy, sys.executable, "-m", f"tasks.{command[0]}", *command[1:])
            after = hashes(copy.root / result)
    return sorted(n for n in {*before, *after} if before.get(n) != after.get(n))


def run_resumed(workspace: Workspace, stage: str, row: str, keep: Path) -> dict[str, str]:
    """Train a row in its full length, stopped once; what comes of it, the loop decides.

    Args:
        workspace: with the code to run.
        stage: ``pretrain``.
        row: its name.
        keep: where its result goes.
    """
    params = read_params(workspace.root / paths.PARAMS)
    size = whole(params, stage, row, INTERRUPT_AT)
    here = Path.cwd()
    os.chdir(workspace.root)  # the lease on the device lies there
    try:
        made = short_run(Subject(stage, row, params, workspace.root, size), Path("tasks"), keep)
    finally:
        os.chdir(here)
    found: dict[str, str] = made["files"]
    return found


def whole(params: dict[str, Any], stage: str, row: str, interrupt_at: int = 0) -> Size:
    """Return the size of a training as it is, stopped after so many steps.

    Args:
        params: the content of ``params.yaml``.
        stage: ``pretrain`` or ``finetune``.
        row: its name.
        interrupt_at: steps; 0: it is not stopped.
    """
    settings = stage_settings(params, stage, row)
    training = getattr(settings, "training", settings)
    return Size(
        num_records=dict.fromkeys(SMALL.num_records, WHOLE),
        epochs=training.epochs,
        batch_size=training.batch_size,
        patience=WHOLE,
        interrupt_at=interrupt_at,
        is_watched=False,
    )


def hashes(folder: Path) -> dict[str, str]:
    """Return the hash of each file of a folder, by its path there."""
    return {
        path.relative_to(folder).as_posix(): files.sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _output(workspace: Workspace, *command: str) -> str:
    done = workspace.run(*command)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stdout}{done.stderr}")
    return done.stdout


def line_of(judged: JudgedEdit) -> str:
    """Return an edit's line of the table."""
    told = "" if bool(judged.changed) == judged.expected else "  NOT AS THE TABLE OF EDITS SAYS"
    late = f" (late: {judged.late})" if judged.late else ""
    cells = (
        f"{judged.name}{late}"[:60],
        judged.row,
        "changed" if judged.changed else "equal",
        judged.plan,
        judged.probe or "-",
        judged.dvc,
    )
    widths = (62, 24, 9, 7, 11, 0)
    return "".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)) + told


def count(judged: Sequence[JudgedEdit]) -> dict[str, int]:
    """Return what the table comes to."""
    changing = [edit for edit in judged if edit.changed]
    harmless = [edit for edit in judged if not edit.changed]
    return {
        "edits": len(judged),
        "not_as_the_table_of_edits_says": sum(bool(e.changed) != e.expected for e in judged),
        "changing": len(changing),
        "changing_seen_by_plan": sum(edit.plan == "stale" for edit in changing),
        "changing_probed": sum(edit.probe is not None for edit in changing),
        "changing_probed_different": sum(edit.probe == "different" for edit in changing),
        "cleared_wrongly_by_probe": sum(edit.probe == "same" for edit in changing),
        "harmless": len(harmless),
        "harmless_fresh_by_plan": sum(edit.plan == "fresh" for edit in harmless),
        "harmless_probed": sum(edit.probe is not None for edit in harmless),
        "harmless_cleared_by_probe": sum(edit.probe == "same" for edit in harmless),
        "stale_by_dvc_status": sum(edit.dvc == "stale" for edit in judged),
    }


def report(judged: Sequence[JudgedEdit], *, as_json: bool) -> int:
    """Print the counts; return 1 where an edit that changes bytes would rerun nothing."""
    counts = count(judged)
    cleared = counts["harmless_fresh_by_plan"] + counts["harmless_cleared_by_probe"]
    print(
        "\n{changing_seen_by_plan}/{changing} changes seen by plan; {changing_probed_different} of "
        "{changing_probed} probed told as different, {cleared_wrongly_by_probe} cleared wrongly\n"
        "{cleared}/{harmless} harmless edits cleared: {harmless_fresh_by_plan} by the fingerprint, "
        "{harmless_cleared_by_probe} by the probe (of {harmless_probed})\n"
        "{stale_by_dvc_status}/{edits} stale by dvc status; not as the table of edits says: "
        "{not_as_the_table_of_edits_says}".format(cleared=cleared, **counts)
    )
    if as_json:
        print(json.dumps({"counts": counts, "edits": [asdict(edit) for edit in judged]}))
    unseen = counts["changing"] - counts["changing_seen_by_plan"]
    return int(unseen + counts["cleared_wrongly_by_probe"] > 0)


if __name__ == "__main__":
    main()
