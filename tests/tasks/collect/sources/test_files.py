"""Local files of every format, and every way in which one can be wrong."""

import gzip
import io
import struct
import zipfile
import zlib
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import BadInput, BadSettings

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus

ROWS = [("好吃的面条", "好评"), ("too salty", "bad")]
CSV = "text,label\n好吃的面条,好评\ntoo salty,bad\n"


def parquet(table: dict[str, Any]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(table), file)
    return file.getvalue()


CONTENTS: dict[str, str | bytes] = {
    "评论.csv": CSV,
    "reviews.CSV": "\ufeff" + CSV,
    "reviews.tsv": CSV.replace(",", "\t"),
    "reviews.jsonl": (
        '{"text": "好吃的面条", "label": "好评"}\n{"text": "too salty", "label": "bad"}\n'
    ),
    "reviews.parquet": parquet(
        {"text": [row[0] for row in ROWS], "label": [row[1] for row in ROWS]}
    ),
}


def pairs(records: list[dict[str, Any]]) -> list[tuple[Any, Any]]:
    return [(record.get("text", record.get("image")), record["label"]) for record in records]


def fault(corpus: "Corpus", **settings: Any) -> str:
    with pytest.raises(BadInput) as error:
        corpus.collect({"kind": "files", **settings})
    return str(error.value)


@pytest.mark.parametrize("name", CONTENTS)
def test_each_format_gives_the_same_records(corpus: "Corpus", name: str) -> None:
    corpus.write(name, CONTENTS[name])
    records = corpus.collect()
    assert pairs(records) == ROWS
    assert [(record["source"], record["row"]) for record in records] == [
        (f"files:{name}", 1),
        (f"files:{name}", 2),
    ]


@pytest.mark.parametrize("name", CONTENTS)
def test_each_format_may_be_gzipped(corpus: "Corpus", name: str) -> None:
    content = CONTENTS[name]
    corpus.write(
        f"{name}.gz", gzip.compress(content if isinstance(content, bytes) else content.encode())
    )
    assert pairs(corpus.collect()) == ROWS


@pytest.mark.parametrize("name", CONTENTS)
def test_each_format_may_be_zipped(corpus: "Corpus", name: str) -> None:
    corpus.zip("all.zip", {f"内/{name}": CONTENTS[name], "__MACOSX/._x": b"", ".DS_Store": b""})
    records = corpus.collect()
    assert pairs(records) == ROWS
    assert records[0]["source"] == f"files:all.zip/内/{name}"


def test_each_line_of_a_txt_file_is_one_unlabelled_text(corpus: "Corpus") -> None:
    corpus.write("a.txt", "one\r\n\n三\n")
    assert pairs(corpus.collect()) == [("one", None), ("", None), ("三", None)]


def test_quotes_enclose_delimiters_and_line_ends(corpus: "Corpus") -> None:
    corpus.write("a.csv", 'label,text,more\nx,"a, ""b""\nc",1\n')
    assert pairs(corpus.collect()) == [('a, "b"\nc', "x")]


def test_quotes_can_be_plain_text(corpus: "Corpus") -> None:
    corpus.write("a.tsv", 'text\tlabel\n"he" said\tx\n')
    assert pairs(corpus.collect({"kind": "files", "quote": ""})) == [('"he" said', "x")]


def test_a_blank_row_is_an_empty_record_for_clean_to_count(corpus: "Corpus") -> None:
    corpus.write("a.csv", "text,label\n\na,x\n")
    assert pairs(corpus.collect()) == [("", None), ("a", "x")]


def test_rows_below_the_names_can_be_left_out(corpus: "Corpus") -> None:
    corpus.write("a.tab", "text\tlabel\nstring\td\nmeta\tclass\na\tx\n")
    assert pairs(corpus.collect({"kind": "files", "header_rows": 3})) == [("a", "x")]


def test_more_rows_to_leave_out_than_there_are_is_a_file_without_records(corpus: "Corpus") -> None:
    corpus.write("a.tab", "text\tlabel\na\tx\n")
    with pytest.raises(BadInput, match=r"a.tab is empty: it holds no records"):
        corpus.collect({"kind": "files", "header_rows": 10**18})


def test_numbers_become_labels_and_missing_ones_none(corpus: "Corpus") -> None:
    corpus.write("a.jsonl", '{"text": "a", "label": 3}\n{"text": null, "label": null}\n')
    corpus.write("b.parquet", parquet({"text": ["b", "c"], "label": [0.5, float("nan")]}))
    assert pairs(corpus.collect()) == [("a", "3"), ("", None), ("b", "0.5"), ("c", None)]


def test_a_corpus_without_labels_names_no_column(corpus: "Corpus") -> None:
    corpus.write("a.csv", "body\na\n")
    settings = {"kind": "files", "text": "body", "label": ""}
    assert pairs(corpus.collect(settings)) == [("a", None)]


def test_files_are_read_in_the_order_of_their_paths(corpus: "Corpus") -> None:
    for name in ("b/1.txt", "a/2.txt", "a/10.txt"):
        corpus.write(name, f"{name}\n")
    assert [text for text, _ in pairs(corpus.collect())] == ["a/10.txt", "a/2.txt", "b/1.txt"]


def test_what_belongs_to_git_and_dvc_is_no_record(corpus: "Corpus") -> None:
    corpus.write("a.txt", "a\n")
    corpus.write("a.txt.dvc", "outs: []\n")
    corpus.write(".gitignore", "/a.txt\n")
    assert pairs(corpus.collect()) == [("a", None)]


def test_a_mapping_gives_the_official_splits(corpus: "Corpus") -> None:
    corpus.write("train.csv", CSV)
    corpus.write("test/1.csv", CSV)
    records = corpus.collect({"kind": "files", "path": {"train": "train.csv", "test": "test/*"}})
    assert [record["split"] for record in records] == ["test", "test", "train", "train"]


def test_an_image_is_kept_as_found_and_its_folder_is_its_class(
    corpus: "Corpus", png: bytes
) -> None:
    corpus.write("猫/1.png", png)
    corpus.write("dog/1.png", png)
    records = corpus.collect()
    assert pairs(records) == [(png, "dog"), (png, "猫")]
    assert [record["split"] for record in records] == [None, None]


def test_the_folder_of_an_official_split_is_no_class(corpus: "Corpus", png: bytes) -> None:
    corpus.zip("all.zip", {"train/cat/1.png": png, "test/1.png": png})
    path = {"train": "all.zip/train/**", "test": "all.zip/test/**"}
    records = corpus.collect({"kind": "files", "path": path})
    assert [(record["label"], record["split"]) for record in records] == [
        (None, "test"),
        ("cat", "train"),
    ]


def test_a_glob_that_matches_an_archive_takes_all_of_it(corpus: "Corpus", png: bytes) -> None:
    corpus.zip("all.zip", {"cat/1.png": png, "2.png": png})
    records = corpus.collect({"kind": "files", "path": "*.zip"})
    assert [record["label"] for record in records] == [None, "cat"]


def test_images_may_stand_in_parquet_as_datasets_keeps_them(corpus: "Corpus", png: bytes) -> None:
    corpus.write("a.parquet", parquet({"image": [{"bytes": png, "path": "1.png"}], "label": [1]}))
    corpus.write("b.parquet", parquet({"image": [png], "label": [2]}))
    assert pairs(corpus.collect({"kind": "files", "image": "image"})) == [(png, "1"), (png, "2")]


def test_a_missing_column_lists_those_there_are(corpus: "Corpus") -> None:
    corpus.write("a.csv", "texts,label\na,x\n")
    assert fault(corpus) == (
        "a.csv has no column 'text' (setting text); allowed: label, texts; did you mean 'texts'?"
    )


def test_a_missing_label_column_says_how_to_do_without(corpus: "Corpus") -> None:
    corpus.write("a.jsonl", '{"text": "a"}\n')
    assert fault(corpus) == (
        "a.jsonl: row 1 has no column 'label' (setting label); allowed: text; "
        "'' if the records have no labels"
    )


def test_a_quote_that_is_never_closed_is_named_by_the_row_it_opens_in(corpus: "Corpus") -> None:
    corpus.write("a.csv", 'text,label\n"a\nb",x\n"never closed,y\nc,z\n')
    assert fault(corpus) == (
        "a.csv: row 2 (line 4) has a broken quote or line end: unexpected end of data. "
        "Mend it, or set quote: '' if quotes are plain text"
    )


def test_text_after_a_closed_quote_is_refused(corpus: "Corpus") -> None:
    corpus.write("a.csv", 'text,label\n"he" said,x\n')
    assert fault(corpus).startswith("a.csv: row 1 (line 2) has a broken quote or line end: ")


def test_bytes_that_are_not_utf8_are_named_by_line_and_byte(corpus: "Corpus") -> None:
    corpus.write("a.csv", b"text,label\n" + "面,x\n".encode("gbk"))
    assert fault(corpus) == ("a.csv: line 2, byte 1 (0xc3) is not UTF-8: save the file as UTF-8")


def test_a_row_with_too_many_values_is_refused(corpus: "Corpus") -> None:
    corpus.write("a.csv", "text,label\na,x\nb, and c,y\n")
    assert fault(corpus) == (
        "a.csv: row 2 has 3 values, expected 2: quote a value that holds a delimiter"
    )


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.csv.gz"])
def test_an_empty_file_is_refused(corpus: "Corpus", name: str) -> None:
    corpus.write(name, gzip.compress(b"text,label\n") if name.endswith("gz") else b"")
    assert fault(corpus) == (f"{name} is empty: it holds no records; remove it or narrow the path")


def test_a_csv_without_its_names_is_refused(corpus: "Corpus") -> None:
    corpus.write("a.csv", "")
    assert fault(corpus) == "a.csv is empty: expected a first row with the columns' names"


def test_a_folder_without_files_is_refused(corpus: "Corpus") -> None:
    assert fault(corpus).endswith("data/sources/reviews: no file matches '**/*'; it holds no files")


def test_a_glob_that_matches_nothing_lists_the_files(corpus: "Corpus") -> None:
    corpus.write("reviews.csv", CSV)
    assert fault(corpus, path="review.csv").endswith(
        "no file matches 'review.csv'; allowed: reviews.csv; did you mean 'reviews.csv'?"
    )


def test_a_file_of_two_splits_is_refused(corpus: "Corpus") -> None:
    corpus.write("a.csv", CSV)
    message = fault(corpus, path={"train": "*.csv", "test": "a.*"})
    assert message.endswith("a.csv is matched by two splits (train and test): narrow their globs")


def test_a_format_that_is_not_read_is_refused(corpus: "Corpus") -> None:
    corpus.write("a.docx", b"PK")
    assert fault(corpus).startswith("a.docx: .docx is not a format that collect reads (.csv, .tsv,")


def test_a_csv_holds_no_images(corpus: "Corpus") -> None:
    corpus.write("a.csv", CSV)
    assert fault(corpus, image="text").startswith("a.csv: a .csv file holds no images")


@pytest.mark.parametrize("content", [b"\x89PNG broken", b"", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_what_is_no_image_is_refused(corpus: "Corpus", content: bytes) -> None:
    corpus.write("cat/1.png", content)
    assert fault(corpus) == (
        "cat/1.png is not an image that can be decoded (not PNG, JPEG, GIF, BMP, TIFF, WEBP, PPM): "
        "replace or remove it"
    )


def test_a_png_that_ends_early_is_refused(corpus: "Corpus", png: bytes) -> None:
    corpus.write("猫/1.png", png[:-20])
    assert fault(corpus).startswith("猫/1.png is not an image that can be decoded (")


def test_an_image_of_absurd_size_is_refused(corpus: "Corpus", png: bytes) -> None:
    header = struct.pack(">II", 60_000, 60_000)
    chunk = b"IHDR" + header + png[24:29]
    corpus.write("1.png", png[:12] + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:])
    assert "1.png has more than" in fault(corpus)


@pytest.mark.parametrize("name", ["../a.txt", "/etc/a.txt", "..\\a.txt", "C:\\a.txt"])
def test_an_archive_that_points_outside_is_refused(corpus: "Corpus", name: str) -> None:
    corpus.zip("all.zip", {"ok.txt": "a\n", name: "evil\n"})
    assert fault(corpus) == (
        f"all.zip: the member {name!r} points outside of the archive; it was not opened"
    )


def test_an_archive_that_grows_absurdly_is_refused(corpus: "Corpus") -> None:
    corpus.zip("all.zip", {"a.txt": bytes(100 * 2**20)})
    assert "to 104,857,600 bytes, more than 200 times its size: it was not opened" in fault(corpus)


def test_a_gzip_that_grows_absurdly_is_given_up(corpus: "Corpus") -> None:
    corpus.write("a.txt.gz", gzip.compress((bytes(2**20) + b"\n") * 100))
    assert fault(corpus).startswith(
        "a.txt.gz unpacks to more than 67,108,864 bytes, over 200 times"
    )


def test_a_damaged_archive_is_refused(corpus: "Corpus") -> None:
    corpus.write("all.zip", b"PK\x03\x04 and then nothing")
    assert fault(corpus).startswith("all.zip is not a zip archive that can be read: ")


def test_a_damaged_member_is_named(corpus: "Corpus") -> None:
    path = corpus.zip("all.zip", {"a.txt": "a line of text\n" * 50})
    content = bytearray(path.read_bytes())
    content[45] ^= 0xFF
    path.write_bytes(content)
    assert fault(corpus).startswith("all.zip/a.txt is damaged: ")


def test_a_member_whose_name_before_its_bytes_is_not_utf8_is_refused(corpus: "Corpus") -> None:
    path = corpus.zip("all.zip", {"é.txt": "a line of text\n"})
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xff", 1))
    assert fault(corpus).startswith("all.zip/é.txt cannot be unpacked: ")


@pytest.mark.parametrize(
    "content", [b"no gzip", gzip.compress(b"text\n" * 500, mtime=0)[:-12]], ids=["none", "cut"]
)
def test_a_damaged_gzip_is_refused(corpus: "Corpus", content: bytes) -> None:
    corpus.write("a.txt.gz", content)
    assert fault(corpus).startswith("a.txt.gz is damaged: ")


def test_names_in_old_archives_are_read_as_utf8(corpus: "Corpus", png: bytes) -> None:
    corpus.zip("all.zip", {"猫/1.png": png})
    path: Path = corpus.folder / "all.zip"
    plain = path.read_bytes()
    # The flag that says "this name is UTF-8", in the local header and in the central directory.
    directory = plain.index(b"PK\x01\x02")
    content = bytearray(plain)
    content[7] &= ~0x08
    content[directory + 9] &= ~0x08
    path.write_bytes(content)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() != ["猫/1.png"]
    assert corpus.collect()[0]["label"] == "猫"


def test_a_broken_parquet_file_is_refused(corpus: "Corpus") -> None:
    corpus.write("a.parquet", b"PAR1 nothing PAR1")
    assert fault(corpus).startswith("a.parquet is not a Parquet file that can be read: ")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "a.jsonl: row 2 is not JSON: "),
        ("[1]", "a.jsonl: row 2: expected a JSON object, found '[1]'"),
        (
            '{"text": 3, "label": "x"}',
            "a.jsonl: row 2: expected text, found 3: name another column",
        ),
        ('{"text": "a", "label": [1]}', "a.jsonl: row 2: expected a label, found [1]: one class"),
        ('{"text": "\\ud83d", "label": "x"}', "a.jsonl: row 2: half a surrogate pair is no text"),
    ],
)
def test_a_line_that_is_no_record_is_named_by_its_row(
    corpus: "Corpus", line: str, expected: str
) -> None:
    corpus.write("a.jsonl", '{"text": "a", "label": "x"}\n' + line + "\n")
    assert fault(corpus).startswith(expected)


DATED = {
    "a.csv": "text,label,author,sent\nhi,x,Anna,2024-01-02\nho,y,,\n",
    "a.jsonl": '{"text": "hi", "label": "x", "author": "Anna", "sent": "2024-01-02"}\n'
    '{"text": "ho", "label": "y", "author": "", "sent": null}\n',
    "a.parquet": parquet(
        {
            "text": ["hi", "ho"],
            "label": ["x", "y"],
            "author": ["Anna", None],
            "sent": pa.array([date(2024, 1, 2), None], pa.date32()),
        }
    ),
}


@pytest.mark.parametrize("name", DATED)
def test_further_columns_are_kept_as_texts(corpus: "Corpus", name: str) -> None:
    corpus.write(name, DATED[name])
    records = corpus.collect({"kind": "files", "columns": ["sent", "author"]})
    assert [(record["sent"], record["author"]) for record in records] == [
        ("2024-01-02", "Anna"),
        (None, None),
    ]
    assert list(records[0]) == ["text", "label", "split", "source", "row", "sent", "author"]


def test_a_source_without_a_column_of_another_has_none_there(corpus: "Corpus") -> None:
    corpus.write("a.csv", DATED["a.csv"])
    corpus.write("b.txt", "plain\n")
    records = corpus.collect(
        {"kind": "files", "path": "a.csv", "columns": ["author"]},
        {"kind": "files", "path": "b.txt"},
    )
    assert [record["author"] for record in records] == ["Anna", None, None]


def test_a_further_column_that_is_missing_is_named(corpus: "Corpus") -> None:
    corpus.write("a.csv", DATED["a.csv"])
    assert fault(corpus, columns=["autor"]) == (
        "a.csv has no column 'autor' (setting columns); allowed: author, label, sent, text; did "
        "you mean 'author'?"
    )


def test_a_file_that_has_no_columns_is_told(corpus: "Corpus", png: bytes) -> None:
    said = "has no column 'author' (setting columns): drop it, or use a table (csv, jsonl, parquet)"
    corpus.write("a.txt", "plain\n")
    assert fault(corpus, columns=["author"]) == f"a.txt: a .txt file {said}"
    (corpus.folder / "a.txt").unlink()
    corpus.write("x/a.png", png)
    assert fault(corpus, columns=["author"]) == f"x/a.png: an image file {said}"


def test_a_list_in_a_further_column_is_refused(corpus: "Corpus") -> None:
    corpus.write("a.jsonl", '{"text": "hi", "label": "x", "author": ["Anna"]}\n')
    assert fault(corpus, columns=["author"]) == (
        "a.jsonl: row 1: column 'author' (setting columns): expected a text, a number or a date, "
        "found ['Anna']"
    )


@pytest.mark.parametrize("columns", [["split"], ["author", "author"], [""], []])
def test_further_columns_have_names_of_their_own(corpus: "Corpus", columns: list[str]) -> None:
    corpus.write("a.csv", DATED["a.csv"])
    with pytest.raises(BadSettings, match="columns"):
        corpus.collect({"kind": "files", "columns": columns})


@pytest.mark.parametrize("name", ["pos.txt", "x/neg.txt.gz"])
def test_a_file_may_be_a_class(corpus: "Corpus", name: str) -> None:
    content = "好\n坏\n".encode()
    corpus.write(name, gzip.compress(content) if name.endswith(".gz") else content)
    found = corpus.collect({"kind": "files", "label_from": "file"})
    label = "pos" if name == "pos.txt" else "neg"
    assert [(record["text"], record["label"]) for record in found] == [("好", label), ("坏", label)]


def test_a_folder_may_be_the_class_of_a_table_without_a_column_for_it(corpus: "Corpus") -> None:
    for split in ("train", "test"):
        corpus.write(f"{split}/pos/a.csv", "text\n好\n")
    path = {"train": "train/**", "test": "test/**"}
    found = corpus.collect({"kind": "files", "path": path, "label_from": "folder"})
    assert [(record["split"], record["label"]) for record in found] == [
        ("test", "pos"),
        ("train", "pos"),
    ]


def test_a_format_may_be_named_where_the_ending_does_not_tell(corpus: "Corpus") -> None:
    table = pa.table({"text": ["好"], "label": ["pos"]})
    file = io.BytesIO()
    pq.write_table(table, file, compression="brotli")
    corpus.write("a.parquet.brotli", file.getvalue())
    with pytest.raises(BadInput, match=r"\.brotli is not a format that .* or name its format"):
        corpus.collect()
    (found,) = corpus.collect({"kind": "files", "format": "parquet"})
    assert (found["text"], found["label"]) == ("好", "pos")


@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("tsv", "\t")])
@pytest.mark.parametrize("name", ["a.dat", "a.txt", "a.csv", "a"])
def test_a_named_format_decides_the_delimiter_whatever_the_ending_is(
    corpus: "Corpus", form: str, delimiter: str, name: str
) -> None:
    corpus.write(name, f"text{delimiter}label\n好{delimiter}pos\n")
    (found,) = corpus.collect({"kind": "files", "format": form})
    assert (found["text"], found["label"]) == ("好", "pos")


@pytest.mark.parametrize("name", ["a.txt", "a.eml", "a.jsonl"])
def test_a_file_of_texts_holds_no_images(corpus: "Corpus", name: str) -> None:
    corpus.write(name, "{}\n")
    with pytest.raises(BadInput, match="file holds no images"):
        corpus.collect({"kind": "files", "image": "picture"})
