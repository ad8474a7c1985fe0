"""A corpus on the terminal."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from flows.cli.data import content_of, profile, short_text, show
from tasks.contracts import paths
from tasks.contracts.files import read_json, write_json
from tasks.contracts.records import split_schema, write_records
from tasks.errors import BadInput, BadSettings, DownstreamError


def png(width: int, height: int) -> bytes:
    out = io.BytesIO()
    Image.new("L", (width, height)).save(out, "PNG")
    return out.getvalue()


def write_split(corpus: str, part: Any, records: list[dict[str, Any]]) -> None:
    schema = split_schema("image" if "image" in records[0] else "text")
    batch = pa.RecordBatch.from_pylist(records, schema=schema)
    write_records(paths.split(corpus, part), schema, [batch])


@pytest.fixture(autouse=True)
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("seed: 0\ncorpora: {news: {}, digits: {}, new: {}}\n")
    texts = ["Ein [bold]Satz[/bold]\x1b[2J über  Zölle\n", "大" * 200, "نص عربي"]
    for part, number in (("train", 3), ("validation", 1), ("test", 1)):
        records = [
            {"id": f"{place:064x}", "text": text, "label": None if place == 2 else f"c{place}"}
            for place, text in enumerate(texts[:number])
        ]
        write_split("news", part, records)
        write_split("digits", part, [{"id": "f" * 64, "image": png(8, 6), "label": "7"}])
    write_json(
        Path("data/clean/news/report.json"),
        {
            "records_in": 10, "records_out": 5, "dropped": {"empty": 4, "duplicate": 1},
            "examples": {"empty": [{"source": "a.csv", "row": 3}], "duplicate": []},
            "splits": {"none": {"records_in": 10, "records_out": 5,
                                "dropped": {"empty": 4, "duplicate": 1}}},
        },
    )  # fmt: skip
    expectation = {"table": "train", "expectation": "expect_x", "passed": True}
    write_json(Path("data/validate/news/result.json"), {"expectations": [expectation]})
    failed = {**expectation, "passed": False}
    kept = Path(".downstream/validate/digits/result.json")
    write_json(kept, {"expectations": [expectation, failed]})


def call(corpus: str, part: str | None, dropped: bool, rows: int) -> None:
    assert show(corpus, part=part, dropped=dropped, rows=rows) == 0


def shown(capsys: pytest.CaptureFixture[str], corpus: str, *options: Any) -> list[str]:
    call(corpus, *options)
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_classes_are_counted_in_every_split(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "news", None, False, 0)
    assert lines[:6] == [
        "news: records by class",
        "class train validation test",
        "c0 1 1 1",
        "c1 1 0 0",
        "(no label) 1 0 0",
        "all 3 1 1",
    ]
    assert lines[6] == "validate: 1 of 1 expectations met (data/validate/news/result.json)"


def test_one_split_is_shown_with_its_first_records(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "news", "train", False, 2)
    assert "all 3" in lines
    assert "train: the first 2 of data/split/news/train.parquet" in lines
    assert "00000000 c0 Ein [bold]Satz[/bold] [2J über Zölle" in lines
    assert lines[-1].endswith("大大 …")


def test_images_are_described(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "digits", "test", False, 5)
    assert "ffffffff 7 PNG, 8 × 6 pixels, L" in lines
    assert "validate: 1 of 2 expectations met (.downstream/validate/digits/result.json)" in lines
    assert "NOT met: train: expect_x" in lines
    assert content_of({"image": b"GIF89a"}).plain == "no image that can be read, 6 bytes"


def test_what_was_dropped_is_counted_by_reason_with_its_place(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert shown(capsys, "news", None, True, 5) == [
        "news: 10 records as found, 5 kept (50.00 % dropped)",
        "why records none the first of them",
        "empty 4 4 a.csv, row 3",
        "duplicate 1 1",
    ]


def test_a_text_is_cut_by_its_width_between_characters_and_cannot_steer_the_terminal() -> None:
    assert short_text("大" * 200).cell_len == 100
    assert short_text("a\x1b]0;title\x07b\nc").plain == "a ]0;title b c"
    assert short_text("").plain == ""


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("nws", None, False, 5), BadSettings,
         "params.yaml: corpora has no row 'nws'; allowed: digits, new, news; did you mean 'news'?"),
        (("news", "tset", False, 5), DownstreamError,
         "--part: no split 'tset'; allowed: test, train, validation; did you mean 'test'?"),
        (("news", None, False, -1), DownstreamError, "--rows: expected a number from 0, found -1"),
        (("new", None, False, 5), BadInput,
         "data/split/new/train.parquet does not exist yet: `downstream run split@new`"),
        (("new", None, True, 5), BadInput,
         "data/clean/new/report.json does not exist yet: `downstream run clean@new`"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_what_to_do(
    arguments: tuple[Any, ...], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        call(*arguments)
    assert str(error.value) == message


@pytest.mark.parametrize("dropped", [True, False])
def test_a_damaged_file_is_told_with_what_to_do(dropped: bool) -> None:
    Path("data/split/news/train.parquet").write_bytes(b"PAR1")
    Path("data/clean/news/report.json").write_text("{")
    with pytest.raises(BadInput, match=r"delete it, then `downstream run (split|clean)@news`"):
        call("news", None, dropped, 5)


def test_a_profile_is_written_beside_the_sources(capsys: pytest.CaptureFixture[str]) -> None:
    assert profile("news") == 0
    found = read_json(Path("data/sources/news.profile.json"))
    assert (found["records"], found["labels"]) == (5, {"c0": 3, "c1": 1})
    said = capsys.readouterr().err
    assert said.startswith("data/sources/news.profile.json: 5 records, 2 classes")
    with pytest.raises(BadInput, match="run split@new"):
        profile("new")
    with pytest.raises(BadSettings, match="corpora has no row 'nws'"):
        profile("nws")
