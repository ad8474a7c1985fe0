"""The fingerprints of all rows, written."""

from pathlib import Path

import pytest

from tasks.code.stage import run
from tasks.contracts.params import STAGES, TABLES, read_params, rows_of
from tasks.errors import BadSettings
from tasks.fingerprint.rows import fingerprint

ROOT = Path(__file__).parents[3]


def test_every_row_has_a_file_with_its_fingerprint(tmp_path: Path) -> None:
    params = read_params(ROOT / "params.yaml")
    run(ROOT / "params.yaml", ROOT, tmp_path / "code")
    written = {path.relative_to(tmp_path / "code").as_posix() for path in tmp_path.rglob("*.txt")}
    assert written == {
        f"{stage}/{row}.txt" for stage in STAGES for row in rows_of(params, TABLES[stage])
    }
    text = (tmp_path / "code" / "clean" / "reuters.txt").read_text(encoding="utf-8")
    assert text == fingerprint(params, "clean", "reuters", ROOT)


def test_nothing_is_written_where_a_row_is_bad(tmp_path: Path) -> None:
    bad = tmp_path / "params.yaml"
    bad.write_text("seed: zero\ncorpora: {}\nbackbones: {}\nmodels: {}\n", encoding="utf-8")
    with pytest.raises(BadSettings, match="seed: expected a whole number"):
        run(bad, ROOT, tmp_path / "code")
    assert not (tmp_path / "code").exists()
