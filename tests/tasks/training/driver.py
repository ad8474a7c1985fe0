"""Pretrain, adapt or finetune in a process of its own, so that a test can kill it.

    python driver.py JOB.json [--rarely]

The job has ``stage``, ``settings``, ``train``, ``validation``, ``output``, ``checkpoints`` and, to
adapt or finetune, ``backbone``. A checkpoint is written after every step, and noted with the time
in ``saved.txt``, or as rarely as by default. The current folder gets the journal of the training,
which no MLflow server is there to read.
"""

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

from tasks.adapt import stage as adapt
from tasks.adapt.settings import Settings as AdaptSettings
from tasks.finetune import stage as finetune
from tasks.finetune import task as finetune_task
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.interpreter import COLLECTED_AFTER
from tasks.objectives import _backbone
from tasks.parent import die_with_parent
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings as PretrainSettings
from tasks.tracking.runs.live import live_run
from tasks.training import checkpoints, determinism
from tests.tasks.training.jobs import END, SAVED

RARELY = "--rarely"


class NotedCheckpoints(checkpoints.Checkpoints):
    """Checkpoints that somebody who wants to kill the training can wait for."""

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write a checkpoint, and note it."""
        super().save(step, state)
        note(self._folder.name, step)


def note(training: str, step: int) -> None:
    """Add a line with the time, which all processes have the same."""
    with Path(SAVED).open("a") as file:
        file.write(f"{training} {step} {time.monotonic()}\n")


def main(job: dict[str, Any]) -> None:
    """Run the stage's function as its ``__main__`` does."""
    die_with_parent()
    about = {"stage": job["stage"], "row": "small", "stage_hash": "abc"}
    with live_run(**about, params={}, tags={}, inputs={}) as journal:
        run(job, journal)
        note(END, 0)


def run(job: dict[str, Any], journal: Path) -> None:
    """Run the stage's function."""
    train, validation = Path(job["train"]), Path(job["validation"])
    output, kept = Path(job["output"]), Path(job["checkpoints"])
    if job["stage"] == "pretrain":
        settings = PretrainSettings.parse(job["settings"], "pretrain")
        pretrain.run("small", train, validation, output, settings, 0, kept, journal)
    else:
        of_stage, schema = {
            "adapt": (adapt, AdaptSettings),
            "finetune": (finetune, FinetuneSettings),
        }[job["stage"]]
        of_stage.run(
            "small",
            Path(job["backbone"]),
            {"train": train, "validation": validation},
            output,
            schema.parse(job["settings"], job["stage"]),
            0,
            kept,
            journal,
        )


gc.set_threshold(*COLLECTED_AFTER)
determinism.NUM_THREADS = 1  # beside other workers, two wait for each other for most of the time
# Ranks import this file too, and have the same command line.
if RARELY not in sys.argv:
    checkpoints.SECONDS_BETWEEN = checkpoints.TIMES_AS_LONG = 0.0
    for trains in (_backbone, finetune_task):
        trains.Checkpoints = NotedCheckpoints  # type: ignore[misc]
if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
