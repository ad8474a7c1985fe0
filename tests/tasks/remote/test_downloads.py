"""``pin.json`` as ``downstream refresh`` writes it, or refused."""

from pathlib import Path
from typing import Any

import pytest

from tasks.errors import BadInput
from tasks.remote.downloads import pinned, pinned_folder, read_pins


def test_a_missing_file_holds_no_pins(tmp_path: Path) -> None:
    assert read_pins(tmp_path / "pin.json") == {}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"wheel:a==1": 3}',
        "[" * 100_000,
        '{"a": ' * 100_000,
        '{"wheel:a==1": {}, "wheel:a==1": {}}',
        '{"wheel:a==1": {"file": "a", "file": "b"}}',
        "\x00",
    ],
)
def test_a_broken_file_says_which_command_mends_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "reuters" / "pin.json"
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(BadInput, match="run `downstream refresh reuters`"):
        read_pins(path)


@pytest.mark.parametrize(
    "pin",
    [
        {},
        {"file": "a.whl"},
        {"sha256": "0" * 64},
        {"file": {"a": {}}, "sha256": "0" * 64},
        {"file": "../a.whl", "sha256": "0" * 64},
        {"file": "..", "sha256": "0" * 64},
        {"file": "é" * 200, "sha256": "0" * 64},
        {"file": "\ud800", "sha256": "0" * 64},
        {"file": "a.whl", "sha256": "../../x"},
        {"file": "a.whl", "sha256": None},
    ],
)
def test_a_pin_that_is_none_downloads_nothing(tmp_path: Path, pin: dict[str, Any]) -> None:
    def fetch(folder: Path) -> Path:
        raise AssertionError("downloaded")

    with pytest.raises(BadInput, match=r"^pin\.json: wheel:a==1: expected (file|sha256), found"):
        pinned(tmp_path, "wheel:a==1", pin, fetch)
    with pytest.raises(BadInput, match=r"^pin\.json: hub:a: expected sha256, found"):
        pinned_folder(tmp_path, "hub:a", {**pin, "sha256": 5}, fetch)
    assert list(tmp_path.iterdir()) == []
