"""The records that one model gets right and the other wrong: what a reviewer wants to see."""

import base64

import numpy as np

from tasks.metrics.predictions import Labelled
from tasks.metrics.scores import Ints, Scored
from tasks.promotion.comparison.schema import Flip, Flipped
from tasks.reports.thumbnails import thumbnail

EXCERPT_CHARACTERS = 280


def flipped(
    candidate: Scored, champion: Scored, labels: list[str], test: Labelled, num_shown: int
) -> Flipped:
    """Return the flips in which the candidate is most confident, in each direction."""
    won = np.flatnonzero(candidate.correct & ~champion.correct)
    lost = np.flatnonzero(champion.correct & ~candidate.correct)

    def told(records: Ints) -> list[Flip]:
        order = np.argsort(-candidate.confidence[records], kind="stable")[:num_shown]
        return [_flip(candidate, champion, labels, test, int(n)) for n in records[order]]

    return {"won": told(won), "lost": told(lost)}


def _flip(
    candidate: Scored, champion: Scored, labels: list[str], test: Labelled, record: int
) -> Flip:
    flip: Flip = {
        "id": test.ids[record],
        "label": test.labels[record],
        "candidate": labels[candidate.predicted[record]],
        "champion": labels[champion.predicted[record]],
        "candidate_confidence": float(candidate.confidence[record]),
        "champion_confidence": float(champion.confidence[record]),
    }
    if test.modality == "text":
        flip["excerpt"] = excerpt(test.contents[record])
    else:
        flip["thumbnail"] = base64.b64encode(thumbnail(test.contents[record])).decode()
    return flip


def excerpt(text: str) -> str:
    """Return the beginning of a text, on one line, cut between words."""
    plain = " ".join(text.split())
    if len(plain) <= EXCERPT_CHARACTERS:
        return plain
    kept = plain[:EXCERPT_CHARACTERS]
    return f"{kept.rpartition(' ')[0] or kept} …"
