"""Files of strangers among the sources: links to elsewhere, what is no file, odd names."""

import os
import warnings
import zipfile
from pathlib import Path

import pytest

from tasks.errors import BadInput
from tests.flows.pipeline import Pipeline
from tests.tasks.collect.conftest import Corpus


def fault(corpus: Corpus) -> str:
    with pytest.raises(BadInput) as error:
        corpus.collect()
    message = str(error.value)
    assert message.isprintable()
    return message


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the user's that is none of the corpus."""
    path = tmp_path / "secret" / "a.txt"
    path.parent.mkdir()
    path.write_text("root:x:0:0\n")
    return path


def test_a_link_to_a_file_elsewhere_is_not_read(corpus: Corpus, secret: Path) -> None:
    corpus.write("b.txt", "b\n")
    (corpus.folder / "a.txt").symlink_to(secret)
    assert fault(corpus) == (
        f"data/sources/reviews/a.txt is a link to {secret}, which is not in "
        f"{corpus.folder.parent}: copy the file if it is meant"
    ).replace("data/sources/reviews/a.txt", str(corpus.folder / "a.txt"))


@pytest.mark.parametrize("target", ["../../../secret/a.txt", "/dev/zero", "/proc/self/environ"])
def test_nor_by_a_relative_path_nor_a_device(corpus: Corpus, secret: Path, target: str) -> None:
    corpus.write("b.txt", "b\n")
    (corpus.folder / "a.txt").symlink_to(target)
    assert ", which is not in " in fault(corpus)


def test_nor_through_a_second_link(corpus: Corpus, secret: Path) -> None:
    (corpus.folder / ".hidden").symlink_to(secret)
    (corpus.folder / "a.txt").symlink_to(".hidden")
    assert f"is a link to {secret}" in fault(corpus)


def test_nor_a_folder_elsewhere(corpus: Corpus, secret: Path) -> None:
    corpus.write("b.txt", "b\n")
    (corpus.folder / "more").symlink_to(secret.parent)
    assert fault(corpus).endswith("is a link to a folder, which is not followed: copy the files")


def test_nor_is_the_corpus_itself_a_folder_elsewhere(corpus: Corpus, secret: Path) -> None:
    corpus.pin.unlink()
    corpus.folder.rmdir()
    corpus.folder.symlink_to(secret.parent)
    assert f"is a link to {secret.parent}, which is not in" in fault(corpus)


def test_a_link_in_a_circle_or_to_nothing_is_named(corpus: Corpus) -> None:
    (corpus.folder / "a.txt").symlink_to("b.txt")
    assert fault(corpus).endswith(
        "a.txt is a link that leads to no file: `dvc checkout`, or remove it"
    )
    (corpus.folder / "b.txt").symlink_to("a.txt")
    assert "is a link that leads to no file" in fault(corpus)


def test_links_within_the_sources_and_into_a_dvc_cache_are_read(corpus: Corpus) -> None:
    kept = corpus.write("kept/a.txt", "a\n")
    (corpus.folder / "b.txt").symlink_to(kept)
    cached = Path.cwd() / "cache" / "files" / "md5" / "ab" / ("0" * 30)
    cached.parent.mkdir(parents=True)
    cached.write_text("c\n")
    (corpus.folder / "c.txt").symlink_to(cached)
    assert [record["text"] for record in corpus.collect()] == ["a", "c", "a"]


def test_a_fifo_is_not_waited_for(corpus: Corpus) -> None:
    corpus.write("b.txt", "b\n")
    os.mkfifo(corpus.folder / "a.txt")
    assert fault(corpus).endswith("a.txt is neither a file nor a folder: remove it")


def test_a_name_that_is_not_utf8_is_one_line(corpus: Corpus) -> None:
    Path(os.fsdecode(os.fsencode(corpus.folder) + b"/\xff.txt")).write_text("a\n")
    assert fault(corpus).endswith(r"the name b'\xff.txt' is not UTF-8: rename")


@pytest.mark.parametrize("name", ["a\nb\nc.txt", "a\n/b.txt", "c\nd.zip"])
def test_a_name_with_a_line_end_is_one_line(corpus: Corpus, name: str) -> None:
    corpus.write(name, "a\n")
    assert fault(corpus).endswith(
        f"the name {name.split('/', maxsplit=1)[0]!r} has a line end: rename"
    )


def test_nor_has_a_member_of_an_archive(corpus: Corpus) -> None:
    corpus.zip("all.zip", {"x/a\nb.txt": "a\n"})
    assert fault(corpus) == (
        "all.zip: the member name 'x/a\\nb.txt' has a line end: pack the archive again"
    )


def test_two_members_of_one_name_are_refused(corpus: Corpus) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(corpus.folder / "all.zip", "w") as archive:
        warnings.simplefilter("ignore")
        for content in ("a\n", "b\n"):
            archive.writestr("x/a.txt", content)
    assert fault(corpus) == ("all.zip has two members 'x/a.txt': pack it again with one of them")


@pytest.mark.parametrize("name", [".", "././.", "a.t"])
def test_a_member_without_a_name_is_refused(corpus: Corpus, name: str) -> None:
    path = corpus.zip("all.zip", {name: "a\n"})
    if name == "a.t":  # which zipfile would not write: a name of no characters
        content = path.read_bytes().replace(b"\x03\x00\x00\x00a.t", b"\x00\x00\x00\x00a.t")
        directory = content.index(b"PK\x01\x02")
        path.write_bytes(
            content[: directory + 28] + b"\x00\x00\x03\x00" + content[directory + 32 :]
        )
    assert fault(corpus) == "all.zip: a member without a name: pack the archive again"


def test_a_member_in_more_folders_than_a_path_has_is_refused(corpus: Corpus) -> None:
    corpus.zip("all.zip", {f"{'a/' * 20_000}a.txt": "a\n"})
    assert fault(corpus).startswith("all.zip: the member 'a/a/a")


@pytest.mark.parametrize("attack", ["fifo", "link", "name"])
def test_a_plan_refuses_them_before_dvc_reads_them(pipeline: Pipeline, attack: str) -> None:
    path = pipeline.root / "data" / "sources" / "a" / "more.csv"
    if attack == "fifo":
        os.mkfifo(path)
    elif attack == "link":
        path.symlink_to("/dev/zero")
    else:
        path.with_name(os.fsdecode(b"\xff.csv")).write_text("a")
    expected = {
        "fifo": "more.csv is neither a file nor a folder: remove it",
        "link": "more.csv is a link to /dev/zero, which is not in",
        "name": r"the name b'\\xff.csv' is not UTF-8: rename",
    }
    with pytest.raises(BadInput, match=expected[attack]):
        pipeline.plan()


def test_a_plan_bears_a_link_to_a_folder_of_weights(pipeline: Pipeline, secret: Path) -> None:
    (pipeline.root / "data" / "sources" / "a" / "weights").symlink_to(secret.parent)
    assert pipeline.states() == {}
