"""What a review is of: two versions, the records they are compared on, the code and the settings.

Two reviews of the same are one review. If any of it changes, what was reviewed is no longer what
would be promoted, and the next review is another one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import tasks
from tasks.contracts import files, paths
from tasks.contracts.lock import hashes, md5_of, md5_of_text, read_lock
from tasks.contracts.params import (
    CHANGED_PINS,
    on_changed_pins,
    read_params,
    row_of,
    stage_settings,
)
from tasks.errors import BadInput, DownstreamError
from tasks.fingerprint.rows import fingerprint
from tasks.promotion.settings import PromotionSettings
from tasks.tracking.audit.aliases import CANDIDATE, CHAMPION
from tasks.tracking.audit.log import AuditLog

CODE_ROOT = Path(tasks.__path__[0]).resolve().parent


class NothingToReview(DownstreamError):
    """There is no candidate, or it is the champion already."""


@dataclass(frozen=True)
class Subject:
    """What a review is of, as far as it is known before anything is compared."""

    model: str
    candidate: int
    champion: int | None
    since: int
    """The entry of the audit log that made the champion what it is; 0 without one."""
    test_split: str
    """DVC's hash (md5) of the test records."""
    code: str
    """The hash (md5) of evaluate's code fingerprint."""
    settings: str
    """The sha256 of the gates and the policy."""

    @property
    def versions(self) -> tuple[int, int | None, int]:
        """Return candidate and champion, and since when it is the champion."""
        return self.candidate, self.champion, self.since

    @property
    def review_id(self) -> str:
        """Return the name that equal subjects share."""
        return files.sha256_of_text(json.dumps(asdict(self), sort_keys=True))[:16]


def subject_of(log: AuditLog) -> Subject:
    """Return what a review of a model's candidate would be of now.

    Raises:
        NothingToReview: there is no candidate, or it is the champion already.
        BadInput: the test records are not there.
    """
    model = log.model
    candidate, champion = log.aliases.get(CANDIDATE), log.aliases.get(CHAMPION)
    if candidate is None:
        raise NothingToReview(
            f"{model} has no candidate: either it is not registered, or it misses its gates "
            f"(`downstream run register@{model}` registers it and says which)"
        )
    if candidate == champion:
        raise NothingToReview(f"{model} version {candidate} is the champion already")
    return Subject(
        model=model,
        candidate=candidate,
        champion=champion,
        since=champion_since(log),
        test_split=split_hash(corpus_of(model)),
        code=code_hash(model),
        settings=settings_hash(model),
    )


def settings_hash(model: str) -> str:
    """Return the hash of the gates and the policy, with what the policy makes of changed pins."""
    found, asks = settings_of(model), CHANGED_PINS[0]
    # Where it is null, a review that was made before there was such a key stays that of today.
    settings = found.model_dump_json(exclude={"export"} if found.export is None else None)
    on_change = on_changed_pins(read_params(), model)
    return files.sha256_of_text(settings if on_change == asks else f"{settings}\n{on_change}")


def champion_since(log: AuditLog) -> int:
    """Return the number of the entry that moved ``champion`` last; 0 where none has."""
    return max((entry["number"] for entry in log.entries if entry["alias"] == CHAMPION), default=0)


def settings_of(model: str) -> PromotionSettings:
    """Return the gates and the policy of a model, from ``params.yaml``."""
    settings: PromotionSettings = stage_settings(read_params(), "register", model)
    return settings


def corpus_of(model: str) -> str:
    """Return the corpus that a model is tested on."""
    corpus: str = row_of(read_params(), "models", model)["corpus"]
    return corpus


def split_file(corpus: str) -> Path:
    """Return the file of the test records.

    Raises:
        BadInput: it is not there.
    """
    path = paths.split(corpus, "test")
    if not path.is_file():
        raise BadInput(f"{path} is missing: `dvc pull {path}` or `downstream run split@{corpus}`")
    return path


def split_hash(corpus: str) -> str:
    """Return DVC's hash of the test records, as they lie here, or else as ``dvc.lock`` has it.

    Raises:
        BadInput: neither knows them.
    """
    path = paths.split(corpus, "test")
    recorded = hashes(read_lock().get(f"split@{corpus}", {}), "outs").get(path.as_posix())
    md5 = md5_of(path) or recorded
    if md5 is None:
        raise BadInput(
            f"{path} is missing, and dvc.lock does not know it: `downstream run split@{corpus}`"
        )
    return md5


def code_hash(model: str) -> str:
    """Return the hash that ``dvc.lock`` gives the fingerprint of evaluate's code as it is now."""
    return md5_of_text(fingerprint(read_params(), "evaluate", model, CODE_ROOT))
