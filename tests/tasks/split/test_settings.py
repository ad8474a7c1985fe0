"""The shares leave something for train."""

import pytest

from tasks.errors import BadSettings
from tasks.split.settings import Settings


def test_the_defaults_are_known() -> None:
    assert Settings().model_dump() == {"validation": 0.1, "test": 0.2}


def test_shares_that_leave_nothing_for_train_are_refused() -> None:
    with pytest.raises(
        BadSettings, match=r"validation \+ test must stay below 1: the rest is train"
    ):
        Settings.parse({"validation": 0.5, "test": 0.5}, "corpora.a.split")


def test_a_negative_share_is_named_with_its_path() -> None:
    with pytest.raises(BadSettings, match=r"^params\.yaml: corpora\.a\.split\.test: "):
        Settings.parse({"test": -0.1}, "corpora.a.split")
