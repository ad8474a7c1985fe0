"""What is known of a head's answers to test records: for evaluate, and for a review of two models.

The metrics are a head's own; here are their intervals, slices and tests, which are the same for all
of them. A difference is always turned so that more is better.

Dimensions: S resamples or draws, N test records.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tasks.contracts import records, registry
from tasks.corpora.columns import PAIR
from tasks.errors import BadInput
from tasks.heads._model import HEADS
from tasks.heads._targets import read_targets
from tasks.metrics.intervals import bootstrap, wilson
from tasks.metrics.randomisation import paired_randomisation
from tasks.metrics.scores import once_each, rounded
from tasks.metrics.significance import mcnemar_exact, tango
from tasks.metrics.slices import Slice
from tasks.metrics.slices import slices_of as slices_by_class

if TYPE_CHECKING:
    from pathlib import Path

    from tasks.metrics.intervals import Interval
    from tasks.metrics.scores import Floats

PREDICTED = "predicted"
ALPHA = 0.05
"""The level of the test that tells a model and a baseline apart."""


@dataclass(frozen=True)
class Test:
    """The test records of a head."""

    head: ModuleType
    table: pa.Table
    """``id``, ``text`` and the targets."""
    num_left_out: int
    """Test records without a target."""

    @property
    def ids(self) -> list[str]:
        """The id of each record."""
        ids: list[str] = self.table["id"].to_pylist()
        return ids

    @property
    def texts(self) -> list[str]:
        """What a page shows of each record: its text, or both of a pair."""
        texts: list[str] = self.table["text"].to_pylist()
        if PAIR not in self.table.column_names:
            return texts
        pairs = zip(texts, self.table[PAIR].to_pylist(), strict=True)
        return [" / ".join(pair) for pair in pairs]

    @property
    def contents(self) -> list[Any]:
        """What a model reads of each record."""
        contents: list[Any] = self.head.contents_of(self.table)
        return contents

    @property
    def true(self) -> list[Any]:
        """What is true of each record, in the form of an answer."""
        true: list[Any] = self.head.true_of(self.table)
        return true

    def __len__(self) -> int:
        """Return N."""
        return int(self.table.num_rows)


@dataclass(frozen=True)
class Measured:
    """The metrics of one model with their 95 % intervals; None where undefined."""

    values: dict[str, float | None]
    intervals: dict[str, Interval]


def read_test(path: Path, head: str) -> Test:
    """Read the test records that have the head's targets.

    Args:
        path: the split.
        head: the name of the head.

    Raises:
        BadInput: none has, or the head has no such name.
    """
    module = registry.load(HEADS, head, f"head of {path}")
    table = read_targets(path, module.TARGETS, complete=False)
    num_left_out = sum(batch.num_rows for batch in records.read_batches(path)) - table.num_rows
    table = module.joined(table) if hasattr(module, "joined") else table
    return Test(module, table, num_left_out)


def measure(
    test: Test,
    answers: Mapping[str, Sequence[Any]],
    outputs: list[str],
    num_samples: int,
    seed: list[int],
) -> dict[str, Measured]:
    """Return the metrics of the model and its baselines; all of them see the same resamples.

    Args:
        test: the test records.
        answers: of ``model`` and each baseline.
        outputs: what the model answers with, by name.
        num_samples: resamples behind each interval.
        seed: fixes them.
    """
    measures = test.head.measures(outputs)
    prepared = {who: test.head.prepare(test.true, given, outputs) for who, given in answers.items()}
    decides = next(iter(measures))

    def everything(counts: Floats) -> dict[str, Floats]:
        found = {
            f"{who}/{name}": function(counts, of_one)
            for who, of_one in prepared.items()
            for name, function in measures.items()
        }
        if "twin" in prepared:
            gain = found[f"model/{decides}"] - found[f"twin/{decides}"]
            found["model/gain"] = _sign(test.head, decides) * gain
        return found

    values = everything(once_each(len(test)))
    intervals = bootstrap(everything, len(test), num_samples, seed)
    measured = {who: Measured({}, {}) for who in answers}
    for key, value in values.items():
        who, _, name = key.partition("/")
        is_number = math.isfinite(value[0])
        interval = interval_of(test.head, name, float(value[0]), intervals[key], len(test))
        measured[who].values[name] = rounded(value[0]) if is_number else None
        measured[who].intervals[name] = (
            (rounded(interval[0]), rounded(interval[1])) if interval and is_number else None
        )
    return measured


def interval_of(
    head: ModuleType, metric: str, value: float, bootstrapped: Interval, num_records: int
) -> Interval:
    """Return the 95 % interval of a metric: of a share of the records Wilson's.

    It holds where few records are right, or nearly all: the bootstrap is too short there, and an
    interval of length 0 where none is or all are.

    Args:
        head: what is predicted.
        metric: its name.
        value: of it.
        bootstrapped: its interval by the bootstrap.
        num_records: N.
    """
    if metric in getattr(head, "SHARES", ()) and math.isfinite(value):
        return wilson(round(value * num_records), num_records)
    return bootstrapped


def difference(
    test: Test,
    ours: Sequence[Any],
    theirs: Sequence[Any],
    outputs: list[str],
    members: np.ndarray | None = None,
) -> tuple[float, float]:
    """Return how much better our answers are in the metric that decides, and the p-value.

    Args:
        test: the test records.
        ours: an answer to each.
        theirs: the same of another model.
        outputs: what both answer with, by name.
        members: which records to look at; all without it.
    """
    everyone = range(len(test))
    chosen = [place for place in everyone if members is None or members[place]]
    true = test.true
    if right_or_wrong(test.head):
        won, lost = _disagreements(test, [ours, theirs], chosen)
        return (won - lost) / len(chosen), float(mcnemar_exact(won, lost))
    both = [*(ours[place] for place in chosen), *(theirs[place] for place in chosen)]
    prepared = test.head.prepare([true[place] for place in chosen] * 2, both, outputs)
    name, function = next(iter(test.head.measures(outputs).items()))
    observed, p_value = paired_randomisation(lambda c: function(c, prepared), len(chosen))
    return _sign(test.head, name) * observed, p_value


def right_or_wrong(head: ModuleType) -> bool:
    """Tell whether an answer is one of the two: McNemar's test then compares two models."""
    return bool(getattr(head, "RIGHT_OR_WRONG", False))


def _disagreements(
    test: Test, both: Sequence[Sequence[Any]], chosen: Sequence[int]
) -> tuple[int, int]:
    """Return on how many records the first model alone is right, and the second one alone."""
    true = test.true
    is_right = [test.head.errors(true, given)[chosen] == 0 for given in both]
    return int((is_right[0] & ~is_right[1]).sum()), int((is_right[1] & ~is_right[0]).sum())


def tango_interval(
    test: Test, ours: Sequence[Any], theirs: Sequence[Any], level: float
) -> list[float]:
    """Return the interval of the difference of two shares of right answers.

    Args:
        test: the test records.
        ours: an answer to each.
        theirs: the same of another model.
        level: of the interval.
    """
    won, lost = _disagreements(test, [ours, theirs], range(len(test)))
    return list(tango(won, lost, len(test), level))


def verdict(better_by: float, p_value: float) -> str:
    """Return whether a model is ahead of another, level or behind."""
    return "level" if p_value >= ALPHA else "ahead" if better_by > 0 else "behind"


def _sign(head: ModuleType, metric: str) -> int:
    return -1 if metric in head.LESS_IS_BETTER else 1


def slices_of(test: Test) -> list[Slice]:
    """Return groups of the test records: thirds by length, and those of the head."""
    own = [
        Slice("target", name, members)
        for name, members in test.head.slices_by(test.true).items()
        if members.any()
    ]
    return [*own, *slices_by_class(np.zeros(0, np.int64), [], "text", test.texts)]


def slice_values(
    test: Test, slices: Sequence[Slice], given: Sequence[Any], outputs: list[str]
) -> list[float]:
    """Return the metric that decides within each slice.

    Args:
        test: the test records.
        slices: groups of them.
        given: an answer to each record.
        outputs: what the model answers with, by name.
    """
    if not slices:
        return []
    function = next(iter(test.head.measures(outputs).values()))
    prepared = test.head.prepare(test.true, given, outputs)
    members = np.array([one.members for one in slices], dtype=float)
    return [rounded(value) for value in function(members, prepared)]


def unknown_names(test: Test, outputs: list[str]) -> list[str]:
    """Return the labels or tags of the test records that the model does not know, sorted.

    ``validate`` refuses them unless it is told not to; they are then never answered, and wrong.
    """
    if not hasattr(test.head, "names_in"):
        return []
    return sorted(test.head.names_in(test.true) - {*outputs})


def write_predictions(
    path: Path, test: Test, answers: Mapping[str, Sequence[Any]], outputs: list[str]
) -> None:
    """Write one row a test record: ``id``, the targets, ``predicted`` and ``<who>_predicted``.

    Args:
        path: the file.
        test: the test records.
        answers: of ``model`` and each baseline.
        outputs: what the model answers with, by name.
    """
    kind = test.head.predicted_type()
    texts = [name for name in ("text", PAIR) if name in test.table.column_names]
    table = test.table.drop_columns(texts)
    for who, given in answers.items():
        name = PREDICTED if who == "model" else f"{who}_{PREDICTED}"
        table = table.append_column(pa.field(name, kind), pa.array(list(given), kind))
    table = table.combine_chunks().replace_schema_metadata({"outputs": "\n".join(outputs)})
    records.write_records(path, table.schema, table.to_batches())


def read_predictions(path: Path, test: Test) -> list[Any]:
    """Return the model's answers to the test records, from what ``write_predictions`` wrote.

    Raises:
        BadInput: they are of other records.
    """
    table = records.read_table(path)
    if PREDICTED not in table.column_names:
        raise BadInput(f"{path} holds no predictions (no column {PREDICTED}): run evaluate again")
    if table["id"].to_pylist() != test.ids:
        raise BadInput(f"{path} is of other test records: score the model again")
    answers: list[Any] = table[PREDICTED].to_pylist()
    return answers
