"""One short run of a row with given code, and its digest, kept by all that it follows from.

The digests lie in ``.downstream/probes/<stage>@<row>/``, outside of DVC's outputs: nothing depends
on them, and they are made when somebody asks.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tasks.contracts import files, paths
from tasks.contracts.params import THREADS, set_variables, stage_settings
from tasks.errors import StageFailed
from tasks.machine.gpus import query_gpus
from tasks.machine.libraries import versions_now
from tasks.machine.locks import file_lock
from tasks.probe import driver, workspace
from tasks.probe.workspace import Subject, lay_workspace
from tasks.stage_process import snapshot
from tasks.stage_process.devices import device_lease

PROBES = paths.STATE / "probes"
PATIENT = {"OMP_WAIT_POLICY": "passive"}
"""Other stages may use the cores: threads that spin while they wait take ten times as long."""
KEPT = 8
"""Digests of a row that are kept; the longest unused ones go first."""
REQUEST, RESULT = "request.json", "result.json"


@dataclass(frozen=True)
class Probe:
    """What a short run gave.

    Attributes:
        files: the sha256 of each output file.
        executed: the places of the executed instructions, by file below the code's parent.
        device: the kind of device it ran on.
    """

    files: dict[str, str]
    executed: dict[str, list[list[int]]]
    device: str

    @property
    def digest(self) -> str:
        """One hash over all output files."""
        return files.sha256_of_text(files.to_json(self.files))


def probe(subject: Subject, code: Path, inputs: Mapping[str, str]) -> Probe:
    """Run a row's life in small with given code, unless that has been done.

    Args:
        subject: the row, with its inputs as they lie in its workspace.
        code: a ``tasks`` folder that nobody writes to meanwhile.
        inputs: what the row reads, by path and content hash.

    Raises:
        StageFailed: the short run failed.
    """
    device = device_kind()
    follows_from = {
        "code": files.sha256_of_text(files.to_json(tree_of(code))),
        "driver": [files.sha256(Path(str(module.__file__))) for module in (driver, workspace)],
        "settings": subject.settings,
        "size": asdict(subject.size),
        "seed": subject.params["seed"],
        "threads": subject.params.get(THREADS),
        "inputs": dict(sorted(inputs.items())),
        "libraries": versions_now(),
        "device": device,
    }
    key = files.sha256_of_text(json.dumps(follows_from, sort_keys=True))[:40]
    kept = subject.root / PROBES / subject.name / f"{key}.json"
    try:
        known = files.read_json(kept)
        os.utime(kept)
        return Probe(known["files"], known["executed"], device)
    except (OSError, ValueError, KeyError):
        result = short_run(subject, code)
    files.write_json(kept, result)
    _forget_old(kept.parent)
    return Probe(result["files"], result["executed"], device)


def tree_of(code: Path) -> dict[str, str]:
    """Return the hash of every file of a ``tasks`` folder, by path."""
    return {
        path.relative_to(code).as_posix(): files.sha256(path)
        for path in sorted(code.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


def device_kind() -> str:
    """Return what kind of device a training gets here: another may give other bytes."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = [] if visible in ("", "-1") else query_gpus("name", only=visible or "")
    if gpus:
        return gpus[0][0]
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "cpu"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"cpu {names[0]}" if names else "cpu"


def short_run(subject: Subject, code: Path, keep: Path | None = None) -> dict[str, Any]:
    """Run a row's life in small with given code.

    Args:
        subject: the row, with its inputs as they lie in its workspace.
        code: a ``tasks`` folder that nobody writes to meanwhile.
        keep: where the output files go; by default nowhere.

    Returns:
        ``files`` and ``executed``, as in ``Probe``.

    Raises:
        StageFailed: the short run failed.
    """
    settings = stage_settings(subject.params, subject.stage, subject.row)
    # The same folder each time, so that no path differs between two runs that are compared.
    work = (subject.root / PROBES / "work" / subject.name).absolute()
    work.parent.mkdir(parents=True, exist_ok=True)
    environment = dict(os.environ)
    with file_lock(f"{work}.lock"), device_lease(subject.name, settings.num_devices()):
        leased = {name: value for name, value in os.environ.items() if name != snapshot.VARIABLE}
        set_variables(subject.params, leased, [THREADS])
        try:
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            request = {**lay_workspace(subject, code, work), "result": RESULT}
            files.write_json(work / REQUEST, request)
            done = subprocess.run(  # noqa: S603 - this interpreter, our own script
                [sys.executable, str(driver.__file__), REQUEST],
                cwd=work,
                env={**PATIENT, **leased, "PYTHONPATH": str(work), "PYTHONDONTWRITEBYTECODE": "1"},
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise StageFailed(f"{subject.name}: its short run failed: {_last_line(done)}")
            if keep is not None:
                files.replace_folder(work / request["output"], keep)
            result: dict[str, Any] = files.read_json(work / RESULT)
            return result
        finally:
            os.environ.clear()
            os.environ.update(environment)
            shutil.rmtree(work, ignore_errors=True)


def _last_line(done: "subprocess.CompletedProcess[str]") -> str:
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    return lines[-1] if lines else f"exit code {done.returncode}"


def _forget_old(folder: Path) -> None:
    kept = sorted(folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in kept[KEPT:]:
        path.unlink(missing_ok=True)
