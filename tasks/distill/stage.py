"""Put a backbone and the teacher of its models together."""

import shutil
from pathlib import Path

import numpy as np

from tasks.contracts import files
from tasks.contracts.paths import DISTILL, TEACHER
from tasks.distill.settings import Settings
from tasks.models.model import describe, description
from tasks.models.origin import MOST_KEPT, SEEN, labels_of, said_of


def run(backbone: Path, teacher: Path, corpus: str, output: Path, settings: Settings) -> None:
    """Write ``model/``: the backbone, with its teacher in it.

    What the teacher has seen, and whose labels it has learnt, its student has learnt too.

    Args:
        backbone: the ``model/`` that the student starts from.
        teacher: the ``model/`` of a finetuned model.
        corpus: whose labels the teacher has learnt.
        output: the folder to write into.
        settings: the row's settings.
    """
    model = output / "model"
    for source, target in ((backbone, model), (teacher, model / TEACHER)):
        # The content alone: what DVC links to its cache may not be written, the copies may.
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    seen = [np.load(each / SEEN) for each in (backbone, teacher) if (each / SEEN).exists()]
    if seen:
        np.save(model / SEEN, np.unique(np.concatenate(seen))[:MOST_KEPT])
    learnt = said_of([corpus, *labels_of(backbone), *labels_of(teacher)])
    describe(model, **{**description(model), **learnt})
    files.write_json(model / DISTILL, settings.model_dump())
