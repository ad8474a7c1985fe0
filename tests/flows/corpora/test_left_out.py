"""Every record that split left out is listed with the reason."""

from pathlib import Path

import pyarrow as pa
import pytest

from flows.cli.data import left_out
from flows.corpora.left_out import left_out_of
from tasks.contracts import paths
from tasks.contracts.files import write_json
from tasks.contracts.records import cleaned_schema, write_records
from tasks.corpora.columns import with_columns
from tasks.errors import BadInput, DownstreamError
from tasks.split.settings import Settings
from tasks.split.stage import run

NEAR = " ".join(f"word{number}" for number in range(40))
ASKED = {"group_by": "author", "near_duplicates": {"similarity": 0.8}, "validation": 0.2}


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, int]]:
    """Divide a corpus with an official test split; return what split says it left out."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("seed: 0\ncorpora: {mail: {}}\n")
    schema = with_columns(cleaned_schema("text"), ["author"])
    texts = [(f"text {row}", "train", f"author {row}") for row in range(60)]
    texts += [(f"{NEAR} one", "train", None), ("by a tester", "train", "tester")]
    texts += [(f"{NEAR} two", "test", None), ("test", "test", "tester")]
    rows = [
        {
            "id": f"{row:064x}",
            "text": text,
            "label": "x",
            "split": official,
            "source": "files:a.csv",
            "row": row + 1,
            "author": author,
        }
        for row, (text, official, author) in enumerate(texts)
    ]
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    write_records(paths.cleaned("mail"), schema, [batch])
    output = paths.stage_output("split", "mail")
    counted = run(paths.cleaned("mail"), output, Settings.parse(ASKED, "split"), 0)
    write_json(output / "settings.json", {"seed": 0, "settings": ASKED})
    return counted


def test_each_is_told_with_the_setting_and_the_split_it_would_have_been_in(
    report: dict[str, dict[str, int]],
) -> None:
    found = left_out_of(paths.cleaned("mail"), {"seed": 0, "settings": ASKED})
    assert [(record["why"], record["text"]) for record in found] == [
        ("near_duplicates", f"{NEAR} one"),
        ("group_by", "by a tester"),
    ]
    for record in found:
        assert report[record["why"]][f"left_out_of_{record['of']}"] == 1


def test_the_command_prints_them(
    report: dict[str, dict[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert left_out("mail", reason="group_by") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mail: 1 of 1 records that split left out"
    assert "files:a.csv, row 62" in lines[2]
    with pytest.raises(DownstreamError, match="--reason: no 'stratify' in mail; allowed: group_by"):
        left_out("mail", reason="stratify")
    paths.cleaned("mail").unlink()
    with pytest.raises(BadInput, match="run clean@mail"):
        left_out("mail")
