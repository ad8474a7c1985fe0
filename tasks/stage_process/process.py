"""The life of one stage process, from ``dvc.yaml``'s command to its exit code.

It dies with its parent, holds the lock on its work folder, reads its settings, input hashes and
code fingerprint, lets the stage write into a staging folder, and moves the result into ``data/``
only if nothing it read has changed meanwhile (design: "nothing changes under a run"). A result of
the same inputs that was finished and never recorded is used instead of made again.
"""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from filelock import Timeout

from tasks.checks import add_check
from tasks.contracts import files, paths
from tasks.contracts.params import read_params, require_row_name, set_variables
from tasks.contracts.settings import Settings
from tasks.contracts.stage_run import StageRun, stage_run, write_settings
from tasks.errors import (
    BadInput,
    ChangedWhileRunning,
    DownstreamError,
    StageFailed,
    in_words,
    is_of_system,
)
from tasks.fingerprint.definitions import keep_definitions
from tasks.fingerprint.libraries import keep_versions
from tasks.fingerprint.rows import fingerprint
from tasks.machine.locks import file_lock
from tasks.parent import die_with_parent
from tasks.plain_text import plain
from tasks.progress import say
from tasks.stage_process import kept_results, snapshot
from tasks.stage_process.devices import device_lease
from tasks.stage_process.executed import Lines, keep_executed, watch_lines
from tasks.stage_process.failure import tell_failure
from tasks.stage_process.identity import keep_identity, require_right_records
from tasks.stage_process.stage_hash import Inputs, read_inputs
from tasks.stage_process.tracing import Trace

LOCK_TIMEOUT_SECONDS = 30
UNWAITED_SECONDS = 0.1


@contextmanager
def stage_process(stage: str, settings_type: type[Settings]) -> Iterator[StageRun]:
    """Run the body as ``<stage>@<row>``, the row being the command line's one argument.

    A mistake of the user ends the process with one or two lines and exit code 1.

    Args:
        stage: its name.
        settings_type: its own ``Settings``.
    """
    die_with_parent()
    if len(sys.argv) != 2:
        print(f"usage: python -m tasks.{stage} ROW", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    with exit_code():
        require_row_name(sys.argv[1], f"python -m tasks.{stage}")
    name = f"{stage}@{sys.argv[1]}"
    with exit_code(name), ExitStack() as held:
        held.enter_context(_work_lock(name))
        executed = held.enter_context(watch_lines(Path.cwd()))
        run, inputs, code = _prepare(stage, sys.argv[1], settings_type)
        held.callback(shutil.rmtree, run.output, ignore_errors=True)
        kept_results.sweep(name, inputs.recorded, inputs.stage_hash)
        kept = kept_results.take(name, inputs.stage_hash, run.output)
        if kept is not None:
            if kept.get("undeclared"):
                raise BadInput(kept_results.set_aside(name, kept["undeclared"]))
            run.metrics.update(kept["metrics"])
            _hand_over(run, inputs, code, kept["seconds"])
            say(f"{name}: taken over from a run that ended before it was recorded; not run again")
            sys.exit(0)
        require_right_records(inputs)
        watch = _Watch(run, inputs, code)
        add_check(watch.check)
        if inputs.needs_device:
            asked = time.monotonic()
            held.enter_context(
                device_lease(
                    name,
                    run.settings.num_devices(),
                    fewer_will_do=run.settings.takes_fewer_devices(),
                )
            )
            if time.monotonic() - asked > UNWAITED_SECONDS:
                _check_unchanged(run, inputs, code, "Nothing of it has run yet")
        started = time.monotonic()
        # Not watched are other ranks, and what came before a checkpoint: other processes.
        is_watched = run.settings.num_training_processes() == 1 and not run.checkpoints.exists()
        try:
            yield run
        except ChangedWhileRunning:
            raise
        except Exception:
            # A file edited while it is read may look broken: the edit is then the thing to tell.
            _check_unchanged(run, inputs, code)
            raise
        seconds = round(time.monotonic() - started, 3)
        write_settings(run)
        _check_unchanged(run, inputs, code)
        undeclared = watch.undeclared()
        _keep_beside(name, inputs, code, executed() if inputs.needs_device and is_watched else {})
        record = {"metrics": run.metrics, "seconds": seconds, "undeclared": undeclared}
        kept_results.keep(name, inputs.stage_hash, run.output, record)
        if undeclared:
            raise BadInput(kept_results.set_aside(name, undeclared))
        _hand_over(run, inputs, code, seconds)


def _keep_beside(name: str, inputs: Inputs, code: str, lines: Lines) -> None:
    """Keep what is told of a result later, and what it does not follow from."""
    keep_versions(name, inputs.stage_hash)
    keep_executed(name, inputs.stage_hash, lines)
    keep_definitions(code, Path.cwd(), snapshot.current())


@contextmanager
def exit_code(name: str | None = None) -> Iterator[None]:
    """Turn a user's mistake into one or two lines on stderr and exit code 1.

    Args:
        name: ``<stage>@<row>``, of which the flow is told what kind of error it was.
    """
    try:
        yield
    except DownstreamError as error:
        if name:
            tell_failure(name, error)
        if os.environ.get("DOWNSTREAM_DEBUG"):
            raise
        sys.exit(f"error: {error}")
    except Exception as error:
        if is_of_system(error):
            if name:
                tell_failure(name, error)
            if os.environ.get("DOWNSTREAM_DEBUG"):
                raise
            sys.exit(f"error: {name or 'code'}: {plain(in_words(error))}")
        # torch's, which is not imported here; the training loop has a better text for its own.
        if type(error).__name__ != "OutOfMemoryError" or os.environ.get("DOWNSTREAM_DEBUG"):
            raise
        sys.exit(
            f"error: {name or 'code'}: the device's memory is too small "
            f"({str(error).split('.')[0]}): lower the number of tokens or the size of the model"
        )


def _prepare(stage: str, row: str, settings_type: type[Settings]) -> tuple[StageRun, Inputs, str]:
    """Read settings, inputs and code fingerprint as they are now, and empty the work folder."""
    params = read_params()
    set_variables(params, os.environ)
    name = f"{stage}@{row}"
    output = paths.STATE / "work" / name
    run = stage_run(stage, row, params, settings_type, output)
    inputs = read_inputs(name)
    code = fingerprint(params, stage, row, Path.cwd(), snapshot.current())
    recorded = paths.code(stage, row)
    if not recorded.exists() or recorded.read_text(encoding="utf-8") != code:
        raise ChangedWhileRunning(
            f"{name}: its code or settings are not those of {recorded}, edited after that was "
            "written: `downstream run`, or `dvc repro --force code` before `dvc repro`"
        )
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    about = {
        "stage": stage,
        "row": row,
        "stage_hash": inputs.stage_hash,
        "params": run.settings.model_dump(mode="json"),
        "tags": {"downstream.code": files.sha256_of_text(code)},
        "inputs": inputs.files,
    }
    checkpoints = kept_results.checkpoint_folder(name, inputs.stage_hash)
    run = replace(run, checkpoints=checkpoints, about=about)
    return run, inputs, code


@contextmanager
def _work_lock(name: str) -> Iterator[None]:
    lock = kept_results.work_lock(name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file_lock(lock, timeout=LOCK_TIMEOUT_SECONDS):
            yield
    except Timeout:
        raise StageFailed(
            f"{name} is already running in this workspace: wait for it, or stop it"
        ) from None


RESULT_DROPPED = "Its result was thrown away, since it belongs to neither state"


def _check_unchanged(run: StageRun, inputs: Inputs, code: str, lost: str = RESULT_DROPPED) -> None:
    try:
        changed = inputs.differences(read_inputs(run.name)) or _changed_code(run.name, code)
    except BadInput as error:
        changed = [str(error)]
    except DownstreamError:
        changed = [str(paths.PARAMS)]  # it cannot even be read any more
    if changed:
        raise ChangedWhileRunning(
            f"{run.name}: changed while running: {', '.join(changed)}\n{lost}: run again"
        )


def _changed_code(name: str, code: str) -> list[str]:
    """Name what differs in the code and in what only the fingerprint knows of.

    The modules are those of the snapshot, if there is one: then an edit does not reach the run.
    """
    stage, row = name.split("@")
    before = set(code.splitlines())
    now = fingerprint(read_params(), stage, row, Path.cwd(), snapshot.current())
    return [line.split()[0] for line in now.splitlines() if line not in before]


class _Watch:
    """Looks, cheaply, whether a training still is what its identity says."""

    def __init__(self, run: StageRun, inputs: Inputs, code: str) -> None:
        self._run, self._inputs, self._code = run, inputs, code
        # In place (`--debug`) whatever is opened is the user's own affair.
        self._trace = Trace(Path.cwd()) if snapshot.current() else None
        self._stamps = _stamps(inputs)
        self._begun = False

    def undeclared(self) -> list[str]:
        """Return what was read, and belongs to no identity."""
        if self._trace is None:
            return []
        return self._trace.undeclared(self._run.name, self._inputs, self._code)

    def check(self) -> None:
        """Raise if an input was edited, and before the first step if one is not declared."""
        if not self._begun:
            self._begun = True
            undeclared = self.undeclared()
            if undeclared:
                raise BadInput(
                    f"{self._run.name}: reads what neither dvc.yaml nor its code fingerprint "
                    f"names: {', '.join(undeclared)}: a change of it would rerun nothing; import "
                    "modules by a statement, and declare files in dvc.yaml"
                )
        stamps = _stamps(self._inputs)
        if stamps != self._stamps:
            self._stamps = stamps
            _check_unchanged(self._run, self._inputs, self._code)


def _stamps(inputs: Inputs) -> list[files.Stamp]:
    """Return what changes when an input does."""
    found = [files.stamp(paths.PARAMS)]
    for path in map(Path, inputs.files):
        inside = sorted(path.rglob("*")) if path.is_dir() else []
        found += [files.stamp(one) for one in (path, *inside)]
    return found


def _hand_over(run: StageRun, inputs: Inputs, code: str, seconds: float) -> None:
    stage, row = run.name.split("@")
    files.replace_folder(run.output, paths.stage_output(stage, row))
    keep_identity(run.name, inputs, code)
    files.write_json(paths.STATE / "durations" / f"{run.name}.json", {"seconds": seconds})
    if run.metrics:
        from tasks.tracking.runs.runs import record_run

        record_run(**run.about, metrics=run.metrics)
