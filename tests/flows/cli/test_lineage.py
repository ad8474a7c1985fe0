"""``downstream lineage`` prints the chain, and fails where it does not hold."""

import json
from pathlib import Path

import pytest

from flows.cli.lineage import lineage
from tasks.contracts import files, paths
from tasks.errors import BadInput
from tests.tasks.promotion.chain import CORPUS, MODEL, lay_chain


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A registered model, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    lay_chain()


def test_the_chain_is_printed_and_a_broken_link_is_an_error(
    chain: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lineage(MODEL) == 0
    printed = capsys.readouterr().out
    assert "digits version 1 (candidate), commit" in printed
    assert "revision 1.8.0" in printed
    files.write_text(paths.split(CORPUS, "test"), "easier records")
    with pytest.raises(BadInput, match=r"digits version 1: 1 of \d+ links do not hold; the first"):
        lineage(MODEL, json=True)
    found = json.loads(capsys.readouterr().out)
    assert (found["model"], found["version"], found["holds"]) == (MODEL, 1, False)
    broken = [link["what"] for link in found["links"] if link["problem"]]
    assert broken == ["data/split/numbers/test.parquet"]
    assert found["pins"][CORPUS]["sklearn:digits"]["revision"] == "1.8.0"
