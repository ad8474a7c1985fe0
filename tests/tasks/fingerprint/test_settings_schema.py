"""Of settings the schema is not hashed, since its values are; all else is."""

import pytest

from tasks.fingerprint.syntax_hash import hash_of_source

SOURCE = '''
from typing import ClassVar, Self
from pydantic import Field, field_validator, model_validator
from tasks.contracts.settings import Settings as Base
from other import save
KINDS = {"a": "b"}

class RowSettings(Base):
    """Schema."""
    size: int = Field(4, ge=1, description="how large")
    part: PartSettings = PartSettings()
    FACTOR: ClassVar[int] = 2
    _hidden: int = 1

    @property
    def area(self) -> int:
        """Its square."""
        return self.size ** 2

    def modules(self) -> list[str]:
        return ["a"]

    @classmethod
    def parse(cls, raw, where):
        return super().parse(raw, where)

    @field_validator("size")
    @classmethod
    def _is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError(f"{value} is odd")
        return value

    @model_validator(mode="after")
    def _fits(self) -> Self:
        return self
'''


def hash_with(old: str = "", new: str = "") -> str:
    assert old in SOURCE
    return hash_of_source(SOURCE.replace(old, new, 1) if old else SOURCE, ["RowSettings"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Field(4, ge=1", "Field(6, ge=2"),
        ("size: int", "size: float"),
        ("    part: PartSettings = PartSettings()\n", ""),
        ("    part:", "    more: str | None = None\n    part:"),
        ('return ["a"]', 'return ["b"]'),
        ("value % 2", "value % 3"),
        ("        return self\n", "        assert_small = self.size < 9\n        return self\n"),
        ("    def _fits(self)", "    def _fits_well(self)"),
        ('"""Its square."""', '"""Its area."""'),
    ],
)  # fmt: skip
def test_what_decides_or_checks_a_value_is_schema(old: str, new: str) -> None:
    assert hash_with(old, new) == hash_with()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("self.size ** 2", "self.size ** 3"),
        ('{"a": "b"}', '{"a": "c"}'),
        ("ClassVar[int] = 2", "ClassVar[int] = 3"),
        ("_hidden: int = 1", "_hidden: int = 2"),
        ("super().parse(raw, where)", "super().parse({}, where)"),
        ("        return value\n", "        return value + 1\n"),
        ("value % 2", "save(value)"),
        ("        return self\n", "        save(self)\n        return self\n"),
        ("(Base)", "(Base, Mixin)"),
        ("Field(4, ge=1", "Field(4, default_factory=save()"),
    ],
)
def test_what_a_stage_can_call_is_code(old: str, new: str) -> None:
    assert hash_with(old, new) != hash_with()


def test_a_class_that_only_has_such_a_name_is_code() -> None:
    changed = SOURCE.replace("Field(4, ge=1", "Field(6, ge=1")
    assert hash_of_source(changed) != hash_of_source(SOURCE)
