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


def test_a_new_folder_is_there_when_it_is_whole_or_not_at_all(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "result"
    with files.new_folder(final) as folder:
        (folder / "a").write_text("first")
        assert not final.exists()
    with pytest.raises(OSError, match="No such file"), files.new_folder(final) as folder:
        (folder / "b" / "c").write_text("into a folder that is not there")
    assert [path.name for path in final.iterdir()] == ["a"]
    with files.new_folder(final) as folder:
        (folder / "c").write_text("second")
    assert [path.name for path in final.iterdir()] == ["c"]
    assert [path.name for path in final.parent.iterdir()] == ["result"]


def test_what_a_killed_process_left_of_a_new_folder_is_not_in_the_next(tmp_path: Path) -> None:
    with files.new_folder(tmp_path / "result") as folder:
        left = folder
    left.mkdir()
    (left / "torn").touch()
    with files.new_folder(tmp_path / "result"):
        pass
    assert [*tmp_path.iterdir()] == [tmp_path / "result"]
    assert [*(tmp_path / "result").iterdir()] == []


def test_a_linked_file_costs_no_copy(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("weights")
    files.link_or_copy(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").samefile(tmp_path / "a")
