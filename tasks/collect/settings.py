"""Settings of ``collect``: a list of sources, each checked by the settings of its kind."""

from typing import Any, Self

from pydantic import Field, SerializeAsAny, model_validator

from tasks.contracts import registry
from tasks.contracts.settings import Settings as Base
from tasks.errors import BadSettings, one_of

SOURCES = "tasks.collect.sources"


class Settings(Base):
    """Where the records of a corpus come from."""

    sources: list[SerializeAsAny[Base]] = Field(
        min_length=1, description="the sources, read one after the other; each names its `kind`"
    )

    @classmethod
    def parse(cls, raw: Any, where: str) -> Self:
        """Check each source by its kind's own settings, so that an error has the full key path.

        Raises:
            BadSettings: an unknown kind or key, a wrong type or a value out of range.
        """
        if isinstance(raw, dict) and isinstance(raw.get("sources"), list):
            sources = [
                _source(source, f"{where}.sources.{number}")
                for number, source in enumerate(raw["sources"])
            ]
            raw = {**raw, "sources": sources}
        return super().parse(raw, where)

    def kinds(self) -> list[str]:
        """Return the kind of each source."""
        return [source.kind for source in self.sources]  # type: ignore[attr-defined]

    def columns(self) -> list[str]:
        """Return the columns that the sources keep beside those of every corpus."""
        named = (getattr(source, "columns", None) or () for source in self.sources)
        return list(dict.fromkeys(column for columns in named for column in columns))

    def targets(self) -> list[str]:
        """Return what a head learns of these sources, by the names of the targets."""
        named = (getattr(source, "targets", None) or () for source in self.sources)
        return list(dict.fromkeys(target for targets in named for target in targets))

    @model_validator(mode="after")
    def _each_column_is_one(self) -> Self:
        for name in {*self.columns()} & {*self.targets()}:
            raise ValueError(
                f"{name!r} is one of columns and of targets: rename the column in the source"
            )
        return self

    def modules(self) -> list[str]:
        """Return the registry entries that these sources use."""
        return sorted({f"{SOURCES}.{kind}" for kind in self.kinds()})


def _source(raw: Any, where: str) -> Base:
    kinds = registry.entries(SOURCES)
    if not isinstance(raw, dict) or not isinstance(raw.get("kind"), str):
        raise BadSettings(
            f"params.yaml: {where}: expected a mapping with the key kind ({', '.join(kinds)}), "
            f"found {raw!r:.80}"
        )
    if raw["kind"] not in kinds:
        raise BadSettings(
            f"params.yaml: {where}.kind: {raw['kind']!r} is unknown; {one_of(raw['kind'], kinds)}"
        )
    entry = registry.load(SOURCES, raw["kind"], f"{where}.kind")
    return entry.Settings.parse(raw, where)
