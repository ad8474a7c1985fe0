"""Which expectations a corpus has to meet."""

import re
from typing import get_args

import pandas as pd

from tasks.clean.settings import Settings as CleanSettings
from tasks.corpora.profile import MEASURES
from tasks.validate.expectations import checks
from tasks.validate.settings import (
    CheckName,
    DriftSettings,
    LanguagesSettings,
    NearLeakageSettings,
    Settings,
    ValuesSettings,
)
from tasks.validate.targets import DIFFERENCE, NAMES


def tables(measured: list[str], labels: list[str]) -> dict[str, pd.DataFrame]:
    split = pd.DataFrame(columns=["id", "label", *measured])
    classes = pd.DataFrame({"label": labels, "train": [2] * len(labels)})
    return {"train": split, "validation": split, "test": split, "classes": classes}


def test_texts_with_labels_meet_expectations_on_every_table() -> None:
    found = checks(tables(["characters"], ["x", "y"]), Settings())
    assert {check.table for check in found} == {
        "train",
        "validation",
        "test",
        "leakage",
        "classes",
        "corpus",
    }
    assert len(found) == 18


def test_records_without_any_label_meet_none_on_labels() -> None:
    found = checks(tables(["characters"], []), Settings())
    assert {check.table for check in found} == {"train", "validation", "test", "leakage"}
    assert all(check.arguments.get("column") != "label" for check in found)


def test_images_are_expected_to_have_one_size() -> None:
    found = checks(tables(["width", "height"], []), Settings())
    columns = [check.arguments.get("column") for check in found if check.table == "train"]
    assert columns == [None, "id", "width", "height"]


def test_a_limit_that_is_not_set_is_not_expected() -> None:
    def limits(settings: Settings) -> list[dict[str, object]]:
        found = checks(tables(["characters"], []), settings)
        return [c.arguments for c in found if c.arguments.get("column") == "characters"]

    assert limits(Settings())[0] == {"column": "characters", "min_value": 1}
    assert limits(Settings(maximum_characters=9))[0]["max_value"] == 9


def test_every_remedy_that_is_a_setting_exists() -> None:
    found = checks(tables(["characters"], ["x"]), Settings())
    words = {word for check in found for word in re.findall(r"[\w.]+", check.remedy) if "_" in word}
    of_clean = {word.removeprefix("clean.") for word in words if word.startswith("clean.")}
    named = {word for word in words if "." not in word} - set(get_args(CheckName))
    assert named == set(Settings.model_fields) - Settings.neutral()
    assert of_clean == {"rare_classes"} <= set(CleanSettings.model_fields)


def test_classes_that_only_an_official_test_split_has_may_warn() -> None:
    found = checks(tables(["characters"], ["x"]), Settings())
    remedies = {check.table: check.remedy for check in found if check.name == "unknown_classes"}
    assert "severity: {unknown_classes: warning}" in remedies["test"]
    assert "severity" not in remedies["validation"]


def test_every_check_has_a_name_by_which_its_severity_is_set() -> None:
    settings = Settings(
        near_duplicates=NearLeakageSettings(),
        drift=DriftSettings(),
        languages=LanguagesSettings(expected=["en"]),
        values=ValuesSettings(minimum=1),
        labels=["x"],
        tags=["x"],
    )
    drift = pd.DataFrame(columns=["corpus", *MEASURES])
    of_targets = {
        "train_targets": pd.DataFrame(columns=["id", "value", DIFFERENCE]),
        **{name: pd.DataFrame({"name": ["B-X"], "train": [1]}) for name in NAMES},
    }
    named = {
        check.name
        for table in (tables(["characters"], ["x"]), tables(["width", "height"], []))
        for check in checks({**table, **of_targets, "drift": drift}, settings)
    }
    assert named == set(get_args(CheckName))
