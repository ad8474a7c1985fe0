"""What leaves, beside the registered model: the same test records, answered by both.

What is compared is the folder that is written, run by the file that lies in it.
"""

from __future__ import annotations

import runpy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.export import predict
from tasks.export.network import write_network
from tasks.heads import _evidence as evidence
from tasks.metrics.cost import milliseconds, size_of
from tasks.metrics.intervals import bootstrap
from tasks.metrics.scores import Scored, once_each
from tasks.metrics.significance import mcnemar_exact, tango
from tasks.progress import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tasks.metrics.predictions import Labelled
    from tasks.metrics.scores import Floats

ALPHA = 0.05
NUM_TIMED = 50
NUM_SAMPLES = 1000
"""Resamples behind an interval."""
ACCURACY = "accuracy"
SAME = 1e-3
"""Below it, two answers of a head are one: a number differs by so much, or no token does."""


@dataclass(frozen=True)
class Registered:
    """A registered version.

    Attributes:
        model: its name.
        version: its number.
        folder: of its files.
    """

    model: str
    version: int
    folder: Path

    @property
    def title(self) -> str:
        """How a person knows it."""
        return f"{self.model} version {self.version}"


@dataclass(frozen=True)
class Classes:
    """Test records, and the classes that the registered version gave them.

    Attributes:
        test: the records.
        labels: the classes, in the order of the scores.
        scored: what it said.
    """

    test: Labelled
    labels: list[str]
    scored: Scored


@dataclass(frozen=True)
class Answers:
    """Test records of a head, and what the registered version answered.

    Attributes:
        test: the records.
        outputs: what it answers with, by name.
        given: an answer to each.
    """

    test: evidence.Test
    outputs: list[str]
    given: list[Any]


@dataclass(frozen=True)
class Exported:
    """How the exported model does beside the registered one, on the same test records.

    Attributes:
        model: the registered model.
        version: its number.
        precision: ``fp32`` or ``int8``.
        records: how many were compared.
        same_answers: the share that got the same label from both; of a head, the same answer.
        metric: the one that decides.
        value: of the exported model.
        registered_value: of the registered one.
        better_by: how much better the exported model is; below zero, it is worse.
        interval: of that, 95 %: Tango's where an answer is right or wrong, else a paired bootstrap.
        p_value: of McNemar's exact test where an answer is right or wrong; else of the paired
            randomisation test.
        milliseconds: the median for one record, on the machine that exported.
        registered_milliseconds: of the registered one, by PyTorch.
        size_bytes: of what is exported.
        registered_size_bytes: of the registered model's files.
        sha256: of the graph.
    """

    model: str
    version: int
    precision: str
    records: int
    same_answers: float
    metric: str
    value: float
    registered_value: float
    better_by: float
    interval: list[float]
    p_value: float
    milliseconds: float
    registered_milliseconds: float
    size_bytes: int
    registered_size_bytes: int
    sha256: str

    @property
    def title(self) -> str:
        """How a person knows it."""
        return f"{self.model} version {self.version}"

    @property
    def is_behind(self) -> bool:
        """Whether the test records tell that it is worse."""
        return self.better_by < 0 and self.p_value < ALPHA

    @property
    def both(self) -> str:
        """The two values."""
        if self.metric == ACCURACY:
            return f"{100 * self.value:.2f} beside {100 * self.registered_value:.2f} %"
        return f"{self.value:.4f} beside {self.registered_value:.4f}"

    @property
    def sentence(self) -> str:
        """What was found."""
        of_classes = self.metric == ACCURACY
        what, test = ("label", "McNemar") if of_classes else ("answer", "paired randomisation")
        return (
            f"The same {what} as the registered model on {100 * self.same_answers:.2f} % of "
            f"{self.records:,} test records; {self.metric.replace('_', ' ')} {self.both} "
            f"({test} p {self.p_value:.2g})."
        )


def write_compared(
    registered: Registered, known: Classes | Answers, target: Path, *, int8: bool
) -> Exported:
    """Write a version for ONNX Runtime, and let what is written answer the test records.

    Args:
        registered: the version.
        known: test records, and what it says about them.
        target: an empty folder.
        int8: with weights of 8 bits.

    Raises:
        BadInput: ONNX lacks an operation of the architecture, its head is not exported, or what is
            written gives answers that are not numbers.
    """
    precision = "int8" if int8 else "fp32"
    say(f"{registered.title}: writing the graph, {precision}")
    write_network(registered.folder, target, int8=int8)
    say(f"{registered.title}: {len(known.test.ids):,} test records are answered by ONNX Runtime")
    found = _of_classes if isinstance(known, Classes) else _of_head
    measured = found(registered, known, _model_of(target))  # type: ignore[arg-type]
    return Exported(
        model=registered.model,
        version=registered.version,
        precision=precision,
        records=len(known.test.ids),
        size_bytes=size_of(target),
        registered_size_bytes=size_of(registered.folder),
        sha256=files.sha256(target / predict.GRAPH),
        **measured,
    )


def _of_classes(registered: Registered, known: Classes, mine: Any) -> dict[str, Any]:
    from tasks.models.classifier import load_classifier

    test, before = known.test, known.scored
    scores = np.asarray(mine.scores(test.contents), dtype=np.float64)
    _require_numbers(registered, scores)
    index_of = np.array([known.labels.index(label) for label in mine.labels])
    ours = Scored(before.true, index_of[scores.argmax(axis=1)], scores)
    won = int((ours.correct & ~before.correct).sum())
    lost = int((before.correct & ~ours.correct).sum())
    timed = test.contents[:NUM_TIMED]
    return {
        "same_answers": float((ours.predicted == before.predicted).mean()),
        "metric": ACCURACY,
        "value": float(ours.correct.mean()),
        "registered_value": float(before.correct.mean()),
        "better_by": (won - lost) / len(ours.true),
        "interval": list(tango(won, lost, len(ours.true), 1 - ALPHA)),
        "p_value": float(mcnemar_exact(won, lost)),
        "milliseconds": _median(mine.scores, timed),
        "registered_milliseconds": _median(load_classifier(registered.folder).scores, timed),
    }


def _of_head(registered: Registered, known: Answers, mine: Any) -> dict[str, Any]:
    from tasks.heads._generator import HEAD as GENERATION
    from tasks.heads._generator import OUTPUT
    from tasks.heads._model import load_predictor

    test, outputs, before = known.test, known.outputs, known.given
    is_written = mine.head == GENERATION
    asked = [one["text"] for one in test.contents] if is_written else test.contents
    answers = mine.answers(asked)
    if is_written:  # how likely the references are to it, a response does not tell
        answers = [{OUTPUT: response, "nats": None, "tokens": None} for response in answers]
        pairs = zip(answers, before, strict=True)
        same = np.array([one[OUTPUT] == other[OUTPUT] for one, other in pairs])
    else:
        same = test.head.errors(before, answers) < SAME
    metric, function = next(iter(test.head.measures(outputs).items()))
    prepared = [test.head.prepare(test.true, given, outputs) for given in (answers, before)]
    value, value_before = (float(function(once_each(len(test)), one)[0]) for one in prepared)
    _require_numbers(registered, value)
    better_by, p_value = evidence.difference(test, answers, before, outputs)
    if evidence.right_or_wrong(test.head):
        interval = evidence.tango_interval(test, answers, before, 1 - ALPHA)
    else:
        sign = -1 if metric in test.head.LESS_IS_BETTER else 1

        def better(counts: Floats) -> dict[str, Floats]:
            return {metric: sign * (function(counts, prepared[0]) - function(counts, prepared[1]))}

        interval = list(bootstrap(better, len(test), NUM_SAMPLES, [0])[metric] or ())
    timed = asked[:NUM_TIMED]
    return {
        "same_answers": float(same.mean()),
        "metric": metric,
        "value": value,
        "registered_value": value_before,
        "better_by": better_by,
        "interval": interval,
        "p_value": p_value,
        "milliseconds": _median(mine.answers, timed),
        "registered_milliseconds": _median(load_predictor(registered.folder).served, timed),
    }


def _require_numbers(registered: Registered, values: Any) -> None:
    if not np.isfinite(values).all():
        raise BadInput(f"{registered.title}: what is written answers with what is no number")


def _model_of(folder: Path) -> Any:
    """Return an exported model, by its own ``predict.py``."""
    # Not imported: bytecode would be left in the folder.
    return runpy.run_path(str(folder / "predict.py"))["load"](folder)


def _median(score: Callable[[list[Any]], Any], contents: Sequence[Any]) -> float:
    return float(np.median(milliseconds(score, contents)))
