"""Files that are whole or absent."""

from pathlib import Path

import pytest

from tasks.contracts import files


def test_a_file_is_replaced_whole_and_leaves_no_temporary_one(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "value.json"
    files.write_json(path, {"a": 1})
    files.write_json(path, {"b": "文"})
    assert files.read_json(path) == {"b": "文"}
    assert [found.name for found in path.parent.iterdir()] == ["value.json"]


def test_nan_is_refused_since_json_has_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "value.json", {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_folders_hash_covers_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a").write_text("x")
    first = files.sha256_of_folder(tmp_path / "one")
    (tmp_path / "one" / "a").rename(tmp_path / "one" / "b")
    renamed = files.sha256_of_folder(tmp_path / "one")
    (tmp_path / "one" / "b").write_text("y")
    assert len({first, renamed, files.sha256_of_folder(tmp_path / "one")}) == 3


def test_a_folder_takes_anothers_place(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "result").write_text("new")
    (tmp_path / "final").mkdir()
    (tmp_path / "final" / "leftover").write_text("old")
    files.replace_folder(tmp_path / "new", tmp_path / "final")
    assert [path.name for path in (tmp_path / "final").iterdir()] == ["result"]
    assert not (tmp_path / "new").exists()


def test_rounding_reaches_every_float() -> None:
    assert files.rounded({"a": [0.123456789, {"b": 1.0}], "c": 3}) == {
        "a": [0.123457, {"b": 1.0}],
        "c": 3,
    }
