"""Settings of a stage: frozen, checked once where ``params.yaml`` is read.

Each stage has a ``settings.py`` with a class ``Settings``. An error names the full key path, the
value found, what is allowed, and the key that was probably meant.
"""

import sys
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from tasks.errors import BadSettings, told

NEUTRAL: dict[str, JsonValue] = {"neutral": True}
"""``json_schema_extra`` of a setting whose null means: as before there was such a setting.

Where it is null, it is left out of fingerprints, so that adding it makes no row stale by itself.
"""


class Settings(BaseModel):
    """The base of all settings: no unknown key, no silent conversion, no later change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)

    @classmethod
    def parse(cls, raw: Any, where: str) -> Self:
        """Check what ``params.yaml`` holds at the key path ``where``.

        Raises:
            BadSettings: an unknown key, a wrong type or a value out of range.
        """
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            raise BadSettings(told(error, where, cls)) from None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse a neutral value that a later default could take the place of, unseen."""
        super().__pydantic_init_subclass__(**kwargs)
        for name in cls.neutral():
            if cls.model_fields[name].default is not None:
                raise TypeError(f"{cls.__qualname__}.{name} is NEUTRAL: its default has to be None")

    @classmethod
    def neutral(cls) -> set[str]:
        """Return the names of the settings that are ``NEUTRAL``."""
        fields = cls.model_fields.items()
        return {name for name, field in fields if field.json_schema_extra == NEUTRAL}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as what ``parse`` takes: a class made for one row cannot be imported by name."""
        importable = next(
            base
            for base in type(self).__mro__
            if getattr(sys.modules[base.__module__], base.__qualname__, None) is base
        )
        return importable.parse, (self.model_dump(exclude_unset=True), "settings")

    def num_devices(self) -> int:
        """Return on how many devices the row's stage runs, if it needs one at all."""
        return 1

    def takes_fewer_devices(self) -> bool:
        """Tell whether the row's stage makes do with fewer devices, where there are no more."""
        return False

    def num_training_processes(self) -> int:
        """Return in how many processes the row's stage computes."""
        return self.num_devices()

    def modules(self) -> list[str]:
        """Return the registry entries that these settings name, as module names."""
        return []

    def reads(self, row: str) -> list[Path]:  # noqa: ARG002 - for those that read something
        """Return files and folders that the row reads and ``dvc.yaml`` does not know of.

        Their content is a part of the row's fingerprint.
        """
        return []
