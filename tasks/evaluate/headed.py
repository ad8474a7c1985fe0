"""Evaluate a model with another head than classification: the same evidence, by the head's metrics.

Imported where the finetuned model names such a head alone, so that a change here makes no model of
classes stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.contracts import files, records
from tasks.contracts.paths import LABELS, Part
from tasks.heads import _evidence as evidence
from tasks.heads._model import load_predictor
from tasks.heads._targets import read_targets
from tasks.metrics.scores import rounded
from tasks.models.model import description
from tasks.models.origin import Overlap, labels_of, overlap
from tasks.progress import say
from tasks.reports.drawing import figure
from tasks.reports.page import render

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tasks.evaluate.settings import Settings

NAMES = {"model": "this model", "twin": "its twin, from random weights"}
MOST_CHARACTERS = 300
"""Of a text or an answer on the card."""


@dataclass(frozen=True)
class Example:
    """A record that the card shows."""

    text: str
    true: str
    predicted: str


def evaluate(
    model_name: str,
    head: str,
    folders: tuple[Path, Path],
    splits: Mapping[Part, Path],
    output: Path,
    settings: Settings,
    seed: int,
) -> dict[str, Any]:
    """Write ``metrics.json``, ``predictions.parquet``, ``plots/`` and the model card.

    Args:
        model_name: the row of ``params.yaml``.
        head: the head's name.
        folders: of the finetuned model, ``labels.parquet`` beside it, and of its twin.
        splits: the three splits of the model's corpus.
        output: the folder that is written.
        settings: how the model is measured.
        seed: fixes the bootstrap's resamples.

    Returns:
        The content of ``metrics.json``.

    Raises:
        BadInput: no test record has the head's targets.
    """
    model, twin = folders
    test = evidence.read_test(splits["test"], head)
    predictor = load_predictor(model)
    outputs = predictor.model.outputs
    answers = {"model": predictor.answers(test.contents)}
    if files.read_json(twin / "downstream.json").get("trained", True):
        answers["twin"] = load_predictor(twin).answers(test.contents)
    train = _trained_on(splits["train"], model.with_name(LABELS), test.head.TARGETS)
    answers |= test.head.baselines(train, test.table)
    seeds = [seed, *model_name.encode()]
    measured = evidence.measure(test, answers, outputs, settings.bootstrap_samples, seeds)
    metrics = _metrics_json(head, test, answers, outputs, measured, seen_by(model, test))
    files.write_json(output / "metrics.json", metrics)
    evidence.write_predictions(output / "predictions.parquet", test, answers, outputs)
    decides = next(iter(test.head.measures(outputs)))
    plots = output / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    names = {**NAMES, **test.head.BASELINES}
    _plot(plots / "models.png", measured, names, decides, test.head.METRICS[decides])
    card = render(
        "tasks/evaluate/headed.md.j2",
        name=model_name,
        head=head,
        corpus=splits["test"].parent.name,
        metrics=metrics,
        measured=measured,
        names=names,
        told=test.head.METRICS,
        decides=decides,
        less_is_better=decides in test.head.LESS_IS_BETTER,
        sizes={part: pq.read_metadata(path).num_rows for part, path in splits.items()},
        num_trained=train.num_rows,
        num_left_out=test.num_left_out,
        right_or_wrong=evidence.right_or_wrong(test.head),
        shares=[test.head.METRICS[metric] for metric in sorted(getattr(test.head, "SHARES", ()))],
        unknown=evidence.unknown_names(test, outputs),
        learnt_labels=splits["test"].parent.name in labels_of(model),
        teacher=description(model).get("teacher"),
        intended_use=settings.intended_use,
        examples=_examples(test, answers["model"], settings.shown_examples),
        num_outputs=len(outputs),
    )
    files.write_text(output / "README.md", card)
    page = render("tasks/evaluate/headed.html.j2", name=model_name, card=card, folder=output)
    files.write_text(output / "README.html", page)
    told = decides.replace("_", " ")
    say(f"{model_name}: {told} {metrics[decides]:.4f} on {metrics['n_test']:,} records")
    return metrics


def seen_by(model: Path, test: evidence.Test) -> Overlap | None:
    """Return how many test records the backbone was pretrained on; None where it is not known.

    Ids may be of two texts, as of a pair or a prompt with its response; a backbone has read the
    first ones alone.
    """
    seen = overlap(model, test.ids)
    texts = test.table["text"].to_pylist()
    alone = overlap(model, map(files.sha256_of_text, texts))
    return seen if seen is None or alone is None or alone.share <= seen.share else alone


def _trained_on(train: Path, chosen: Path, targets: tuple[str, ...]) -> pa.Table:
    """Return the records that the model was trained on, so that the baselines get the same."""
    table = read_targets(train, targets)
    return table.filter(pc.is_in(table["id"], records.read_table(chosen)["id"].combine_chunks()))


def _metrics_json(
    head: str,
    test: evidence.Test,
    answers: Mapping[str, list[Any]],
    outputs: list[str],
    measured: Mapping[str, evidence.Measured],
    seen: Overlap | None,
) -> dict[str, Any]:
    values = dict(measured["model"].values)
    intervals = dict(measured["model"].intervals)
    decides = next(iter(test.head.measures(outputs)))
    against = {}
    for who, given in answers.items():
        if who != "model":
            better_by, p_value = evidence.difference(test, answers["model"], given, outputs)
            against[who] = {
                "verdict": evidence.verdict(better_by, p_value),
                "better_by": rounded(better_by),
                "p_value": rounded(p_value),
            }
    slices = evidence.slices_of(test)
    found = evidence.slice_values(test, slices, answers["model"], outputs)
    pretraining = {}
    if seen is not None:
        share = {"seen_test_records": rounded(seen.share), "compared_test_records": seen.compared}
        pretraining["pretraining"] = share
    return {
        "head": head,
        "decides": decides,
        "less_is_better": decides in test.head.LESS_IS_BETTER,
        **values,
        "gain": values.get("gain"),
        "n_test": len(test),
        "baselines": {who: of_one.values for who, of_one in measured.items() if who != "model"},
        "against": against,
        "intervals": {"gain": None, **intervals},
        "slices": [
            {"kind": one.kind, "name": one.name, "records": int(one.members.sum()), decides: value}
            for one, value in zip(slices, found, strict=True)
        ],
        **pretraining,
    }


def _examples(test: evidence.Test, given: list[Any], most: int) -> list[Example]:
    """Return the records with the worst answers; of equals the first."""
    errors = test.head.errors(test.true, given)
    order = [place for place in np.argsort(-errors, kind="stable")[:most] if errors[place] > 0]
    contents, true, texts = test.contents, test.true, test.texts
    return [
        Example(
            _cut(texts[place]),
            *(
                _cut(test.head.shown(contents[place], one[place], [true[place], given[place]]))
                for one in (true, given)
            ),
        )
        for place in order
    ]


def _cut(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MOST_CHARACTERS else f"{plain[:MOST_CHARACTERS]} …"


def _plot(
    path: Path,
    measured: Mapping[str, evidence.Measured],
    names: Mapping[str, str],
    metric: str,
    told: str,
) -> None:
    """Draw the metric that decides, of the model and its baselines, with their intervals."""
    with figure(path, 7.0, 1.2 + 0.5 * len(measured)) as axes:
        for row, found in enumerate(measured.values()):
            value, interval = found.values[metric], found.intervals[metric]
            if value is not None and interval is not None:
                axes.plot(interval, [row, row], color="#1f5fa8")
                axes.plot(value, row, marker="o", color="#1f5fa8")
        axes.set_yticks(range(len(measured)), [names[who] for who in measured])
        axes.set_ylim(len(measured) - 0.5, -0.5)
        axes.set_xlabel(told)
