"""What the checks on data find in three known corpora, and in labels of which 5 % were made wrong.

R8, R52 and 20 Newsgroups with their official splits: texts of test that train or validation has,
word for word and nearly so; how many records ``split.near_duplicates`` leaves out for it; and of
the labels of train and validation that ``downstream data labels`` calls likely wrong, how many are
among those that were planted (precision), and how many of the planted are called so (recall).
Beside it the plain rule, that a label is wrong where the linear model says another class out of
fold.

    python -m benchmarks.data_checks [--quick] [--json]

It downloads the wheel of Orange's text add-on (38 MB), and takes a minute or two on two cores.
``--quick`` looks at R8 alone. ``ratio`` is the F1 of our list to that of the plain rule, on R8.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import CORPORA, corpus_row
from flows.corpora.labels import FOLDS, likely_wrong, probabilities
from tasks.clean import stage as clean
from tasks.clean.settings import Settings as CleanSettings
from tasks.collect import stage as collect
from tasks.collect.refresh import refresh
from tasks.collect.settings import Settings as CollectSettings
from tasks.contracts.paths import PARTS, TRAINED_ON, Part
from tasks.metrics.predictions import Labelled, read_labelled
from tasks.split import stage as split
from tasks.split.settings import Settings as SplitSettings
from tasks.validate import facts
from tasks.validate.near import near_leakage
from tasks.validate.settings import NearLeakageSettings

WRONG = 0.05
SIMILARITIES = (1.0, 0.8)


def main() -> None:
    """Measure, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="R8 alone")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    found = {}
    for name in ["r8"] if arguments.quick else CORPORA:
        with tempfile.TemporaryDirectory(prefix="data-checks-") as folder:
            found[name] = measure(name, Path(folder))
        report(name, found[name])
    labels = found["r8"]["labels"]
    ratio = f1(labels["listed"]) / f1(labels["plain"])
    print(f"\nF1 of the list to that of the plain rule, R8: {ratio:.2f}")
    if arguments.json:
        print(json.dumps({"ratio": ratio, "corpora": found}))


def measure(name: str, folder: Path) -> dict[str, Any]:
    """Return what is found in one corpus.

    Args:
        name: a key of ``CORPORA``.
        folder: an empty one.
    """
    settings = CollectSettings.parse(corpus_row(CORPORA[name])["collect"], "collect")
    pin = folder / "pin.json"
    refresh(name, settings, pin)
    collect.run(name, folder, pin, folder / "collect", settings)
    clean.run(folder / "collect" / "records.parquet", folder / "clean", CleanSettings())
    cleaned = folder / "clean" / "records.parquet"
    left_out = {
        str(similarity): sum(
            split.run(cleaned, folder / "apart", settings_of(similarity), 0)[
                "near_duplicates"
            ].values()
        )
        for similarity in SIMILARITIES
    }
    split.run(cleaned, folder / "split", settings_of(None), 0)
    parts: dict[Part, Path] = {part: folder / "split" / f"{part}.parquet" for part in PARTS}
    profiles = {part: facts.profile(path) for part, path in parts.items()}
    of_test = [row for row in facts.leakage(profiles).to_dict("records") if "test" in row["pair"]]
    near = near_leakage(parts, NearLeakageSettings(similarity=SIMILARITIES[-1]))
    return {
        "equal": sum(row["shared"] for row in of_test),
        "near": sum(row["near"] for row in near if "test" in row["pair"]),
        "left_out": left_out,
        "labels": score_labels(together([read_labelled(parts[part]) for part in TRAINED_ON])),
    }


def settings_of(similarity: float | None) -> SplitSettings:
    """Return the settings of split, with near-duplicates kept apart or not."""
    near = {} if similarity is None else {"near_duplicates": {"similarity": similarity}}
    return SplitSettings.parse({"validation": 0.1, **near}, "split")


def together(parts: Sequence[Labelled]) -> Labelled:
    """Return the records of several splits as one."""
    return replace(
        parts[0],
        ids=[identity for part in parts for identity in part.ids],
        contents=[content for part in parts for content in part.contents],
        labels=[label for part in parts for label in part.labels],
    )


def score_labels(labelled: Labelled, seed: int = 0) -> dict[str, dict[str, float]]:
    """Make labels wrong, and return precision and recall of our list and of the plain rule.

    Args:
        labelled: the records; classes with fewer records than folds are left as they are.
        seed: of which ones become wrong, and what they become.
    """
    random = np.random.default_rng(seed)
    names, counts = np.unique(labelled.labels, return_counts=True)
    common = names[counts >= 2 * FOLDS]
    rows = np.flatnonzero(np.isin(labelled.labels, common))
    planted = random.choice(rows, round(WRONG * len(rows)), replace=False)
    labels = list(labelled.labels)
    for row in planted.tolist():
        labels[row] = str(random.choice(common[common != labels[row]]))
    place = {identity: row for row, identity in enumerate(labelled.ids)}
    review = likely_wrong(replace(labelled, labels=labels))
    listed = np.array([place[suspect.identity] for suspect in review.suspects], dtype=np.int64)
    given = np.searchsorted(common, [labels[row] for row in rows])
    chances = probabilities(labelled.modality, [labelled.contents[row] for row in rows], given)
    plain = rows[chances.argmax(axis=1) != given]
    return {"listed": scores(listed, planted), "plain": scores(plain, planted)}


def scores(found: np.ndarray, planted: np.ndarray) -> dict[str, float]:
    """Return how many were found, precision and recall."""
    right = len(np.intersect1d(found, planted))
    return {
        "found": len(found),
        "precision": right / max(1, len(found)),
        "recall": right / len(planted),
    }


def f1(scored: dict[str, float]) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * scored["precision"] * scored["recall"] / (scored["precision"] + scored["recall"])


def report(name: str, found: dict[str, Any]) -> None:
    """Print what was found in one corpus."""
    left_out = ", ".join(f"{count} ({limit})" for limit, count in found["left_out"].items())
    print(f"{name}: texts of test elsewhere: {found['equal']} equal, {found['near']} near (0.8); "
          f"left out: {left_out}")  # fmt: skip
    for rule, scored in found["labels"].items():
        print(f"{name}: wrong labels, {rule}: {scored['found']:.0f} found, precision "
              f"{scored['precision']:.2f}, recall {scored['recall']:.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
