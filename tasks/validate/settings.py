"""Settings of ``validate``: the tolerances of the gate."""

from pydantic import Field

from tasks.contracts.settings import Settings as Base


class Settings(Base):
    """What the splits of a corpus must meet."""

    minimum_records: int = Field(1, ge=1, description="records in each split")
    minimum_characters: int = Field(1, ge=1, description="text: characters of the shortest")
    maximum_characters: int | None = Field(
        None, ge=1, description="text: characters of the longest; null for no limit"
    )
    minimum_classes: int = Field(2, ge=1, description="classes, if there are labels at all")
    minimum_records_per_class: int = Field(2, ge=0, description="records of each class in train")
    maximum_unlabelled_share: float = Field(
        0.0, ge=0, le=1, description="share of a split without a label, if there are labels at all"
    )
    maximum_leaked_share: float = Field(
        0.0, ge=0, le=1, description="share of a split that stands in an earlier one too"
    )
    maximum_class_drift: float = Field(
        0.2,
        ge=0,
        le=1,
        description="total variation distance of the class shares of train and test, beyond what "
        "chance explains at their sizes",
    )
