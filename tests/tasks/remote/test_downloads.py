"""``pin.json`` as ``downstream refresh`` writes it, or refused."""

from pathlib import Path

import pytest

from tasks.errors import BadInput
from tasks.remote.downloads import read_pins


def test_a_missing_file_holds_no_pins(tmp_path: Path) -> None:
    assert read_pins(tmp_path / "pin.json") == {}


@pytest.mark.parametrize("content", ["{", "[]", '{"wheel:a==1": 3}'])
def test_a_broken_file_says_which_command_mends_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "reuters" / "pin.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(BadInput, match="run `downstream refresh reuters`"):
        read_pins(path)
