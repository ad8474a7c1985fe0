"""Settings of ``register``."""

from pydantic import Field

from tasks.contracts.settings import Settings as Base


class Settings(Base):
    """What a model must reach to become a candidate."""

    floors: dict[str, float] = Field(
        default={},
        description=(
            "least value of a metric of evaluate's metrics.json, by its name, for example "
            "{accuracy: 0.95, gain: 0.0}; nested names are joined by dots"
        ),
    )
