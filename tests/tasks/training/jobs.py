"""Trainings in processes of their own, for tests that kill them or spread them over ranks."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tasks.tracking.journal import lines

DRIVER = Path(__file__).with_name("driver.py")
SECONDS_TO_END = 10
ROOT = Path(__file__).parents[3]
BERT = {
    "objective": "masked",
    "architecture": "bert",
    "bert": {"layers": 1, "hidden_size": 64, "heads": 2, "positions": 64, "dropout": 0.1},
    "masked": {"tokens": 48, "vocabulary_size": 600},
    "training": {"epochs": 5, "batch_size": 8},
}


class Job:
    """One training, in a folder of its own."""

    def __init__(self, folder: Path, splits: tuple[Path, Path], stage: str, **given: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.output = folder / "out"
        self.checkpoints = folder / "checkpoints"
        self._journal = folder / ".downstream/mlflow/live" / f"{stage}@small" / "abc"
        self._path = folder / "job.json"
        job = {
            "stage": stage,
            "train": splits[0],
            "validation": splits[1],
            "output": self.output,
            "checkpoints": self.checkpoints,
            **given,
        }
        self._path.write_text(json.dumps(job, default=str))

    def _start(self, *options: str) -> "subprocess.Popen[str]":
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
        assert process.returncode == 0, printed
        return printed

    def kill(self, number: signal.Signals = signal.SIGKILL) -> str:
        """Start, and kill some time after the next checkpoint; return what it printed."""
        before = self._newest()
        with self._start() as process:
            deadline = time.monotonic() + 120
            while self._newest() == before and time.monotonic() < deadline:
                assert process.poll() is None, process.communicate()[0]
                time.sleep(0.01)
            time.sleep(random.uniform(0, 0.3))  # noqa: S311 - any moment will do
            process.send_signal(number)
            return process.communicate(timeout=SECONDS_TO_END)[0]

    def curve(self) -> list[tuple[str, int, float]]:
        """Return (name, step, value) of all figures but those that no two runs have the same."""
        return [
            (name, line["step"], value)
            for line, _ in lines(self._journal)
            for name, value in line.get("figures", {}).items()
            if not name.startswith("system/") and not name.endswith("_per_second")
        ]

    def _newest(self) -> str:
        return max((path.name for path in self.checkpoints.rglob("step-*.json")), default="")
