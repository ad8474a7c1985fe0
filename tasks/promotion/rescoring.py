"""Whether a version still scores as it did when it was evaluated: a sample of its predictions."""

from pathlib import Path
from typing import Any

import numpy as np

from tasks.contracts import paths, records
from tasks.errors import BadInput
from tasks.metrics.predictions import read_predictions

MOST_RECORDS = 64
TOLERANCE = 1e-5


def rescore(who: str, model: Path, predictions: Path, corpus: str) -> str:
    """Score records that a version was evaluated on, and compare.

    The records are found by their ids, which are hashes of their content, in any split of today.

    Args:
        who: the version, for errors.
        model: its finetuned model's folder.
        predictions: its ``predictions.parquet``.
        corpus: the row of ``corpora`` that holds the records.

    Returns:
        What was found, in a few words.

    Raises:
        BadInput: a label or a score differs; the model does not load; or none of the records is
            here.
    """
    then = read_predictions(predictions)
    rows, contents = _sample(then.ids, corpus, who)
    labels, scores = _score(who, model, contents)
    recorded = then.scored.scores[rows][:, [then.labels.index(label) for label in labels]]
    differences = np.abs(scores - recorded).max(axis=1)
    for number, row in enumerate(rows):
        now, before = labels[int(scores[number].argmax())], then.labels[then.scored.predicted[row]]
        # Written so that a NaN is a difference.
        if now != before or not differences[number] <= TOLERANCE:
            raise BadInput(
                f"{who} does not score as recorded: record {then.ids[row][:12]} is {now!r}, was "
                f"{before!r}; scores differ by {differences[number]:.2g}: check out the commit in "
                "its tag mlflow.source.git.commit and try from there"
            )
    return f"{len(rows)} recorded predictions repeated, scores within {TOLERANCE:g}"


def _sample(ids: list[str], corpus: str, who: str) -> tuple[list[int], list[Any]]:
    """Return positions in ``ids``, evenly spread, and the contents of these records."""
    places = [paths.split(corpus, part) for part in ("test", *paths.TRAINED_ON)]
    found: dict[str, Any] = {}
    for place in [place for place in places if place.is_file()]:
        if not found:
            found = _contents(place, ids)
    known = [row for row, name in enumerate(ids) if name in found]
    if not known:
        raise BadInput(
            f"{who}: none of the {len(ids)} records that it was evaluated on lies in "
            f"{places[0].parent}: `dvc pull {places[0].parent}`, of its own commit if the data has "
            "changed since"
        )
    spread = np.linspace(0, len(known) - 1, min(MOST_RECORDS, len(known))).round().astype(int)
    rows = [known[position] for position in spread]
    return rows, [found[ids[row]] for row in rows]


def _contents(place: Path, ids: list[str]) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    modality = records.modality_of(records.read_schema(place))
    wanted = pc.is_in(pc.field("id"), pa.array(ids))
    table = pq.read_table(place, columns=["id", modality], filters=wanted)
    return dict(zip(table["id"].to_pylist(), table[modality].to_pylist(), strict=True))


def _score(who: str, model: Path, contents: list[Any]) -> tuple[list[str], Any]:
    from tasks.models.classifier import load_classifier

    try:
        classifier = load_classifier(model)
        return classifier.labels, np.asarray(classifier.scores(contents), dtype=np.float64)
    except (BadInput, ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(
            f"{who} does not load with this code ({first}): check out the commit in its tag "
            "mlflow.source.git.commit and try from there"
        ) from error
