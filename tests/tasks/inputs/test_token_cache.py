"""Arrays on the disk: made once, whole or not used."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.inputs import token_cache as _token_cache
from tasks.inputs.token_cache import ArrayWriter, cached, key_of, known_sha256, mapped


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an empty cache."""
    monkeypatch.setattr(_token_cache, "FOLDER", tmp_path / "tokens")
    return tmp_path / "tokens"


def write_numbers(folder: Path) -> None:
    writer = ArrayWriter(folder / "numbers.npy", np.uint16)
    for part in ([1, 2], [], [3]):
        writer.add(np.array(part, np.int64))
    writer.close()


def test_an_array_written_piece_by_piece_is_the_whole_array() -> None:
    numbers = mapped(cached("key", write_numbers) / "numbers.npy")
    assert numbers.tolist() == [1, 2, 3]
    assert numbers.dtype == np.uint16
    assert not numbers.flags.writeable


def test_each_part_of_a_key_counts_and_so_does_where_it_ends() -> None:
    keys = {key_of("ab", "c"), key_of("a", "bc"), key_of("abc"), key_of("c", "ab")}
    assert len(keys) == 4


@pytest.mark.parametrize("damage", ["altered", "torn", "lost", "no index"])
def test_what_is_not_whole_is_made_again(damage: str) -> None:
    file = cached("key", write_numbers) / "numbers.npy"
    content = file.read_bytes()
    if damage == "altered":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "torn":
        file.write_bytes(content[:-1])
    elif damage == "lost":
        file.unlink()
    else:
        file.with_name(_token_cache.INDEX).unlink()
    assert mapped(cached("key", write_numbers) / "numbers.npy").tolist() == [1, 2, 3]
    assert file.read_bytes() == content


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the files that are hashed from now on."""
    names: list[str] = []

    def noting(path: Path) -> str:
        names.append(path.name)
        return sha256(path)

    sha256 = files.sha256
    monkeypatch.setattr(files, "sha256", noting)
    return names


def settle(path: Path, seconds: float = 60) -> None:
    os.utime(path, (time.time() - seconds, time.time() - seconds))


@pytest.mark.parametrize("damage", ["altered", "torn", "lost", "replaced"])
def test_what_is_known_to_be_whole_is_not_read_again_until_it_changes(
    damage: str, read: list[str]
) -> None:
    file = cached("key", write_numbers) / "numbers.npy"
    content = file.read_bytes()
    settle(file)
    read.clear()
    cached("key", write_numbers)
    assert read == ["numbers.npy"]
    cached("key", write_numbers)
    assert read == ["numbers.npy"]
    altered = content[:-1] + bytes([content[-1] ^ 1])
    if damage == "altered":
        file.write_bytes(altered)
    elif damage == "torn":
        file.write_bytes(content[:-1])
    elif damage == "lost":
        file.unlink()
    else:
        before = file.stat().st_mtime
        other = file.with_name("other")
        other.write_bytes(altered)
        os.utime(other, (before, before))
        other.replace(file)
    assert mapped(cached("key", write_numbers) / "numbers.npy").tolist() == [1, 2, 3]


def test_a_split_is_hashed_again_only_if_it_is_another_file(
    tmp_path: Path, read: list[str]
) -> None:
    split = tmp_path / "train.parquet"
    split.write_text("one")
    assert known_sha256(split) == known_sha256(split) == files.sha256_of_text("one")
    assert read == ["train.parquet"] * 2  # it is too new to be told apart by its time
    settle(split)
    known_sha256(split)
    known_sha256(split)
    assert len(read) == 3
    split.write_text("two")
    assert known_sha256(split) == files.sha256_of_text("two")


def test_nothing_is_left_of_one_that_could_not_be_made(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half.npy").write_text("half")
        raise BadInput("no")

    with pytest.raises(BadInput):
        cached("key", fail)
    assert [path.name for path in cache.iterdir()] == ["key.lock"]


def test_the_longest_unused_goes_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_token_cache, "KEPT", 2)
    for number in range(3):
        cached(f"key{number}", write_numbers)
        os.utime(cache / f"key{number}", (number, number))
        if number == 1:
            os.utime(cache / "key0", (5, 5))
    assert sorted(path.name for path in cache.iterdir() if path.is_dir()) == ["key0", "key2"]


def test_a_cache_that_cannot_be_written_is_one_line(cache: Path) -> None:
    cache.write_text("not a folder")
    with pytest.raises(BadInput, match=r"tokens of a corpus cannot be kept here \(.+\): make room"):
        cached("key", write_numbers)
