"""Downloads from a real server on this machine."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tasks.errors import BadInput, MissingPin, Unreachable
from tasks.remote import web
from tests.tasks.collect.conftest import Quiet

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus


def test_official_splits_come_from_their_addresses(
    corpus: "Corpus", site: tuple[Path, str]
) -> None:
    folder, address = site
    (folder / "train.csv").write_text("text,label\n一,x\n")
    (folder / "测试.csv").write_text("text,label\n二,y\n")
    urls = {"train": f"{address}/train.csv", "test": f"{address}/测试.csv"}
    source = {"kind": "url", "urls": urls}
    pins = corpus.refresh(source)
    assert pins[f"url:{address}/train.csv"] == {
        "file": "train.csv",
        "sha256": hashlib.sha256((folder / "train.csv").read_bytes()).hexdigest(),
    }
    (folder / "train.csv").unlink()  # what is kept is not asked for again
    assert corpus.collect(source) == [
        {"text": "一", "label": "x", "split": "train", "source": "url:train.csv", "row": 1},
        {"text": "二", "label": "y", "split": "test", "source": "url:测试.csv", "row": 1},
    ]


def test_a_zip_is_read_by_members(corpus: "Corpus", site: tuple[Path, str]) -> None:
    folder, address = site
    packed = corpus.zip("all.zip", {"data/a.txt": "a\n", "README.md": "no record"})
    packed.replace(folder / "all.zip")
    source = {"kind": "url", "urls": f"{address}/all.zip", "members": "data/*"}
    corpus.refresh(source)
    assert [(record["text"], record["source"]) for record in corpus.collect(source)] == [
        ("a", "url:data/a.txt")
    ]


def test_an_error_of_the_server_is_tried_again(corpus: "Corpus", site: tuple[Path, str]) -> None:
    folder, address = site
    (folder / "flaky.txt").write_text("a\n")
    Quiet.failures = 0
    assert len(corpus.refresh({"kind": "url", "urls": f"{address}/flaky.txt"})) == 1
    assert Quiet.failures == 1


def test_a_changed_file_is_not_opened(corpus: "Corpus", site: tuple[Path, str]) -> None:
    folder, address = site
    (folder / "a.txt").write_text("a\n")
    source = {"kind": "url", "urls": f"{address}/a.txt"}
    pinned = corpus.refresh(source)[f"url:{address}/a.txt"]["sha256"]
    (Path(".downstream/downloads") / pinned / "a.txt").unlink()
    (folder / "a.txt").write_text("b\n")
    found = hashlib.sha256(b"b\n").hexdigest()
    with pytest.raises(BadInput, match=f"expected sha256 {pinned} .*, downloaded {found}"):
        corpus.collect(source)


def test_an_address_without_a_pin_is_refused(corpus: "Corpus") -> None:
    with pytest.raises(MissingPin, match=r"source 0 \(url http://127\.0\.0\.1:9/a\.txt\)"):
        corpus.collect({"kind": "url", "urls": "http://127.0.0.1:9/a.txt"})


def test_an_address_that_is_not_there_is_refused(corpus: "Corpus", site: tuple[Path, str]) -> None:
    with pytest.raises(BadInput, match=r"/none\.csv answers 404 File not found: check the address"):
        corpus.refresh({"kind": "url", "urls": f"{site[1]}/none.csv"})


def test_a_file_above_the_limit_is_given_up(corpus: "Corpus", site: tuple[Path, str]) -> None:
    (site[0] / "a.txt").write_bytes(bytes(2**20 + 1))
    source = {"kind": "url", "urls": f"{site[1]}/a.txt", "maximum_megabytes": 1}
    with pytest.raises(BadInput, match=r"larger than 1,048,576 bytes: raise maximum_megabytes"):
        corpus.refresh(source)


def test_a_server_that_does_not_answer_is_named(
    corpus: "Corpus", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "ATTEMPTS", 2)
    with pytest.raises(Unreachable, match=r"does not answer \(ConnectionError, 2 attempts\)"):
        corpus.refresh({"kind": "url", "urls": "http://127.0.0.1:9/a.csv"})
