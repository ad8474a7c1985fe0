"""Small real corpora with targets, from their files to their splits, and two small backbones."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tasks.clean import stage as clean
from tasks.clean.settings import Settings as CleanSettings
from tasks.collect import stage as collect
from tasks.collect.settings import Settings as CollectSettings
from tasks.contracts import paths, records
from tasks.contracts.paths import PARTS, Part
from tasks.evaluate import stage as evaluate
from tasks.evaluate.settings import Settings as EvaluateSettings
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.split import stage as split
from tasks.split.settings import Settings as SplitSettings
from tests.classifiers import save_tiny_bert, save_tiny_gpt

DATA = Path(__file__).parents[2] / "data"
SOURCES: dict[str, dict[str, Any]] = {
    "brown": {"label": "", "targets": {"tokens": "tokens", "tags": "tags"}},
    "reviews": {
        "label": "",
        "targets": {"value": "rating", "labels": ["division", "department"]},
    },
    "chatterbot": {"text": "prompt", "label": "", "targets": {"response": "answer"}},
    "pairs": {"label": "department", "targets": {"text_b": "title"}},
}
FILES = {
    "brown": "brown-sample.tagged",
    "reviews": "reviews-sample.csv",
    "chatterbot": "chatterbot-sample.csv",
    "pairs": "reviews-sample.csv",
}
CORPUS_OF = {
    "tagging": "brown",
    "regression": "reviews",
    "multilabel": "reviews",
    "generation": "chatterbot",
    "pair": "pairs",
}
Splits = dict[Part, Path]


@dataclass(frozen=True)
class Finetuned:
    """A row from its corpus to its evidence."""

    splits: Splits
    model: Path
    evidence: Path
    metrics: dict[str, Any]


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Splits]:
    """The splits of the corpora."""
    root = tmp_path_factory.mktemp("corpora")
    made: dict[str, Splits] = {}
    for name, source in SOURCES.items():
        folder = root / "data" / "sources" / name
        folder.mkdir(parents=True)
        (folder / FILES[name]).write_bytes((DATA / FILES[name]).read_bytes())
        (folder / "pin.json").write_text("{}\n")
        settings = CollectSettings.parse({"sources": [{"kind": "files", **source}]}, name)
        collect.run(name, folder, folder / "pin.json", root / "found" / name, settings)
        found = root / "found" / name / "records.parquet"
        clean.run(found, root / "clean" / name, CleanSettings())
        cleaned = root / "clean" / name / "records.parquet"
        split.run(cleaned, root / name, SplitSettings(validation=0.2, test=0.3), seed=0)
        made[name] = {part: root / name / f"{part}.parquet" for part in PARTS}
    return made


@pytest.fixture(scope="session")
def backbone(corpora: dict[str, Splits], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest BERT that is real, which takes 16 pieces: longer sentences have windows."""
    texts = [text for name in ("brown", "reviews") for text in texts_of(corpora[name])]
    folder = tmp_path_factory.mktemp("backbone") / "model"
    save_tiny_bert(folder, texts, ["a", "b"], 400)
    return folder


@pytest.fixture(scope="session")
def causal_backbone(corpora: dict[str, Splits], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-2 of one layer, which keeps every character."""
    folder = tmp_path_factory.mktemp("causal") / "model"
    save_tiny_gpt(folder, texts_of(corpora["chatterbot"]), 400)
    return folder


def texts_of(splits: Splits) -> list[str]:
    """Return the training texts."""
    texts: list[str] = records.read_table(splits["train"], ["text"])["text"].to_pylist()
    return texts


@pytest.fixture(scope="session")
def finetuned(
    corpora: dict[str, Splits],
    backbone: Path,
    causal_backbone: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Finetuned]:
    """Finetune and evaluate a head, once for all tests."""

    @cache
    def run(head: str) -> Finetuned:
        root = tmp_path_factory.mktemp(head)
        below = causal_backbone if head == "generation" else backbone
        return run_head(head, corpora[CORPUS_OF[head]], below, root)

    return run


def run_head(head: str, splits: Splits, backbone: Path, root: Path, epochs: int = 4) -> Finetuned:
    """Finetune and evaluate a head."""
    rate = {"pair": 0.003, "generation": 0.005}.get(head, 0.01)
    settings = FinetuneSettings(head=head, epochs=epochs, learning_rate=rate, batch_size=16)
    trained: Splits = {part: splits[part] for part in paths.TRAINED_ON}
    finetune.run("small", backbone, trained, root / "out", settings, 0, root / "checkpoints")
    metrics = evaluate.run(
        "small",
        root / "out" / "model",
        root / "out" / "twin",
        splits,
        root / "evidence",
        EvaluateSettings(bootstrap_samples=100),
        0,
    )
    return Finetuned(splits, root / "out" / "model", root / "evidence", metrics)
