"""Texts become token ids: of a split once, in constant memory; of a few texts in memory."""

import os
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import grimp
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.inputs import token_cache as _token_cache
from tasks.inputs import tokenising as _tokenising
from tasks.inputs.documents import Documents
from tasks.inputs.tokenising import (
    corpus_tokenizer,
    read_documents,
    read_texts,
    read_token_inputs,
    split_sentences,
    tokenise,
)
from tasks.inputs.tokenizer import UNKNOWN, token_id, train_tokenizer
from tasks.models.classifier import batches_of_like_length
from tasks.objectives import masked
from tasks.training.batches import BatchOrder

ROOT = Path(__file__).parents[3]
# What the tokenising path imports and its results do not follow from.
DECIDES_NO_TOKEN = {
    "tasks.contracts.files": "hashes, and writes what it is given",
    "tasks.contracts.paths": "where things lie",
    "tasks.errors": "error texts",
    "tasks.inputs.documents": "reads what has been made",
    "tasks.progress": "progress",
}


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in an empty workspace, with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_token_cache, "FOLDER", Path(".downstream/tokens"))
    return tmp_path


@pytest.fixture(scope="module")
def tokenizer(texts: tuple[Path, Path]) -> Tokenizer:
    """A tokenizer of 500 tokens."""
    return train_tokenizer(lambda: read_texts(texts[0]), 500)


def kept() -> dict[Path, int]:
    """Return the files of the cache, each with the time at which it was written."""
    entries = (path for path in Path(".downstream/tokens").iterdir() if path.is_dir())
    return {path: path.stat().st_mtime_ns for entry in entries for path in entry.iterdir()}


def num_entries() -> int:
    return len({path.parent for path in kept()})


def contents(split: Path) -> list[str]:
    texts: list[str] = records.read_table(split)["text"].to_pylist()
    return texts


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("今天晴。明天有雨！好吗？", ["今天晴。", "明天有雨！", "好吗？"]),  # noqa: RUF001 - Chinese marks
        ("version 1.16.3 is out", ["version 1.16.3 is out"]),
        ("first\nsecond", ["first", "second"]),
        ("...", ["..."]),
    ],
)
def test_sentences_end_in_any_script(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@given(st.text("ab.!?。！।؟\n \t", max_size=30))  # noqa: RUF001 - marks of several scripts
def test_sentences_are_cut_as_the_plain_rule_says(text: str) -> None:
    rule = r"(?<=[.!?।؟])\s+|(?<=[。！？；])|\n+"  # noqa: RUF001
    plain = [part for part in re.split(rule, text) if part.strip()] or [text]
    assert split_sentences(text) == plain


def test_reading_documents_keeps_every_token_of_every_text(
    texts: tuple[Path, Path], tokenizer: Tokenizer
) -> None:
    read = read_documents(texts[1], tokenizer)
    assert len(read) == len(contents(texts[1]))
    for index, text in enumerate(contents(texts[1])):
        expected = [
            token
            for sentence in split_sentences(text)
            for token in tokenizer.encode(sentence, add_special_tokens=False).ids
        ]
        start, end = read.text_starts[index], read.text_starts[index + 1]
        assert read.tokens[start:end].tolist() == expected
    assert read.counts is not None
    assert read.counts.tolist() == np.bincount(read.tokens, minlength=500).tolist()
    uncounted = Documents(read.tokens, read.text_starts, read.sentence_starts)
    assert read.token_counts(600).tolist() == uncounted.token_counts(600).tolist()


def test_whole_texts_are_the_same_from_the_disk_as_in_memory(
    texts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = train_tokenizer(lambda: read_texts(texts[0]), 500)
    tokenizer.enable_truncation(24)
    monkeypatch.setattr(_tokenising, "PIECE_CHARACTERS", 10_000)
    read = read_token_inputs(texts, tokenizer)
    both = [*contents(texts[0]), *contents(texts[1])]
    in_memory = tokenise(both, tokenizer)
    for inputs in (read, in_memory):
        assert inputs.starts.tolist() == np.cumsum([0, *inputs.lengths]).tolist()
        for index in (0, 57, len(both) - 1):
            start, end = inputs.starts[index : index + 2]
            assert inputs.tokens[start:end].tolist() == tokenizer.encode(both[index]).ids
    assert np.array_equal(read.tokens, in_memory.tokens)
    assert np.array_equal(read.starts, in_memory.starts)
    assert read.lengths.max() == 24


def test_a_split_is_tokenised_once_for_each_way_of_reading_it(
    texts: tuple[Path, Path], tokenizer: Tokenizer
) -> None:
    first = read_documents(texts[1], tokenizer), read_token_inputs([texts[1]], tokenizer)
    made = kept()
    again = read_documents(texts[1], tokenizer), read_token_inputs([texts[1]], tokenizer)
    assert kept() == made
    assert num_entries() == 2
    for before, after in zip(first, again, strict=True):
        assert np.array_equal(before.tokens, after.tokens)
        assert not after.tokens.flags.writeable


def test_another_tokenizer_or_length_has_tokens_of_its_own(texts: tuple[Path, Path]) -> None:
    made = []
    for size, length in ((300, 128), (400, 128), (400, 16)):
        tokenizer = train_tokenizer(lambda: read_texts(texts[0]), size)
        tokenizer.enable_truncation(length)
        made.append(len(read_token_inputs(texts[1:], tokenizer).tokens))
    assert num_entries() == 3
    assert made == sorted(made, reverse=True)
    assert made[0] > made[1] > made[2]


def test_changed_code_that_reads_texts_makes_tokens_and_tokenizer_anew(
    texts: tuple[Path, Path], workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = []
    for source in _tokenising.CODE:
        copies.append(workspace / source.name)
        copies[-1].write_bytes(source.read_bytes())
    monkeypatch.setattr(_tokenising, "CODE", tuple(copies))
    settings = masked.Settings(vocabulary_size=500)
    for number, changed in enumerate([None, *copies]):
        if changed:
            changed.write_text(changed.read_text() + "CHANGED = True\n")
        read_documents(texts[1], corpus_tokenizer(texts[0], settings, "masked"))
        assert num_entries() == 2 * (number + 1)


def test_the_keys_cover_every_module_that_decides_which_tokens_a_split_has() -> None:
    graph = grimp.build_graph("tasks", exclude_type_checking_imports=True)
    found: set[str] = set()
    waiting = {"tasks.inputs.tokenising"}
    while waiting:
        module = waiting.pop()
        found.add(module)
        waiting |= graph.find_modules_directly_imported_by(module) - found - {*DECIDES_NO_TOKEN}
    covered = {*_tokenising.CODE, Path(_tokenising.__file__)}
    assert {ROOT / f"{module.replace('.', '/')}.py" for module in found} == covered


def test_a_split_cut_into_many_pieces_gives_the_same_tokens(
    texts: tuple[Path, Path],
    tokenizer: Tokenizer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    for characters in (100, 10**9):
        monkeypatch.setattr(_tokenising, "PIECE_CHARACTERS", characters)
        folder = tmp_path / str(characters)
        folder.mkdir()
        _tokenising.write_tokens([texts[0]], tokenizer, folder, by_sentence=True)
    for name in (_tokenising.TOKENS, _tokenising.TEXT_STARTS, _tokenising.SENTENCE_STARTS):
        small, large = (tmp_path / str(size) / name for size in (100, 10**9))
        assert small.read_bytes() == large.read_bytes()


def test_ids_take_two_bytes_where_the_vocabulary_fits_and_four_where_not(
    texts: tuple[Path, Path],
) -> None:
    tokenizer = train_tokenizer(lambda: read_texts(texts[0]), 500)
    assert read_documents(texts[1], tokenizer).tokens.dtype == np.uint16
    tokenizer.add_tokens([f"word{number}" for number in range(2**16)])
    assert read_documents(texts[1], tokenizer).tokens.dtype == np.int32
    assert tokenise(["oil"], tokenizer).tokens.dtype == np.int32


def test_a_split_without_texts_has_no_tokens(tmp_path: Path, tokenizer: Tokenizer) -> None:
    empty = tmp_path / "empty.parquet"
    records.write_records(empty, records.split_schema("text"), [])
    read = read_documents(empty, tokenizer)
    assert (len(read), len(read.tokens), len(read.sentence_starts)) == (0, 0, 0)
    assert tokenise([], tokenizer).lengths.tolist() == []


def test_a_text_without_a_token_is_one_unknown_token() -> None:
    tokenizer = train_tokenizer(lambda: ["oil prices rose", "oil prices fell"] * 2, 60)
    tokenizer.post_processor = None
    inputs = tokenise(["", "oil"], tokenizer)
    assert inputs.lengths[0] == 1
    assert inputs.tokens[0] == token_id(UNKNOWN)


def test_less_than_five_percent_of_finetunings_tokens_are_padding(
    texts: tuple[Path, Path],
) -> None:
    tokenizer = train_tokenizer(lambda: read_texts(texts[0]), 600)
    tokenizer.enable_truncation(128)
    inputs = read_token_inputs(texts[:1], tokenizer)
    order = BatchOrder(inputs.lengths, 8, 0)
    computed = sum(
        inputs.batch(order.indices(step))["input_ids"].numel()
        for step in range(3 * order.steps_per_epoch)
    )
    assert 1 - 3 * inputs.lengths.sum() / computed < 0.05
    scored = [
        len(batch) * inputs.lengths[batch].max() for batch in batches_of_like_length(inputs.lengths)
    ]
    assert 1 - inputs.lengths.sum() / sum(scored) < 0.05


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


def test_a_tokenizer_is_trained_once_a_split_size_and_kind(texts: tuple[Path, Path]) -> None:
    for size in (500, 500, 400):
        chosen = masked.Settings(vocabulary_size=size)
        assert corpus_tokenizer(texts[0], chosen, "masked").get_vocab_size() == size
    assert num_entries() == 2
    cased = masked.Settings(vocabulary_size=500, tokenizer="cased")
    # The texts of this sample have no capitals.
    assert corpus_tokenizer(texts[0], cased, "masked").encode("OIL oil").tokens[1] == UNKNOWN
    assert num_entries() == 3


def test_two_processes_at_once_do_no_harm(texts: tuple[Path, Path], workspace: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from tasks.objectives import masked\n"
        "from tasks.inputs.tokenising import corpus_tokenizer, read_documents\n"
        "train = Path(sys.argv[1])\n"
        "tokenizer = corpus_tokenizer(train, masked.Settings(vocabulary_size=500), 'masked')\n"
        "print(int(read_documents(train, tokenizer).tokens.astype(int).sum()))"
    )
    command = [sys.executable, "-c", code, str(texts[0])]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, cwd=workspace, env=environment, text=True)
        for _ in range(3)
    ]
    printed = {process.communicate(timeout=120)[0] for process in processes}
    assert len(printed) == 1
    assert printed.pop().strip().isdecimal()
    assert num_entries() == 2


def test_eight_times_the_text_takes_no_more_memory(
    texts: tuple[Path, Path], tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "ROWS_PER_GROUP", 500)
    monkeypatch.setattr(_tokenising, "PIECE_CHARACTERS", 20_000)
    schema = records.split_schema("text")
    lines = [{"text": text[:100]} for text in contents(texts[0])]
    batch = pa.RecordBatch.from_pylist(lines, schema=schema)
    peaks = []
    for times in (1, 10, 80):  # the first loads what is loaded once
        split = Path(f"{times}.parquet")
        records.write_records(split, schema, [batch] * times)
        tracemalloc.start()
        read_token_inputs([split], tokenizer)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    text_more = 70 * sum(len(line["text"]) for line in lines)
    assert peaks[2] - peaks[1] < text_more / 10, "bytes of memory, and of text, that came on top"


def _grown(texts: list[str], number: int) -> list[str]:
    """Return texts with a few more among them, without one of before."""
    more = [f"New text {place}. It has two sentences!" for place in range(number)]
    return [*more[:1], *texts[: len(texts) // 2], *more[1:], *texts[len(texts) // 2 + 1 :]]


@pytest.mark.parametrize("by_sentence", [True, False])
def test_of_a_grown_split_new_texts_alone_are_tokenised(
    texts: tuple[Path, Path],
    tokenizer: Tokenizer,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    by_sentence: bool,
) -> None:
    read = read_documents if by_sentence else _tokenising.read_whole_documents
    monkeypatch.setattr(_tokenising, "PIECE_CHARACTERS", 20_000)
    paths = [workspace / f"{name}.parquet" for name in ("before", "after")]
    before = ["", ".", *contents(texts[0]), "", "\x07"]
    after = _grown(before, 3)
    for path, some in zip(paths, (before, after), strict=True):
        schema = records.split_schema("text")
        rows = [{"id": str(place), "text": text} for place, text in enumerate(some)]
        records.write_records(path, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    read(texts[1], tokenizer)
    read(paths[0], tokenizer)
    capfd.readouterr()
    found = read(paths[1], tokenizer)
    said = "".join(capfd.readouterr())
    assert f"{paths[1]}: 3 of {len(after):,} texts tokenised, the others are known" in said
    folder = workspace / "full"
    folder.mkdir()
    _tokenising.write_tokens([paths[1]], tokenizer, folder, by_sentence=by_sentence)
    arrays = (found.tokens, found.text_starts, found.sentence_starts, found.counts)
    names = (
        _tokenising.TOKENS, _tokenising.TEXT_STARTS, _tokenising.SENTENCE_STARTS,
        _tokenising.COUNTS,
    )  # fmt: skip
    for array, name in zip(arrays, names, strict=True):
        full = np.load(folder / name)
        assert array is not None
        assert array.dtype == full.dtype
        assert np.array_equal(array, full), name
