"""What is kept of large files changes what a run costs, and nothing else."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.collect import stage
from tasks.collect.kept import Kept
from tasks.collect.settings import Settings
from tasks.collect.source import Record
from tasks.collect.sources import files
from tasks.errors import BadInput
from tests.tasks.collect.conftest import NAME, Corpus

SOURCES = {"sources": [{"kind": "files", "columns": ["author"]}]}
LABEL = st.sampled_from(["x", "y", "1", "1.0", "2", ""])
ROWS = st.lists(st.tuples(st.sampled_from(["a", "b, c", "天气"]), LABEL), max_size=5)
CHANGE = st.tuples(st.sampled_from(["a.csv", "b.csv", "c/d.csv", "e.zip"]), st.none() | ROWS)


@pytest.fixture(autouse=True, scope="module")
def all_files_are_large() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "LARGE_BYTES", 1)
        yield


def outputs(corpus: Corpus, kept: Kept | None = None) -> bytes | str:
    """Collect; return the bytes of the output, or the error."""
    found = Settings.parse(SOURCES, "collect")
    try:
        stage.run(NAME, corpus.folder, corpus.pin, corpus.output, found, kept)
    except BadInput as error:
        return str(error)
    return (corpus.output / "records.parquet").read_bytes()


def csv(rows: list[tuple[str, str]]) -> str:
    lines = [f'"{text}",{label},Ann' for text, label in rows]
    return "\n".join(["text,label,author", *lines]) + "\n"


@given(st.lists(CHANGE, min_size=1, max_size=6))
@settings(deadline=None, max_examples=60)
def test_after_any_additions_edits_and_removals_the_bytes_are_those_of_a_full_run(
    changes: list[tuple[str, list[tuple[str, str]] | None]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder))
        kept = Kept(Path(folder) / "shards", "code")
        for name, rows in changes:
            if rows is None:
                (corpus.folder / name).unlink(missing_ok=True)
            elif name == "e.zip":
                corpus.zip(name, {"f.csv": csv(rows), "g.csv": csv(rows[::-1])})
            else:
                corpus.write(name, csv(rows))
            assert outputs(corpus, kept) == outputs(corpus)


def anew(said: str) -> str:
    return next(line for line in said.splitlines() if "anew" in line).partition(": ")[2]


def test_only_a_file_that_is_new_is_read(
    corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Kept(tmp_path / "shards", "code")
    for number in range(5):
        corpus.write(f"{number}.csv", csv([(f"text {number}", "x")]))
    first = outputs(corpus, kept)
    assert anew(capsys.readouterr().err) == "5 of 5 large files read anew"
    assert outputs(corpus, kept) == first
    assert anew(capsys.readouterr().err) == "0 of 5 large files read anew"
    corpus.write("0a.csv", csv([("another", "y")]))
    outputs(corpus, kept)
    assert anew(capsys.readouterr().err) == "1 of 6 large files read anew"
    outputs(corpus, Kept(kept.folder, "other code"))
    assert anew(capsys.readouterr().err) == "6 of 6 large files read anew"
    assert len(list(kept.folder.iterdir())) == 6


def test_what_is_torn_or_altered_is_read_again(
    corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = Kept(tmp_path / "shards", "code")
    for number in range(3):
        corpus.write(f"{number}.csv", csv([(f"text {number}", "x")]))
    first = outputs(corpus, kept)
    torn, altered, other = sorted(kept.folder.iterdir())
    torn.write_bytes(torn.read_bytes()[:50])
    altered.write_bytes(other.read_bytes())
    capsys.readouterr()
    assert outputs(corpus, kept) == first
    assert anew(capsys.readouterr().err) == "2 of 3 large files read anew"


def test_a_disk_that_takes_nothing_costs_time_alone(corpus: Corpus, tmp_path: Path) -> None:
    corpus.write("a.csv", csv([("text", "x")]))
    (tmp_path / "file").write_text("")
    assert outputs(corpus, Kept(tmp_path / "file" / "shards", "code")) == outputs(corpus)


def test_of_a_file_that_changes_while_it_is_read_nothing_is_kept(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Kept(tmp_path / "shards", "code")
    corpus.write("a.csv", csv([("before", "x")]))
    read = files.read_member

    def after_an_edit(*arguments: Any) -> Iterator[Record]:
        corpus.write("a.csv", csv([("after", "y")]))
        return read(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_member", after_an_edit)
        assert outputs(corpus, kept) == "files:a.csv changed while it was read: run again"
    corpus.write("a.csv", csv([("before", "x")]))
    assert outputs(corpus, kept) == outputs(corpus)
