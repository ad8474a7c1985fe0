"""Settings of a stage: frozen, checked once where ``params.yaml`` is read.

Each stage has a ``settings.py`` with a class ``Settings``. An error names the full key path, the
value found, what is allowed, and the key that was probably meant.
"""

import sys
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from tasks.errors import BadSettings, one_of


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
            raise BadSettings(describe(error, where, cls)) from None

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

    def modules(self) -> list[str]:
        """Return the registry entries that these settings name, as module names."""
        return []

    def reads(self, row: str) -> list[Path]:  # noqa: ARG002 - for those that read something
        """Return files and folders that the row reads and ``dvc.yaml`` does not know of.

        Their content is a part of the row's fingerprint.
        """
        return []


def describe(error: ValidationError, where: str, model: type[BaseModel]) -> str:
    """Put the first fault of a pydantic error into one line, and count the others.

    Args:
        error: what pydantic raised.
        where: the key path in ``params.yaml`` of what was checked.
        model: the class that it was checked by.
    """
    details = error.errors(include_url=False)
    path = ".".join([where, *(str(part) for part in details[0]["loc"])])
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    return f"params.yaml: {path}: {_fault(details[0], model)}{more}"


def _fault(fault: ErrorDetails, model: type[BaseModel]) -> str:
    if fault["type"] == "extra_forbidden":
        return f"unknown key; {one_of(str(fault['loc'][-1]), _keys_at(fault['loc'], model))}"
    if fault["type"] == "missing":
        return "is missing; add it"
    expected = fault["msg"].removeprefix("Value error, ")
    return f"{expected[0].lower()}{expected[1:]}, found {fault['input']!r}"


def _keys_at(loc: tuple[int | str, ...], model: type[BaseModel]) -> list[str]:
    for part in loc[:-1]:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return list(model.model_fields)
