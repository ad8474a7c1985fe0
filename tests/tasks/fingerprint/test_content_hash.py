"""Hashes of what rows read: remembered while nothing changes, and never of another content."""

import json
import os
from pathlib import Path

import pytest

from tasks.contracts import files
from tasks.fingerprint import content_hash
from tasks.fingerprint.content_hash import REMEMBERED, ContentHashes


@pytest.fixture(autouse=True)
def workspace(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("model/deep")
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"1234")
    Path("model/config.json").write_text("{}")


def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which files are read from now on, all of them taken for settled."""
    read: list[str] = []
    sha256 = files.sha256

    def noted(path: Path) -> str:
        read.append(path.name)
        return sha256(path)

    monkeypatch.setattr(files, "sha256", noted)
    monkeypatch.setattr(content_hash, "SETTLED_SECONDS", -1.0)
    return read


def of_model() -> str:
    hashes = ContentHashes()
    content = hashes.of(Path("model"))
    hashes.remember()
    return content


def test_files_and_folders_have_the_hashes_that_they_have_elsewhere() -> None:
    assert of_model() == files.sha256_of_folder(Path("model"))
    assert ContentHashes().of(Path("model/config.json")) == files.sha256(Path("model/config.json"))
    assert ContentHashes().of(Path("nothing")) == "missing"


def test_an_unchanged_file_is_read_once_for_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    read = hashed(monkeypatch)
    first = of_model()
    assert sorted(read) == ["config.json", "weights"]
    assert of_model() == first
    assert len(read) == 2
    Path("model/config.json").unlink()
    assert of_model() != first
    Path("model/new").touch()
    of_model()
    assert list(json.loads(REMEMBERED.read_text())) == [
        str(Path(f"model/{name}").absolute()) for name in ("deep/weights", "new")
    ]


def test_an_edit_that_keeps_size_and_time_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed(monkeypatch)
    first = of_model()
    path = Path("model/deep/weights")
    before = path.stat()
    path.write_bytes(b"4321")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_ino == before.st_ino
    assert of_model() == files.sha256_of_folder(Path("model")) != first


def test_what_has_just_changed_is_not_remembered() -> None:
    of_model()
    assert not REMEMBERED.exists()
    an_hour_ago = Path("model/config.json").stat().st_mtime_ns - 3600 * 10**9
    os.utime("model/config.json", ns=(an_hour_ago, an_hour_ago))  # ctime is now
    of_model()
    assert not REMEMBERED.exists()


def test_a_torn_memory_and_a_workspace_that_is_read_only_are_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hashed(monkeypatch)
    first = of_model()
    for torn in ("{", "[1]", '{"x": 3}'):
        REMEMBERED.write_text(torn)
        assert of_model() == first
    REMEMBERED.unlink()
    REMEMBERED.parent.rmdir()
    REMEMBERED.parent.write_text("")
    assert of_model() == first
