"""What clean dropped or changed, record by record, on the terminal."""

import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from flows.cli.data import dropped
from tasks.clean.settings import Settings
from tasks.clean.stage import run
from tasks.contracts import paths
from tasks.contracts.files import write_json
from tasks.contracts.records import collected_schema, write_records
from tasks.errors import BadInput, BadSettings, DownstreamError

TEXT = "the quick brown fox jumps over the lazy dog and runs away from all of them at once today"
NEWS: list[dict[str, Any]] = [
    {"text": TEXT, "label": "x"},
    {"text": f"{TEXT} again", "label": "x"},
    {"text": "a", "label": "x"},
    {"text": "a", "label": "x"},
    {"text": "", "label": None},
    {"text": "b", "label": "rare"},
]
SETTINGS = {"near_duplicates": {}, "rare_classes": {"fewer_than": 2, "then": "other"}}


def collect(corpus: str, records: list[dict[str, Any]]) -> None:
    schema = collected_schema("image" if "image" in records[0] else "text")
    rows = [
        {"split": None, "source": "files:a", "row": row, **record}
        for row, record in enumerate(records, start=1)
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    write_records(paths.collected(corpus), schema, [batch])


@pytest.fixture(autouse=True)
def corpora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    Path("params.yaml").write_text("seed: 0\ncorpora: {news: {}, digits: {}, new: {}}\n")
    file = io.BytesIO()
    Image.new("L", (4, 4), 9).save(file, "PNG")
    collect("news", NEWS)
    collect("digits", [{"image": file.getvalue(), "label": "1"}] * 2)
    for corpus, settings in (("news", SETTINGS), ("digits", {})):
        output = paths.stage_output("clean", corpus)
        run(paths.collected(corpus), output, Settings.parse(settings, "clean"))
        write_json(output / "settings.json", {"settings": settings})


def shown(capsys: pytest.CaptureFixture[str], corpus: str, **options: Any) -> list[str]:
    capsys.readouterr()
    assert dropped(corpus, **options) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_each_record_is_listed_with_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, "news") == [
        "news: 4 of 4 records",
        "why source, row split class stays content as found",
        "duplicate files:a, row 4 x a",
        "empty files:a, row 5 (no label)",
        f"near_duplicate files:a, row 1 x files:a, row 2 {TEXT}",
        "rare_class files:a, row 6 rare b",
    ]
    assert not list(paths.STATE.iterdir())


def test_one_reason_and_so_many_records_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(capsys, "news", reason="near_duplicate")
    assert (lines[0], len(lines)) == ("news: 1 of 1 records (near_duplicate)", 3)
    assert len(shown(capsys, "news", rows=2)) == 4
    assert len(shown(capsys, "news", rows=0)) == 6


def test_images_are_listed_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert "duplicate files:a, row 2 1 PNG, 4 × 4 pixels, L" in shown(capsys, "digits")


def test_records_that_changed_since_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    collect("news", NEWS[:-2])
    assert shown(capsys, "news")[-1] == (
        "The report of clean@news counts otherwise: its records or this code have changed since "
        "(downstream run clean@news)"
    )


@pytest.mark.parametrize(
    ("corpus", "options", "kind", "message"),
    [
        ("nws", {}, BadSettings, "params.yaml: corpora has no row 'nws'; allowed: digits, new, "
         "news; did you mean 'news'?"),
        ("news", {"rows": -1}, DownstreamError, "--rows: expected a number from 0, found -1"),
        ("new", {}, BadInput,
         "data/clean/new/report.json does not exist yet: `downstream run clean@new`"),
        ("digits", {"reason": "duplicat"}, DownstreamError,
         "--reason: no 'duplicat' in digits; allowed: duplicate, duplicate_other_label, empty, "
         "too_long, too_short; did you mean 'duplicate'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_what_to_do(
    corpus: str, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as error:
        dropped(corpus, **options)
    assert str(error.value) == message


def test_records_that_are_gone_are_told() -> None:
    paths.collected("news").unlink()
    with pytest.raises(BadInput, match=r"records.parquet does not exist: `downstream run collect@"):
        dropped("news")
