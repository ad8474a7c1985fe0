"""Small files that stand for very much: each is given up in one line, within bounded memory."""

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.collect.sources._columns import MAXIMUM_VALUE_BYTES
from tasks.collect.sources._formats import FileSettings, read_member
from tasks.errors import BadInput
from tasks.remote import members
from tasks.remote.members import of_file
from tests.tasks.collect.conftest import Corpus
from tests.workspace import ROOT

MEMORY_MIB = 1_024


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, compression="zstd", **options)
    return file.getvalue()


def repeated(value: Any, times: int) -> pa.Array:
    """Return a value that stands in the file once and in each row."""
    indices = pa.array(bytearray(times), pa.int8())
    return pa.DictionaryArray.from_arrays(indices, pa.array([value]))


def one_value_in_many_rows() -> bytes:
    return parquet({"text": repeated("x" * 1_600_000, 1_000), "label": ["a"] * 1_000})


def one_label_in_many_rows() -> bytes:
    return parquet({"text": ["a"] * 1_000, "label": repeated("x" * 1_600_000, 1_000)})


def differences_of_one_value() -> bytes:
    encoding: dict[str, Any] = {"column_encoding": {"text": "DELTA_BYTE_ARRAY"}}
    texts = {"text": repeated("x" * 1_000_000, 400).cast(pa.string()), "label": ["a"] * 400}
    return parquet(texts, use_dictionary=["label"], **encoding)


def a_page_that_packs_well() -> bytes:
    return parquet({"text": ["x" * 68_000_000], "label": ["a"]}, use_dictionary=False)


def many_rows_of_nothing() -> bytes:
    return parquet({"text": repeated("a", 8_000_000), "label": repeated("b", 8_000_000)})


def lists_instead_of_texts() -> bytes:
    return parquet({"text": [[0] * 500_000] * 2, "label": ["a", "b"]})


def a_line() -> bytes:
    return gzip.compress(b"x" * 40_000_000)


def a_row_of_many_lines() -> bytes:
    return gzip.compress(b"text,label\n" + b'"\n",' * 12_000_000)


def a_row_of_many_columns() -> bytes:
    return gzip.compress(b"a," * 20_000_000)


def a_list_of_lists() -> bytes:
    return b'{"text": [' + b"[]," * 2_000_000 + b'[]], "label": "a"}\n'


def nested_deeply() -> bytes:
    return b'{"text": ' + b"[" * 1_000_000 + b"\n"


def an_image_of_nothing() -> bytes:
    return gzip.compress(bytes(60_000_000))


BOMBS: dict[str, Callable[[], bytes]] = {
    "rows.parquet": one_value_in_many_rows,
    "labels.parquet": one_label_in_many_rows,
    "differences.parquet": differences_of_one_value,
    "page.parquet": a_page_that_packs_well,
    "many.parquet": many_rows_of_nothing,
    "lists.parquet": lists_instead_of_texts,
    "rows.parquet.gz": lambda: gzip.compress(one_value_in_many_rows()),
    "line.txt.gz": a_line,
    "line.jsonl.gz": a_line,
    "row.csv.gz": a_row_of_many_lines,
    "columns.csv.gz": a_row_of_many_columns,
    "list.jsonl": a_list_of_lists,
    "deep.jsonl": nested_deeply,
    "image.png.gz": an_image_of_nothing,
}

READ = """
import json, sys
from pathlib import Path
from tests.security.test_bombs import fault
faults = {path.name: fault(path) for path in sorted(Path(sys.argv[1]).iterdir())}
status = Path("/proc/self/status").read_text()
peak_mib = int(status.partition("VmHWM:")[2].split()[0]) // 1024
print(json.dumps([faults, peak_mib]))
"""


def fault(path: Path) -> str:
    """Read a file as collect does; return the error."""
    (member,) = of_file(path, (path.name,))
    with pytest.raises(BadInput) as error:
        for _ in read_member(member, None, FileSettings(), "files"):
            pass
    return str(error.value)


def test_each_is_given_up_in_one_line_and_within_memory(tmp_path: Path) -> None:
    for name, make in BOMBS.items():
        (tmp_path / name).write_bytes(make())
        assert (tmp_path / name).stat().st_size < 20_000_000
    command = [sys.executable, "-c", READ, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    faults, peak_mib = json.loads(done.stdout)
    assert faults.keys() == BOMBS.keys()
    for name, message in faults.items():
        assert message.startswith(name)
        assert len(message.splitlines()) == 1
        assert len(message) < 400
    assert peak_mib < MEMORY_MIB


def test_an_archive_in_an_archive_is_held_to_what_the_outer_one_takes(corpus: Corpus) -> None:
    # 190 times of what the zip holds, which itself packs well.
    packed = gzip.compress((b"x" * 999_999 + b"\n") * 70)
    inner = packed + gzip.compress(b"\n" * 300_000, compresslevel=0)
    corpus.zip("all.zip", {"a.txt.gz": inner})
    with pytest.raises(BadInput, match=r"all\.zip/a\.txt\.gz unpacks to more than"):
        corpus.collect()


def test_lines_of_nothing_count_too(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "HARMLESS_BYTES", 2**20)
    corpus.write("a.txt.gz", gzip.compress(b"\n" * 70_000))
    with pytest.raises(BadInput, match=r"a\.txt\.gz unpacks to more than 1,048,576 bytes"):
        corpus.collect()


def test_a_parquet_file_of_an_archive_is_laid_down_and_read(corpus: Corpus) -> None:
    corpus.zip("all.zip", {"a.parquet": parquet({"text": ["a"], "label": ["x"]})})
    assert [record["text"] for record in corpus.collect()] == ["a"]


def test_a_text_may_be_as_long_as_the_limit(corpus: Corpus) -> None:
    long = "x" * MAXIMUM_VALUE_BYTES
    corpus.write("a.parquet", parquet({"text": [long], "label": ["x"]}, use_dictionary=False))
    assert len(corpus.collect()[0]["text"]) == MAXIMUM_VALUE_BYTES
    corpus.write("a.parquet", parquet({"text": [long + "x"], "label": ["x"]}))
    with pytest.raises(BadInput, match=r"row 1: a text of 16,777,217 bytes, over 16,777,216"):
        corpus.collect()


def test_a_header_of_a_hundred_thousand_columns_is_named_in_short(corpus: Corpus) -> None:
    names = ",".join(f"column{number}" for number in range(100_000))
    corpus.write("a.csv", f"{names}\n")
    with pytest.raises(BadInput, match=r"no column 'text'.* and 99,950 more") as error:
        corpus.collect()
    assert len(str(error.value)) < 1_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"text,label,text\na,b,c\n"),
        ("a.csv", b"label,text,label\na,b,c\n"),
        ("a.jsonl", b'{"text": "a", "label": "x", "text": "b"}\n'),
        ("a.jsonl", b'{"text": "a", "label": "x", "label": "y"}\n'),
        ("a.parquet", None),
    ],
)
def test_a_column_or_key_that_is_there_twice_is_refused(
    corpus: Corpus, name: str, content: bytes | None
) -> None:
    if content is None:
        file = io.BytesIO()
        columns = [pa.array(["a"]), pa.array(["b"]), pa.array(["c"])]
        pq.write_table(pa.Table.from_arrays(columns, names=["text", "text", "label"]), file)
        content = file.getvalue()
    corpus.write(name, content)
    with pytest.raises(BadInput, match=r"^a\.\w+(: row 1)? has (two columns '\w+'|a key twice)"):
        corpus.collect()


def test_columns_that_nobody_asks_for_may_have_one_name(corpus: Corpus) -> None:
    corpus.write("a.csv", ",text,,label\n1,a,2,x\n")
    assert corpus.collect()[0]["text"] == "a"


@pytest.mark.parametrize(
    ("kind", "kind_of_bytes"),
    [(pa.string(), pa.binary()), (pa.large_string(), pa.large_binary())],
)
@pytest.mark.parametrize("column", ["text", "label"])
def test_a_parquet_text_that_is_not_utf8_is_named_by_its_row(
    corpus: Corpus, kind: pa.DataType, kind_of_bytes: pa.DataType, column: str
) -> None:
    broken = pa.Array.from_buffers(
        kind, 3, pa.array([b"a", b"b", b"\xff\xfe"], kind_of_bytes).buffers()
    )
    columns = {"text": pa.array(["a", "b", "c"]), "label": pa.array(["x", "y", "z"])}
    corpus.write("a.parquet", parquet({**columns, column: broken}))
    with pytest.raises(BadInput) as error:
        corpus.collect()
    assert str(error.value) == ("a.parquet: row 3 is not UTF-8: write the file with UTF-8 texts")


@pytest.mark.parametrize("label", ["1e999", "-1e999", "Infinity"])
def test_an_infinite_number_is_no_class(corpus: Corpus, label: str) -> None:
    corpus.write("a.jsonl", f'{{"text": "a", "label": {label}}}\n')
    with pytest.raises(BadInput, match=r"a\.jsonl: row 1: the label is no finite number"):
        corpus.collect()


def test_a_number_is_one_class_however_it_is_written(corpus: Corpus) -> None:
    lines = [{"text": "a", "label": 1}, {"text": "b", "label": 1.0}]
    corpus.write("a.jsonl", "".join(f"{json.dumps(line)}\n" for line in lines))
    with pytest.raises(BadInput) as error:
        corpus.collect()
    assert str(error.value) == (
        "files:a.jsonl, row 2 has the label 1.0 where files:a.jsonl, row 1 has 1: write the class "
        "in one way"
    )
    corpus.write("a.jsonl", '{"text": "a", "label": 1.0}\n{"text": "b", "label": 2}\n')
    assert [record["label"] for record in corpus.collect()] == ["1.0", "2"]
