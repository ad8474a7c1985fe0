"""Where every artefact lies, relative to the repository's root.

One word a stage: ``data/<stage>/<row>/`` is what ``<stage>@<row>`` writes. Stages hand over
through these files alone. ``adapt`` and ``distill`` write to ``data/pretrain/``: whoever takes a
backbone does not ask which of them has made it, and no two rows of theirs have one name.
"""

from pathlib import Path
from typing import Literal

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
TRAINED_ON: tuple[Part, ...] = ("train", "validation")

PARAMS = Path("params.yaml")
DATA = Path("data")
STATE = Path(".downstream")

# What finetune leaves beside its model, and in its twin's folder.
LABELS, REPEATS = "labels.parquet", "repeats"
# What distill leaves beside a backbone: the model to learn from, and how.
TEACHER, DISTILL = "teacher", "distill.json"
FOLDERS = {"adapt": "pretrain", "distill": "pretrain"}
"""The folder in ``data/`` of a stage that has none of its own name."""


def stage_output(stage: str, row: str) -> Path:
    """Return the folder that ``<stage>@<row>`` writes."""
    return DATA / FOLDERS.get(stage, stage) / row


def sources(corpus: str) -> Path:
    """Return the folder of a corpus' local files and its ``pin.json``."""
    return DATA / "sources" / corpus


def pin(corpus: str) -> Path:
    """Return the file with the exact revision and sha256 of each remote source."""
    return sources(corpus) / "pin.json"


def code(stage: str, row: str) -> Path:
    """Return the fingerprint of the code that ``<stage>@<row>`` runs."""
    return DATA / "code" / stage / f"{row}.txt"


def collected(corpus: str) -> Path:
    """Return the records of a corpus as found."""
    return stage_output("collect", corpus) / "records.parquet"


def cleaned(corpus: str) -> Path:
    """Return the records of a corpus, repaired, without empty and repeated ones."""
    return stage_output("clean", corpus) / "records.parquet"


def split(corpus: str, part: Part) -> Path:
    """Return one of the three splits of a corpus."""
    return stage_output("split", corpus) / f"{part}.parquet"


def gate(corpus: str) -> Path:
    """Return the verdict of ``validate``, which the GPU stages depend on."""
    return stage_output("validate", corpus) / "gate.json"


def pretrained(backbone: str) -> Path:
    """Return the model folder of a pretrained backbone, or of one that has gone on from another."""
    return stage_output("pretrain", backbone) / "model"


def finetuned(model: str) -> Path:
    """Return the finetuned model's folder."""
    return stage_output("finetune", model) / "model"


def twin(model: str) -> Path:
    """Return the folder of the same model trained from random weights."""
    return stage_output("finetune", model) / "twin"


def metrics(model: str) -> Path:
    """Return the test metrics of a model."""
    return stage_output("evaluate", model) / "metrics.json"


def version(model: str) -> Path:
    """Return the content hash and gate verdict of a model."""
    return stage_output("register", model) / "version.json"
