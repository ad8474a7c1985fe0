"""The tolerances have defaults, and bounds."""

import pytest

from tasks.errors import BadSettings
from tasks.validate.settings import Settings


def test_the_defaults_are_known() -> None:
    assert Settings().model_dump() == {
        "minimum_records": 1,
        "minimum_characters": 1,
        "maximum_characters": None,
        "minimum_classes": 2,
        "minimum_records_per_class": 2,
        "maximum_unlabelled_share": 0.0,
        "maximum_leaked_share": 0.0,
        "maximum_class_drift": 0.2,
    }


def test_an_unknown_tolerance_names_the_one_meant() -> None:
    with pytest.raises(BadSettings, match=r"did you mean 'maximum_leaked_share'\?"):
        Settings.parse({"maximum_leak_share": 0.1}, "corpora.a.validate")
