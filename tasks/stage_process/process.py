"""The life of one stage process, from ``dvc.yaml``'s command to its exit code.

It dies with its parent, holds the lock on its work folder, reads its settings, input hashes and
code fingerprint, lets the stage write into a staging folder, and moves the result into ``data/``
only if nothing it read has changed meanwhile (design: "nothing changes under a run"). A result of
the same inputs that was finished and never recorded is taken over instead of made again.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tasks.contracts import files, paths
from tasks.contracts.params import TABLES, read_params, row_of
from tasks.contracts.settings import Settings
from tasks.errors import BadSettings, ChangedWhileRunning, DownstreamError, StageFailed
from tasks.fingerprint.definitions import keep_definitions
from tasks.fingerprint.libraries import keep_versions
from tasks.fingerprint.rows import fingerprint
from tasks.parent import die_with_parent
from tasks.progress import say
from tasks.stage_process import kept_results as finished
from tasks.stage_process.devices import device_lease
from tasks.stage_process.failure import tell_failure
from tasks.stage_process.stage_hash import Inputs, read_inputs

LOCK_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class StageRun:
    """What a stage is given."""

    name: str
    row: str
    seed: int
    settings: Any
    """The stage's own, checked ``Settings``."""
    output: Path
    """A staging folder; it becomes ``data/<stage>/<row>/`` when the stage ends."""
    checkpoints: Path
    """Where a training of these inputs keeps its checkpoints; not made yet."""
    references: dict[str, str]
    """The row's ``corpus`` and ``backbone``, where it names them."""
    metrics: dict[str, Any] = field(default_factory=dict)
    """Figures for MLflow; the stage may fill them."""
    about: dict[str, Any] = field(default_factory=dict)
    """What MLflow is told of the run from its beginning: ``live_run(**stage.about)``."""

    @property
    def corpus(self) -> str:
        """The corpus that the row names."""
        return self.references["corpus"]

    @property
    def backbone(self) -> str:
        """The backbone that the row names."""
        return self.references["backbone"]


@contextmanager
def stage_process(stage: str, settings_type: type[Settings]) -> Iterator[StageRun]:
    """Run the body as ``<stage>@<row>``, the row being the command line's one argument.

    A mistake of the user ends the process with one or two lines and exit code 1.
    """
    die_with_parent()
    row = _row_argument(stage)
    name = f"{stage}@{row}"
    with exit_code(name), ExitStack() as held:
        held.enter_context(_work_lock(name))
        run = _prepare(stage, row, settings_type)
        held.callback(shutil.rmtree, run.output, ignore_errors=True)
        inputs, code = read_inputs(name), _current_code(stage, row)
        checkpoints = finished.checkpoint_folder(name, inputs.stage_hash)
        run = replace(run, checkpoints=checkpoints, about=_about(run, inputs, code))
        finished.sweep(name, inputs.recorded, inputs.stage_hash)
        if _taken_over(run, inputs):
            sys.exit(0)
        if inputs.needs_device:
            held.enter_context(device_lease(name, run.settings.num_devices()))
        started = time.monotonic()
        try:
            yield run
        except Exception:
            # A file edited while it is read may look broken: the edit is then the thing to tell.
            _check_unchanged(run, inputs, code)
            raise
        seconds = round(time.monotonic() - started, 3)
        files.write_json(run.output / "settings.json", _resolved(run))
        _check_unchanged(run, inputs, code)
        keep_versions(name, inputs.stage_hash)
        keep_definitions(code, Path.cwd())
        kept = {"metrics": run.metrics, "seconds": seconds}
        finished.keep(name, inputs.stage_hash, run.output, kept)
        _hand_over(run, seconds)


@contextmanager
def exit_code(name: str | None = None) -> Iterator[None]:
    """Turn a user's mistake into one or two lines on stderr and exit code 1.

    Args:
        name: ``<stage>@<row>``, of which the flow is told what kind of error it was.
    """
    try:
        yield
    except (DownstreamError, OSError) as error:
        if name:
            tell_failure(name, error)
        if os.environ.get("DOWNSTREAM_DEBUG"):
            raise
        sys.exit(f"error: {error}")
    except Exception as error:
        # torch's, which is not imported here; the training loop has a better text for its own.
        if type(error).__name__ != "OutOfMemoryError" or os.environ.get("DOWNSTREAM_DEBUG"):
            raise
        sys.exit(
            f"error: {name or 'code'}: the device's memory is too small "
            f"({str(error).split('.')[0]}): lower the number of tokens or the size of the model"
        )


def _row_argument(stage: str) -> str:
    if len(sys.argv) != 2:
        print(f"usage: python -m tasks.{stage} ROW", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    return sys.argv[1]


def _prepare(stage: str, row: str, settings_type: type[Settings]) -> StageRun:
    params = read_params()
    table = TABLES[stage]
    values = row_of(params, table, row)
    if stage not in values:
        raise BadSettings(
            f"params.yaml: {table}.{row}.{stage} is missing; add it, or {{}} for the defaults"
        )
    seed = params.get("seed")
    if not isinstance(seed, int):
        raise BadSettings(f"params.yaml: seed: expected a whole number, found {seed!r}")
    output = paths.STATE / "work" / f"{stage}@{row}"
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    return StageRun(
        name=f"{stage}@{row}",
        row=row,
        seed=seed,
        settings=settings_type.parse(values[stage], f"{table}.{row}.{stage}"),
        output=output,
        checkpoints=finished.CHECKPOINTS / f"{stage}@{row}",
        references={key: values[key] for key in ("corpus", "backbone") if key in values},
    )


@contextmanager
def _work_lock(name: str) -> Iterator[None]:
    lock = finished.work_lock(name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=LOCK_TIMEOUT_SECONDS):
            yield
    except Timeout:
        raise StageFailed(
            f"{name} is already running in this workspace: wait for it, or stop it"
        ) from None


def _current_code(stage: str, row: str) -> str:
    code = fingerprint(read_params(), stage, row, Path.cwd())
    recorded = paths.code(stage, row)
    if not recorded.exists() or recorded.read_text(encoding="utf-8") != code:
        raise ChangedWhileRunning(
            f"{stage}@{row}: its code or settings changed while running, after {recorded} was "
            "written: run again"
        )
    return code


def _check_unchanged(run: StageRun, inputs: Inputs, code: str) -> None:
    try:
        changed = inputs.differences(read_inputs(run.name)) + _changed_code(run, code)
    except DownstreamError:
        changed = [str(paths.PARAMS)]  # it cannot even be read any more
    if changed:
        raise ChangedWhileRunning(
            f"{run.name}: changed while running: {', '.join(changed)}\n"
            "Its result was thrown away, since it belongs to neither state: run again"
        )


def _changed_code(run: StageRun, before: str) -> list[str]:
    stage, row = run.name.split("@")
    known = set(before.splitlines())
    now = fingerprint(read_params(), stage, row, Path.cwd())
    return [line.split()[0] for line in now.splitlines() if line not in known]


def _resolved(run: StageRun) -> dict[str, Any]:
    settings = run.settings.model_dump(mode="json")
    return {"row": run.row, "seed": run.seed, **run.references, "settings": settings}


def _taken_over(run: StageRun, inputs: Inputs) -> bool:
    kept = finished.take(run.name, inputs.stage_hash, run.output)
    if kept is None:
        return False
    run.metrics.update(kept["metrics"])
    _hand_over(run, kept["seconds"])
    say(f"{run.name}: taken over from a run that ended before it was recorded; not run again")
    return True


def _hand_over(run: StageRun, seconds: float) -> None:
    stage, row = run.name.split("@")
    files.replace_folder(run.output, paths.stage_output(stage, row))
    files.write_json(paths.STATE / "durations" / f"{run.name}.json", {"seconds": seconds})
    _record(run)


def _about(run: StageRun, inputs: Inputs, code: str) -> dict[str, Any]:
    stage, row = run.name.split("@")
    return {
        "stage": stage,
        "row": row,
        "stage_hash": inputs.stage_hash,
        "params": run.settings.model_dump(mode="json"),
        "tags": {"downstream.code": files.sha256_of_text(code)},
        "inputs": inputs.files,
    }


def _record(run: StageRun) -> None:
    if not run.metrics:
        return
    from tasks.tracking.runs.runs import record_run

    record_run(**run.about, metrics=run.metrics)
