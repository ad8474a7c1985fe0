"""What a comparison holds, key by key: plain JSON, which is logged and shown as it is.

Shares (accuracies, differences, p-values) are between -1 and 1, never per cent; a difference is the
candidate's value less the champion's; intervals are ``[low, high]``.
"""

from typing import Literal, NotRequired, TypedDict

Verdict = Literal["better", "worse", "no significant difference"]
SliceVerdict = Literal["better", "worse", "no significant change", "too few records"]


class Metric(TypedDict):
    """A metric of both models, over all test records."""

    name: str
    """``accuracy``, ``macro_f1``, ``ece``, or a head's own."""
    told: NotRequired[str]
    """The same in words, of a head's own."""
    candidate: float
    champion: float
    difference: float
    interval: list[float]
    """95 %, of the difference; percentile bootstrap over records, paired."""


class Disagreement(TypedDict):
    """Which model is right on how many records, and McNemar's exact test of it."""

    both_right: int
    only_candidate_right: int
    only_champion_right: int
    both_wrong: int
    p_value: float
    """Two-sided."""
    score_interval: list[float]
    """Of the difference in accuracy, at level 1 - alpha (Tango 1998)."""


class SliceChange(TypedDict):
    """Both models on a slice of the test records."""

    kind: str
    """``class`` (by the true class; accuracy is then recall), ``length`` or ``brightness``."""
    name: str
    records: int
    candidate: float
    champion: float
    difference: float
    interval: list[float]
    """Of the difference, at level 1 - alpha, not adjusted for the number of slices (Tango)."""
    p_value: float | None
    """McNemar's exact test; null in a slice of too few records."""
    adjusted_p_value: float | None
    """The same after Holm's correction over all tested slices; the verdict rests on it."""
    verdict: SliceVerdict


class Bin(TypedDict):
    """The records whose confidence falls into one of equally wide bins; empty ones are left out."""

    records: int
    confidence: float
    accuracy: float


class Calibration(TypedDict):
    """The filled bins of a reliability diagram, of both models."""

    num_bins: int
    candidate: list[Bin]
    champion: list[Bin]


class Flip(TypedDict):
    """A record that one model gets right and the other wrong."""

    id: str
    label: str
    candidate: str
    champion: str
    candidate_confidence: NotRequired[float]
    """Of a class, as the next."""
    champion_confidence: NotRequired[float]
    excerpt: NotRequired[str]
    """Of a text."""
    thumbnail: NotRequired[str]
    """Of an image: a PNG, base64."""


class Flipped(TypedDict):
    """The flips in which the candidate is most confident, in each direction."""

    won: list[Flip]
    lost: list[Flip]


class Decides(TypedDict):
    """The metric that decides for a head other than classification."""

    metric: str
    told: str
    less_is_better: bool
    better_by: float
    """The candidate's value less the champion's; the other way round where less is better."""
    p_value: float
    """Two-sided, paired approximate randomisation test, or ``test``."""
    interval: list[float]
    """Of ``better_by``, at level 1 - alpha; paired percentile bootstrap, or ``interval_by``."""
    test: NotRequired[str]
    """The name of another test."""
    interval_by: NotRequired[str]
    """The name of another interval."""


class Serving(TypedDict):
    """What serving one record at a time costs."""

    median_ms: float
    p95_ms: float
    size_bytes: int


class Comparison(TypedDict):
    """A candidate beside the champion."""

    schema: Literal[1]
    model: str
    candidate: str
    champion: str
    modality: Literal["text", "image"]
    records: int
    alpha: float
    verdict: Verdict
    """Of McNemar's test, or the randomisation test, at level alpha."""
    metrics: list[Metric]
    decides: NotRequired[Decides]
    """Of a head other than classification; the next, and ``calibration``, are of classes alone."""
    disagreement: NotRequired[Disagreement]
    minimum_records: int
    slices: list[SliceChange]
    calibration: NotRequired[Calibration]
    flipped: Flipped
    serving: dict[Literal["candidate", "champion"], Serving | None]
    missed_gates: list[str]


class Decision(TypedDict):
    """What a policy says about a candidate."""

    decision: Literal["promote", "reject", "ask"]
    """``ask``: a person decides."""
    policy: str
    reasons: list[str]
