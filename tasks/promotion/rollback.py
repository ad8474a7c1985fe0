"""What has happened to a model's aliases, and the way back to an earlier champion.

A rollback is made in a hurry, so it asks for no review; but only a version that was champion by a
decision on record can become it again, and only with the weights and the scores of then.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import paths, records
from tasks.errors import BadInput, DownstreamError
from tasks.metrics.predictions import read_predictions
from tasks.models.model import DESCRIPTION, description
from tasks.progress import say
from tasks.promotion.review.signatures import signatures
from tasks.promotion.review.subject import corpus_of
from tasks.promotion.versions import FetchedVersion, fetch
from tasks.tracking.audit.aliases import CHAMPION, PREVIOUS, begin_log, move, settle
from tasks.tracking.audit.heads import check_and_keep
from tasks.tracking.audit.log import FOUND, AuditLog, Entry, require_registered
from tasks.tracking.audit.writer import LONGEST_REASON, Change
from tasks.tracking.registry.version import (
    PREDICTIONS,
    PREDICTIONS_HASH,
    WEIGHTS_HASH,
    RegisteredVersion,
    read_version,
)
from tasks.tracking.store import opened

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

EVIDENCE = {"weights_sha256": WEIGHTS_HASH, "predictions_sha256": PREDICTIONS_HASH}
MOST_RECORDS = 64
"""Records that are scored again."""
TOLERANCE = 1e-5


@dataclass(frozen=True)
class History:
    """The audit log of a model.

    Attributes:
        model: the registered model.
        entries: oldest first.
        problems: what is wrong with the log, one line each.
        aliases: where they are now.
        head: the newest entry's number and sha256.
        signed: what is known of the signatures, by the number of the entry.
    """

    model: str
    entries: list[Entry]
    problems: list[str]
    aliases: dict[str, int]
    head: str
    signed: dict[int, str]


def history(model: str, heads: Path | None = None) -> History:
    """Return a model's history; changes that were made by hand are recorded first.

    Args:
        model: the registered model.
        heads: a file with the newest entry as it was known before; it is compared and renewed.

    Raises:
        BadInput: there is no such registered model.
        DownstreamError: it has aliases, and no log.
        Unreachable: the store is away.
    """
    with opened() as client:
        require_registered(client, model)
        log = settle(client, model)
    found = signatures(log.entries)
    problems = [
        *log.problems(),
        *(f"{model}: entry {n}: {each.says}" for n, each in found.items() if not each.holds),
        *(check_and_keep(heads, log) if heads else ()),
    ]
    signed = {number: each.says for number, each in found.items()}
    return History(model, log.entries, problems, dict(log.aliases), log.newest, signed)


def begin(model: str, reason: str) -> int:
    """Begin the audit log of a model whose aliases were set before there was one.

    Args:
        model: the registered model.
        reason: why they are where they are; it is recorded.

    Returns:
        How many entries it has now.

    Raises:
        BadInput: no reason, or there is no such registered model.
        DownstreamError: there is a log, or no alias.
        Unreachable: the store is away.
    """
    _require_reason("--begin-log", reason)
    with opened() as client:
        require_registered(client, model)
        return len(begin_log(client, model, reason))


def roll_back(model: str, to: int | None, reason: str) -> str:
    """Make an earlier version the champion again.

    Args:
        model: the registered model, a row of ``models``.
        to: the version; by default the one that has the alias ``previous``.
        reason: why; it is recorded.

    Returns:
        One sentence about what was done.

    Raises:
        BadInput: no such version, or it is not what was registered, or it scores otherwise.
        DownstreamError: there is no way back, or somebody has moved the champion meanwhile.
        Unreachable: the store is away.
    """
    _require_reason("--reason", reason)
    corpus = corpus_of(model)
    with opened() as client:
        require_registered(client, model)
        log = settle(client, model)
        champion, target = _way_back(client, log, to)
        for problem in log.problems():
            say(f"warning: {problem}: the rollback goes on, and the log stays as it is")
        with tempfile.TemporaryDirectory() as temporary:
            rescored = rescore(fetch(client, target, Path(temporary)), corpus)
        hashes = {name: target.tags[tag] for name, tag in EVIDENCE.items() if tag in target.tags}
        evidence = {**hashes, "rescored": rescored}
        change = Change("rollback", CHAMPION, champion, target.number, reason, evidence)
        move(client, model, change, expected=champion)
    return (
        f"{model}: version {target.number} is the champion again, version {champion} is "
        f"`previous`; {rescored}"
    )


def _require_reason(option: str, reason: str) -> None:
    if not reason.strip():
        raise BadInput(f"{option}: it is empty; it is recorded, so that others can understand")
    if len(reason) > LONGEST_REASON:
        raise BadInput(
            f"{option}: {len(reason):,} characters are too long to be recorded: "
            f"{LONGEST_REASON:,} at most"
        )


def _way_back(client: MlflowClient, log: AuditLog, to: int | None) -> tuple[int, RegisteredVersion]:
    """Return today's champion, and the version that is to be champion again."""
    model, now = log.model, log.aliases
    if CHAMPION not in now:
        raise DownstreamError(
            f"{model} has no champion that could be rolled back: `downstream review approve "
            f"{model}` makes its candidate the first"
        )
    number = to if to is not None else now.get(PREVIOUS)
    if number is None:
        raise DownstreamError(
            f"{model} has no version `previous`: version {now[CHAMPION]} is its first champion"
        )
    target = read_version(client, model, number)
    if number == now[CHAMPION]:
        raise DownstreamError(f"{target.title} is the champion already")
    made_champion = (
        entry["version_to"]
        for entry in log.entries
        if entry["alias"] == CHAMPION and entry["action"] != FOUND
    )
    decided = {version for version in made_champion if version is not None}
    if number not in decided:
        raise BadInput(
            f"{target.title} was never made champion by a decision on record (those: "
            f"{', '.join(map(str, sorted(decided))) or 'none'}): `downstream review` decides on it"
        )
    return now[CHAMPION], target


def rescore(fetched: FetchedVersion, corpus: str) -> str:
    """Score records that a version was evaluated on, and compare.

    The records are found by their ids, which are hashes of their content, in any split of today.

    Args:
        fetched: the version with its model and its ``predictions.parquet``.
        corpus: the row of ``corpora`` that holds the records.

    Returns:
        What was found, in a few words.

    Raises:
        BadInput: a label or a score differs; the model does not load; or none of the records is
            here.
    """
    who = fetched.version.title
    # A folder that holds no model is told below.
    is_model = (fetched.model / DESCRIPTION).exists()
    head = description(fetched.model).get("head") if is_model else None
    if head is not None:
        from tasks.promotion.comparison.headed import repeats

        splits = [paths.split(corpus, part) for part in ("test", *paths.TRAINED_ON)]
        return repeats(fetched, head, splits)
    then = read_predictions(fetched.evidence / PREDICTIONS)
    rows, contents = _sample(then.ids, corpus, who)
    labels, scores = _score(who, fetched.model, contents)
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
    """Return indices into ``ids``, evenly spread, and the contents of these records."""
    splits = [paths.split(corpus, part) for part in ("test", *paths.TRAINED_ON)]
    contents: dict[str, Any] = {}
    for path in splits:
        if not contents and path.is_file():
            contents = _contents(path, ids)
    known = [index for index, name in enumerate(ids) if name in contents]
    if not known:
        raise BadInput(
            f"{who}: none of the {len(ids)} records that it was evaluated on lies in "
            f"{splits[0].parent}: `dvc pull {splits[0].parent}`, of its own commit if the data has "
            "changed since"
        )
    spread = np.linspace(0, len(known) - 1, min(MOST_RECORDS, len(known))).round().astype(int)
    rows = [known[index] for index in spread]
    return rows, [contents[ids[row]] for row in rows]


def _contents(path: Path, ids: list[str]) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    modality = records.modality_of(records.read_schema(path))
    wanted = pc.is_in(pc.field("id"), pa.array(ids))
    table = pq.read_table(path, columns=["id", modality], filters=wanted)
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
