"""The settings of clean name what is allowed."""

import pytest

from tasks.clean.settings import Settings
from tasks.errors import BadSettings


def test_the_defaults_are_known() -> None:
    assert Settings().model_dump(mode="json") == {
        "repair": True,
        "normalize": "NFC",
        "minimum_characters": 1,
        "maximum_characters": None,
        "mode": "auto",
        "size": None,
    }


def test_what_is_not_set_is_not_told_and_a_zero_is() -> None:
    told = Settings(blank=0).model_dump(mode="json")
    assert told == {**Settings().model_dump(mode="json"), "blank": 0}


def test_a_size_has_two_numbers() -> None:
    assert Settings.parse({"size": [8, 9]}, "corpora.a.clean").size == [8, 9]
    with pytest.raises(BadSettings, match=r"^params\.yaml: corpora\.a\.clean\.size: "):
        Settings.parse({"size": [8]}, "corpora.a.clean")


def test_a_wrong_type_is_named_with_its_path() -> None:
    with pytest.raises(BadSettings) as error:
        Settings.parse({"repair": "yes"}, "corpora.a.clean")
    assert str(error.value) == (
        "params.yaml: corpora.a.clean.repair: input should be a valid boolean, found 'yes'"
    )
