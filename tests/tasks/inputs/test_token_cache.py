"""Arrays on the disk: made once, whole or not used."""

import os
from pathlib import Path

import numpy as np
import pytest

from tasks.errors import BadInput
from tasks.inputs import token_cache as _token_cache
from tasks.inputs.token_cache import ArrayWriter, cached, key_of, mapped


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
