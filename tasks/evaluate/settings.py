"""Settings of ``evaluate``."""

from pydantic import Field

from tasks.contracts.settings import Settings as Base


class Settings(Base):
    """How a model is measured."""

    bootstrap_samples: int = Field(
        default=1000,
        ge=100,
        le=100_000,
        description="resamples of the test records behind each bootstrap interval",
    )
    calibration_bins: int = Field(
        default=15,
        ge=2,
        le=100,
        description="bins of equal width in [0, 1] for the expected calibration error",
    )
    shown_confusions: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="how many of the most frequent confusions the model card lists",
    )
    shown_examples: int = Field(
        default=3,
        ge=0,
        le=50,
        description="explained records on the model card, so many wrong and so many right ones",
    )
    intended_use: str = Field(
        default="",
        max_length=2000,
        description="what the model is for, on its card; without it, a general sentence",
    )
