"""Data sets of strangers on the hub: what they name is no file of the user's, and a pin holds."""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from tasks.errors import BadInput
from tests.tasks.collect.conftest import Corpus

SOURCE = {"kind": "hub", "id": "./set"}
IMAGES = {**SOURCE, "image": "image"}


def table(path: Path, columns: dict[str, Any], features: dict[str, Any] | None = None) -> None:
    """Write a Parquet file as ``datasets`` does, with the types that it is to be read with."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = pa.table(columns)
    if features is not None:
        about = {"huggingface": json.dumps({"info": {"features": features}})}
        made = made.replace_schema_metadata(about)
    pq.write_table(made, path)


@pytest.fixture
def secret(tmp_path: Path, png: bytes) -> Path:
    """Files of the user's beside the data set."""
    folder = tmp_path / "secret"
    folder.mkdir()
    (folder / "a.csv").write_text("text,label\nsecret,x\n")
    (folder / "a.png").write_bytes(png)
    return folder


def pin_and_read(corpus: Corpus, source: dict[str, Any]) -> list[dict[str, Any]]:
    corpus.refresh(source)
    return corpus.collect(source)


def fault(corpus: Corpus, source: dict[str, Any]) -> str:
    with pytest.raises(BadInput) as error:
        pin_and_read(corpus, source)
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize("path", ["{secret}/a.csv", "../secret/a.csv", "file://{secret}/a.csv"])
def test_a_readme_names_no_file_elsewhere(
    corpus: Corpus, secret: Path, tmp_path: Path, path: str
) -> None:
    table(tmp_path / "set" / "train.parquet", {"text": ["a"], "label": ["x"]})
    named = path.format(secret=secret)
    readme = f"---\nconfigs:\n- config_name: default\n  data_files: {named}\n---\n"
    (tmp_path / "set" / "README.md").write_text(readme)
    message = fault(corpus, SOURCE)
    assert "secret/a.csv, which is not among its own files: it was not read" in message


def test_nor_does_it_read_a_device(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    readme = "---\nconfigs:\n- config_name: default\n  data_files: /dev/zero\n---\n"
    (tmp_path / "set" / "README.md").write_text(readme)
    assert fault(corpus, SOURCE).startswith("hub ./set")


def test_a_parquet_image_is_its_bytes_and_no_path(
    corpus: Corpus, secret: Path, tmp_path: Path
) -> None:
    columns = {"image": [{"bytes": None, "path": str(secret / "a.png")}], "label": ["x"]}
    features = {
        "image": {"_type": "Image"},
        "label": {"dtype": "string", "_type": "Value"},
    }
    table(tmp_path / "set" / "train.parquet", columns, features)
    assert fault(corpus, IMAGES) == (
        "hub:./set/train: row 1: expected the bytes of an image, found a path, "
        f"{str(secret / 'a.png')!r:.80}: it was not read"
    )


def test_a_column_that_nobody_asks_for_is_not_decoded(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    columns = {
        "text": ["a"],
        "label": ["x"],
        "more": [{"bytes": b"no image", "path": None}],
    }
    features = {
        "text": {"dtype": "string", "_type": "Value"},
        "label": {"dtype": "string", "_type": "Value"},
        "more": {"_type": "Image"},
    }
    table(tmp_path / "set" / "train.parquet", columns, features)
    assert [record["text"] for record in pin_and_read(corpus, SOURCE)] == ["a"]


def test_an_image_of_a_folder_is_no_link_to_elsewhere(
    corpus: Corpus, secret: Path, tmp_path: Path, png: bytes
) -> None:
    folder = tmp_path / "set" / "train" / "cat"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(png)
    (folder / "2.png").symlink_to(secret / "a.png")
    assert f"is a link to {secret / 'a.png'}, which is not in" in fault(corpus, IMAGES)
    (folder / "2.png").unlink()
    (folder / "more").symlink_to(secret)
    assert "is a link to a folder, which is not followed" in fault(corpus, IMAGES)


def test_metadata_beside_images_name_no_file_elsewhere(
    corpus: Corpus, secret: Path, tmp_path: Path, png: bytes
) -> None:
    folder = tmp_path / "set" / "train"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(png)
    (folder / "metadata.jsonl").write_text('{"file_name": "../../secret/a.png", "label": "x"}\n')
    assert "Invalid metadata file_name" in fault(corpus, IMAGES)


def test_a_pickled_frame_is_not_loaded(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    assert fault(corpus, SOURCE).startswith("hub ./set: ")
    assert not (tmp_path / "pwned").exists()


def test_a_format_that_names_files_of_its_own_is_not_read(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    assert fault(corpus, SOURCE).startswith("hub ./set: hdf5 is not a format that collect reads")


def test_a_fifo_in_a_data_set_is_not_waited_for(corpus: Corpus, tmp_path: Path) -> None:
    table(tmp_path / "set" / "train.parquet", {"text": ["a"], "label": ["x"]})
    os.mkfifo(tmp_path / "set" / "test.csv")
    assert fault(corpus, SOURCE).endswith("test.csv is neither a file nor a folder: remove it")


@pytest.mark.parametrize("name", ["train.tar", "train.csv", "train.csv.gz"])
def test_nor_for_one_in_a_tar_archive(corpus: Corpus, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "a.csv")
    (tmp_path / "set").mkdir()
    table(tmp_path / "set" / "test.parquet", {"text": ["a"], "label": ["x"]})
    with tarfile.open(tmp_path / "set" / name, "w:gz" if name.endswith("gz") else "w") as archive:
        archive.add(tmp_path / "a.csv", "a.csv")
    (tmp_path / "set" / "b.csv").write_text("text,label\na,x\n")
    readme = f"---\nconfigs:\n- config_name: default\n  data_files: {name}\n---\n"
    (tmp_path / "set" / "README.md").write_text(readme)
    assert fault(corpus, SOURCE).startswith("hub ./set: ")


def test_a_changed_file_of_the_same_time_and_size_gives_new_records(
    corpus: Corpus, tmp_path: Path
) -> None:
    path = tmp_path / "set" / "train.csv"
    path.parent.mkdir()
    path.write_text("text,label\nold,x\n")
    before = path.stat()
    assert [record["text"] for record in pin_and_read(corpus, SOURCE)] == ["old"]
    path.write_text("text,label\nnew,x\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [record["text"] for record in pin_and_read(corpus, SOURCE)] == ["new"]


@pytest.mark.parametrize(
    "readme",
    ["---\nconfigs: 5\n---\n", "---\n: [\n---\n", "---\nconfigs:\n- data_files: [[1]]\n---\n"],
)
def test_a_broken_readme_is_one_line(corpus: Corpus, tmp_path: Path, readme: str) -> None:
    table(tmp_path / "set" / "train.parquet", {"text": ["a"], "label": ["x"]})
    (tmp_path / "set" / "README.md").write_text(readme)
    assert fault(corpus, SOURCE).startswith("hub ./set: ")


def test_texts_that_are_not_utf8_are_named_by_their_row(corpus: Corpus, tmp_path: Path) -> None:
    raw = pa.array([b"a", b"\xff"], pa.binary())
    broken = pa.Array.from_buffers(pa.string(), 2, raw.buffers())
    table(tmp_path / "set" / "train.parquet", {"text": broken, "label": ["x", "y"]})
    assert "row 2 is not UTF-8" in fault(corpus, SOURCE)


def test_a_png_of_a_folder_and_one_in_parquet_are_read(
    corpus: Corpus, tmp_path: Path, png: bytes
) -> None:
    file = io.BytesIO()
    Image.new("L", (2, 2), 9).save(file, "PNG")
    columns = {"image": [{"bytes": file.getvalue(), "path": "/etc/passwd"}], "label": ["x"]}
    features = {"image": {"_type": "Image"}, "label": {"dtype": "string", "_type": "Value"}}
    table(tmp_path / "set" / "train.parquet", columns, features)
    assert [record["image"] for record in pin_and_read(corpus, IMAGES)] == [file.getvalue()]
