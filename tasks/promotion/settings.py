"""Settings of what a model must reach, and of how a candidate is compared with the champion.

They stand in ``models.<row>.register`` of ``params.yaml``.
"""

from typing import Annotated, Literal

from pydantic import Field

from tasks.contracts.settings import NEUTRAL
from tasks.contracts.settings import Settings as Base

Lead = Annotated[float, Field(ge=-1, le=1)]


class SliceSettings(Base):
    """What every slice of the test records must reach: each class, and each group by content."""

    minimum_accuracy: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="least share of a slice's records that get their class; null: no gate",
    )
    minimum_records: int = Field(
        default=30,
        ge=1,
        description="smaller slices are neither gated nor tested: they say too little",
    )


class ServingSettings(Base):
    """What serving may cost; measured when a model is promoted, never written to ``data/``."""

    median_ms: float | None = Field(
        default=None, gt=0, description="most milliseconds for one record, median; null: no gate"
    )
    p95_ms: float | None = Field(
        default=None, gt=0, description="the same, 95th percentile; null: no gate"
    )
    size_mb: float | None = Field(
        default=None, gt=0, description="most megabytes (10^6 bytes) of model files; null: no gate"
    )


class ExportSettings(Base):
    """How a candidate is exported for its review, and what may be lost by that."""

    precisions: list[Literal["fp32", "int8"]] = Field(
        default=["int8"],
        min_length=1,
        description="of the weights, as ONNX: fp32, int8 (dynamic quantisation), or both",
    )
    most_lost: float = Field(
        default=0.005,
        ge=0,
        description="most that an exported model may lose beside the model itself: accuracy, as a "
        "share of the test records, or so much of the metric that decides for another head",
    )


class ReviewSettings(Base):
    """How a candidate is compared with the champion, and who decides."""

    policy: Literal["manual", "auto_if_better", "auto_if_not_worse"] = Field(
        default="manual", description="who decides: a person, or one of two tests"
    )
    alpha: float = Field(
        default=0.05, gt=0, lt=0.5, description="two-sided level of significance of every test"
    )
    margin: float = Field(
        default=0.01,
        ge=0,
        lt=1,
        description="what auto_if_not_worse may give away: accuracy, as a share of the records, "
        "or so much of the metric that decides for another head",
    )
    bootstrap_samples: int = Field(
        default=2000, ge=100, le=100_000, description="resamples behind each paired interval"
    )
    shown_examples: int = Field(
        default=10, ge=0, le=1000, description="flipped records shown in each direction"
    )


class PromotionSettings(Base):
    """What a model must reach to become a candidate, and then champion."""

    floors: dict[str, float] = Field(
        default={},
        description=(
            "least value of a metric of evaluate's metrics.json, by its name, for example "
            "{accuracy: 0.95, macro_f1: 0.9}; nested names are joined by dots"
        ),
    )
    ceilings: dict[str, float] = Field(
        default={}, description="most value of a metric, for example {ece: 0.05}"
    )
    lead: dict[Literal["linear", "nb_svm", "simple", "twin"], Lead] = Field(
        default={},
        description="least lead in accuracy, or in the metric that decides for its head, over a "
        "baseline, for example {linear: 0.0, twin: 0.01}",
    )
    not_behind: list[Literal["linear", "nb_svm", "simple", "twin"]] | None = Field(
        default=None,
        description="baselines that it must not be significantly behind (McNemar's exact test on "
        "the test records, or the paired randomisation test, p < 0.05); null: linear, where the "
        "metrics tell it from the model",
        json_schema_extra=NEUTRAL,
    )
    maximum_seen: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="most test records, as a share, that the backbone was pretrained on",
    )
    slices: SliceSettings = SliceSettings()
    serving: ServingSettings = ServingSettings()
    export: ExportSettings | None = Field(
        default=None,
        description="each candidate is exported when it is reviewed, and must not lose more than "
        "this allows; null: not exported",
        json_schema_extra=NEUTRAL,
    )
    review: ReviewSettings = ReviewSettings()
