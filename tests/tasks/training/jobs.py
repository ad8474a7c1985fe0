"""Trainings in processes of their own, for tests that kill them or spread them over ranks."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from tasks.tracking.runs.journal import lines

DRIVER = Path(__file__).with_name("driver.py")
SAVED = "saved.txt"
"""Where the driver notes each checkpoint, and ``END`` after the last."""
END = "end"
ROOT = Path(__file__).parents[3]
TIMES = ("_per_second", "checkpoint_seconds", "waiting_share")
BERT = {
    "objective": "masked",
    "architecture": "bert",
    "bert": {"layers": 1, "hidden_size": 64, "heads": 2, "positions": 64, "dropout": 0.1},
    "masked": {"tokens": 48, "vocabulary_size": 600},
    "training": {"epochs": 5, "batch_size": 8},
}


class RunFailed(Exception):
    """A run that nothing disturbed has failed; holds what it printed."""


class Checkpoint(NamedTuple):
    """A step of one of a stage's trainings (``model``, ``twin``)."""

    training: str
    step: int


class Job:
    """One training, in a folder of its own."""

    def __init__(self, folder: Path, splits: tuple[Path, Path], stage: str, **given: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / "out"
        self._given = {"splits": splits, "stage": stage, **given}
        self._name = f"{stage} small"
        self._journal = folder / ".downstream/mlflow/live" / f"{stage}@small" / "abc"
        self._path = folder / "job.json"
        job = {
            "stage": stage,
            "train": splits[0],
            "validation": splits[1],
            "output": self.output,
            "checkpoints": folder / "checkpoints",
            **given,
        }
        self._path.write_text(json.dumps(job, default=str))

    def again(self, folder: Path) -> "Job":
        """Return the same training in another folder, not begun."""
        return Job(folder, **self._given)

    def _start(self, *options: str) -> "subprocess.Popen[str]":
        # As a stage's process does: what a killed one has half written is none of the result.
        shutil.rmtree(self.output, ignore_errors=True)
        return subprocess.Popen(
            [sys.executable, str(DRIVER), str(self._path), *options],
            cwd=self._path.parent,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "OMP_WAIT_POLICY": "passive",
                "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *options: str) -> str:
        """Run to the end; return what it printed."""
        with self._start(*options) as process:
            printed, _ = process.communicate()
        if process.returncode != 0:
            raise RunFailed(printed)
        return printed

    def checkpoints(self) -> list[tuple[Checkpoint, float]]:
        """Return all checkpoints in order, each with the time, and ``END``, if it was reached."""
        noted = self._path.with_name(SAVED)
        found: dict[Checkpoint, float] = {}
        for line in noted.read_text().splitlines(keepends=True) if noted.exists() else []:
            if line.endswith("\n"):
                training, step, at = line.split()
                found.setdefault(Checkpoint(training, int(step)), float(at))
        return list(found.items())

    def goes_on(self, printed: str, newest: Checkpoint) -> bool:
        """Tell whether a run says that it went on from a checkpoint, or from one after it."""
        training = self._name if newest.training == "model" else f"{self._name} ({newest.training})"
        line = re.escape(training) + r": goes on from the checkpoint of step ([\d,]+)"
        found = re.search(line, printed)
        return found is not None and int(found[1].replace(",", "")) >= newest.step

    def curve(self) -> list[tuple[str, int, float]]:
        """Return (name, step, value) of all metrics but those that no two runs have the same."""
        return [
            (name, line["step"], value)
            for line, _ in lines(self._journal)
            for name, value in line.get("metrics", {}).items()
            if not name.startswith("system/") and not name.endswith(TIMES)
        ]
