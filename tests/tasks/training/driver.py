"""Pretrain or finetune in a process of its own, so that a test can kill it.

    python driver.py JOB.json [--rarely]

The job has ``stage``, ``settings``, ``train``, ``validation``, ``output``, ``checkpoints`` and, to
finetune, ``backbone``. A checkpoint is written after every step, or as rarely as by default. The
current folder gets the journal of the training, which no MLflow server is there to read.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.parent import die_with_parent
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings as PretrainSettings
from tasks.tracking.live import live_run
from tasks.training import checkpoints

RARELY = "--rarely"


def main(job: dict[str, Any]) -> None:
    """Run the stage's function as its ``__main__`` does."""
    die_with_parent()
    about = {"stage": job["stage"], "row": "small", "stage_hash": "abc"}
    with live_run(**about, params={}, tags={}, inputs={}) as journal:
        run(job, journal)


def run(job: dict[str, Any], journal: Path) -> None:
    """Run the stage's function."""
    train, validation = Path(job["train"]), Path(job["validation"])
    output, kept = Path(job["output"]), Path(job["checkpoints"])
    if job["stage"] == "pretrain":
        settings = PretrainSettings.parse(job["settings"], "pretrain")
        pretrain.run("small", train, validation, output, settings, 0, kept, journal)
    else:
        finetune.run(
            "small",
            Path(job["backbone"]),
            {"train": train, "validation": validation},
            output,
            FinetuneSettings.parse(job["settings"], "finetune"),
            0,
            kept,
            journal,
        )


# Ranks import this file too, and have the same command line.
if RARELY not in sys.argv:
    checkpoints.SECONDS_BETWEEN = checkpoints.TIMES_AS_LONG = 0.0
if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
