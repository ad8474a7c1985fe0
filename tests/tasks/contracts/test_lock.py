"""The one reader of ``dvc.lock``; hashes are DVC's own."""

from pathlib import Path

import pytest

from tasks.contracts import files
from tasks.contracts.lock import LOCK, hashes, md5_of, read_lock, upstream_of
from tasks.errors import BadSettings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_without_a_lock_nothing_is_recorded() -> None:
    assert read_lock() == {}


def test_an_edit_is_seen_and_values_are_those_of_yaml_1_2() -> None:
    LOCK.write_text("schema: '2.0'\nstages: {a: {params: {p: {rate: 5e-05}}}}\n")
    assert read_lock() == {"a": {"params": {"p": {"rate": 5e-05}}}}
    LOCK.write_text("schema: '2.0'\nstages: {a: {cmd: no}}\n")
    assert read_lock() == {"a": {"cmd": "no"}}
    LOCK.unlink()
    assert read_lock() == {}


def test_the_hashes_of_an_entry_are_those_that_dvc_has_made() -> None:
    entry = {"outs": [{"path": "a", "md5": "1"}, {"path": "b"}], "cmd": "x"}
    assert (hashes(entry, "outs"), hashes(entry, "deps")) == ({"a": "1"}, {})


def test_what_an_earlier_parser_made_of_the_same_text_is_not_taken() -> None:
    from tasks.contracts.parse_cache import parsed_once

    text = "schema: '2.0'\nstages: {a: {params: {p: {rate: 5e-05}}}}\n"
    parsed_once("lock", [text], lambda: {"stages": {"a": {"params": {"p": {"rate": "5e-05"}}}}})
    LOCK.write_text(text)
    assert read_lock() == {"a": {"params": {"p": {"rate": 5e-05}}}}


@pytest.mark.parametrize(
    "text",
    [b"stages: {clean@a: {cmd", b"\xff", b"stages: {a: 1, a: 2}", b"stages:\n  cle",
     b"stages:\n  a:\n    cmd: x\n    outs:\n", b"stages:\n  a:\n    deps:\n    - pat",
     b"stages:\n  a:\n    params:\n      params.yaml: cor"],
)  # fmt: skip
def test_a_torn_lock_is_one_line_that_names_it_and_says_what_to_do(text: bytes) -> None:
    LOCK.write_bytes(text)
    with pytest.raises(BadSettings, match=r"^DVC .* dvc\.lock is torn .*`downstream run` rebuilds"):
        read_lock()


def test_hashes_are_those_of_dvc(tmp_path: Path) -> None:
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs.local import LocalFileSystem

    folder = tmp_path / "model"
    for name, text in (("b.json", "{}"), ("a", "weights\r\n"), ("a b/c", "deep"), ("a-b", "ä")):
        files.write_text(folder / name, text)
    system = LocalFileSystem()
    database = HashFileDB(system, str(tmp_path / "cache"))
    for path in (folder, folder / "a"):
        _, _, built = build(database, str(path), system, "md5", dry_run=True)
        assert md5_of(path) == built.hash_info.value
    assert md5_of(tmp_path / "nothing") is None


def test_what_a_stage_was_made_from_stands_after_all_that_was_made_from_it() -> None:
    def entry(made: str, *read: str) -> dict[str, list[dict[str, str]]]:
        return {
            "deps": [{"path": path, "md5": "1"} for path in read],
            "outs": [{"path": made, "md5": "1"}],
        }

    lock = {
        "collect@c": entry("c"),
        "pretrain@m": entry("m", "c"),
        # Each goes on from the one before, in an order that is not the names'.
        "adapt@b": entry("b", "m", "c"),
        "adapt@z": entry("z", "b", "c"),
        "adapt@a": entry("a", "z", "c"),
        "finetune@f": entry("f", "a", "c"),
    }
    chain = ["finetune@f", "adapt@a", "adapt@z", "adapt@b", "pretrain@m", "collect@c"]
    assert upstream_of(lock, "finetune@f") == chain
