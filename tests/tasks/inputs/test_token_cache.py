"""Tokens on the disk: made once, whole or not used."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.inputs import documents as _documents
from tasks.inputs import token_cache as _token_cache
from tasks.inputs.documents import corpus_tokenizer, read_documents, read_texts
from tasks.inputs.tokenizer import train_tokenizer
from tasks.objectives import masked

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty workspace, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_token_cache, "FOLDER", Path(".downstream/tokens"))
    return tmp_path


def folders() -> list[Path]:
    return sorted(path for path in Path(".downstream/tokens").iterdir() if path.is_dir())


def test_a_split_is_tokenised_once(texts: tuple[Path, Path]) -> None:
    tokenizer = train_tokenizer(lambda: read_texts(texts[0]), 500)
    first = read_documents(texts[1], tokenizer)
    made = {path: path.stat().st_mtime_ns for path in folders()[0].iterdir()}
    again = read_documents(texts[1], tokenizer)
    assert {path: path.stat().st_mtime_ns for path in folders()[0].iterdir()} == made
    assert np.array_equal(first.tokens, again.tokens)
    assert not again.tokens.flags.writeable


def test_another_tokenizer_has_tokens_of_its_own(texts: tuple[Path, Path]) -> None:
    sizes = (300, 400)
    made = [
        read_documents(texts[1], train_tokenizer(lambda: read_texts(texts[0]), size))
        for size in sizes
    ]
    assert len(folders()) == 2
    assert len(made[0].tokens) > len(made[1].tokens)


@pytest.mark.parametrize("damage", ["altered", "torn", "lost", "no index"])
def test_what_is_not_whole_is_made_again(texts: tuple[Path, Path], damage: str) -> None:
    tokenizer = train_tokenizer(lambda: read_texts(texts[0]), 500)
    expected = np.array(read_documents(texts[1], tokenizer).tokens)
    file = folders()[0] / _documents.TOKENS
    content = file.read_bytes()
    if damage == "altered":
        file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "torn":
        file.write_bytes(content[:-10])
    elif damage == "lost":
        file.unlink()
    else:
        (folders()[0] / _token_cache.INDEX).unlink()
    assert np.array_equal(read_documents(texts[1], tokenizer).tokens, expected)
    assert file.read_bytes() == content


def test_ids_take_two_bytes_where_the_vocabulary_fits_and_four_where_not(
    texts: tuple[Path, Path],
) -> None:
    tokenizer = train_tokenizer(lambda: read_texts(texts[0]), 500)
    assert read_documents(texts[1], tokenizer).tokens.dtype == np.uint16
    tokenizer.add_tokens([f"word{number}" for number in range(2**16)])
    assert read_documents(texts[1], tokenizer).tokens.dtype == np.int32


def test_a_split_cut_into_many_pieces_gives_the_same_tokens(
    texts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tokenizer = train_tokenizer(lambda: read_texts(texts[0]), 500)
    for characters in (100, 10**9):
        monkeypatch.setattr(_documents, "PIECE_CHARACTERS", characters)
        (tmp_path / str(characters)).mkdir()
        _documents.write_documents(texts[0], tokenizer, tmp_path / str(characters))
    for name in (_documents.TOKENS, _documents.TEXT_STARTS, _documents.SENTENCE_STARTS):
        small, large = (tmp_path / str(size) / name for size in (100, 10**9))
        assert small.read_bytes() == large.read_bytes()


def test_a_split_without_texts_has_no_tokens(tmp_path: Path, texts: tuple[Path, Path]) -> None:
    empty = tmp_path / "empty.parquet"
    records.write_records(empty, records.split_schema("text"), [])
    read = read_documents(empty, train_tokenizer(lambda: read_texts(texts[0]), 300))
    assert (len(read), len(read.tokens), len(read.sentence_starts)) == (0, 0, 0)


def test_two_processes_at_once_do_no_harm(texts: tuple[Path, Path], workspace: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tasks.objectives import masked\n"
        "from tasks.inputs.documents import corpus_tokenizer, read_documents\n"
        "train = Path(sys.argv[1])\n"
        "tokenizer = corpus_tokenizer(train, masked.Settings(vocabulary_size=500), 'masked')\n"
        "print(int(read_documents(train, tokenizer).tokens.astype(int).sum()))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(texts[0])]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=workspace, env=environment, text=True)
        for _ in range(3)
    ]
    printed = {process.communicate(timeout=120)[0] for process in processes}
    assert len(printed) == 1
    assert printed.pop().strip().isdecimal()
    assert len(folders()) == 2


def test_the_longest_unused_goes_first(
    texts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_token_cache, "KEPT", 2)
    for number in range(3):
        _token_cache.cached(f"key{number}", lambda folder: (folder / "file").write_text("content"))
        os.utime(Path(".downstream/tokens") / f"key{number}", (number, number))
        if number == 1:
            os.utime(Path(".downstream/tokens/key0"), (5, 5))
    assert [path.name for path in folders()] == ["key0", "key2"]


def test_a_cache_that_cannot_be_written_is_one_line(
    texts: tuple[Path, Path], workspace: Path
) -> None:
    (workspace / ".downstream").write_text("not a folder")
    with pytest.raises(BadInput, match=r"tokens of a corpus cannot be kept here \(.+\): make room"):
        corpus_tokenizer(texts[0], masked.Settings(), "masked")


def test_a_vocabulary_that_the_corpus_does_not_support_is_refused_where_it_was_asked_for(
    texts: tuple[Path, Path],
) -> None:
    with pytest.raises(BadInput) as error:
        corpus_tokenizer(texts[0], masked.Settings(vocabulary_size=8000), "masked")
    assert str(error.value) == (
        f"masked.vocabulary_size is 8000, but {texts[0]} supports 1,851: lower it"
    )
    default = corpus_tokenizer(texts[0], masked.Settings(), "masked")
    assert default.get_vocab_size() == 1851


def test_a_tokenizer_is_trained_once_a_split_and_size(texts: tuple[Path, Path]) -> None:
    for size in (500, 500, 400):
        chosen = masked.Settings(vocabulary_size=size)
        assert corpus_tokenizer(texts[0], chosen, "masked").get_vocab_size() == size
    assert len(folders()) == 2


def test_counting_tokens_piece_by_piece_counts_them_all(
    texts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = train_tokenizer(lambda: read_texts(texts[0]), 500)
    read = read_documents(texts[0], tokenizer)
    counts = np.bincount(read.tokens, minlength=500) + 1.0
    monkeypatch.setattr(_documents, "TOKENS_PER_COUNT", 1000)
    expected = np.log(counts / counts.sum())
    assert np.allclose(read.unigram_log_probabilities(500), expected, rtol=1e-12)
