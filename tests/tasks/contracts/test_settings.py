"""Errors of settings: full key path, value found, what is allowed."""

import pytest
from pydantic import Field

from tasks.contracts.settings import NEUTRAL, Settings
from tasks.errors import BadSettings


class InnerSettings(Settings):
    epochs: int = Field(1, ge=1)


class OuterSettings(Settings):
    learning_rate: float = Field(0.1, gt=0)
    inner: InnerSettings = InnerSettings()


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"learning_rat": 1.0},
            "models.x.finetune.learning_rat: unknown key; allowed: inner, learning_rate; "
            "did you mean 'learning_rate'?",
        ),
        (
            {"inner": {"epoch": 1}},
            "models.x.finetune.inner.epoch: unknown key; allowed: epochs; did you mean 'epochs'?",
        ),
        (
            {"learning_rate": "fast"},
            "models.x.finetune.learning_rate: input should be a valid number, found 'fast'",
        ),
        (
            {"learning_rate": 0},
            "models.x.finetune.learning_rate: input should be greater than 0, found 0",
        ),
        (
            {"inner": {"epochs": 1.5}},
            "models.x.finetune.inner.epochs: input should be a valid integer, found 1.5",
        ),
        (
            {"inner": {"epochs": True}},
            "models.x.finetune.inner.epochs: input should be a valid integer, found True",
        ),
    ],
)
def test_one_line_names_path_value_and_choices(raw: object, message: str) -> None:
    with pytest.raises(BadSettings) as error:
        OuterSettings.parse(raw, "models.x.finetune")
    assert str(error.value) == f"params.yaml: {message}"


def test_further_faults_are_counted() -> None:
    with pytest.raises(BadSettings, match=r"\(and 1 more\)$"):
        OuterSettings.parse({"a": 1, "b": 2}, "x")


def test_a_section_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(BadSettings, match=r"params.yaml: x: .*found None"):
        OuterSettings.parse(None, "x")


def test_whole_numbers_serve_as_floats() -> None:
    assert OuterSettings.parse({"learning_rate": 1}, "x").learning_rate == 1.0


def test_a_neutral_setting_is_null_by_default() -> None:
    class Limited(Settings):
        limit: int | None = Field(None, json_schema_extra=NEUTRAL)

    assert Limited.neutral() == {"limit"}
    with pytest.raises(TypeError, match=r"Changed\.limit is NEUTRAL: its default has to be None"):

        class Changed(Settings):
            limit: int | None = Field(3, json_schema_extra=NEUTRAL)
