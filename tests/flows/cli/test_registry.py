"""``downstream history`` and ``rollback`` as a user meets them."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from flows.cli.app import app
from tasks.errors import BadInput, BadSettings
from tasks.tracking.audit import aliases
from tasks.tracking.audit.writer import Change, append
from tasks.tracking.store import opened


def downstream(*words: str) -> int:
    code: int = app(list(words), exit_on_error=False, result_action="return_value")
    return code


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder: a store with a model whose champion was moved, at last by hand."""
    folder = tmp_path_factory.mktemp("registry")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.setenv("DOWNSTREAM_REVIEWER", "Ann")
        patch.setattr(aliases, "SETTLING_SECONDS", 0.0)
        evidence = {"weights_sha256": "ab" * 32}
        with opened() as client:
            for name in ("m", "new"):
                client.create_registered_model(name)
            for version in (1, 2, 3):
                client.create_model_version("m", source="s3://models/m")
                if version < 3:
                    change = Change("approve", "champion", None, version, "better", evidence)
                    aliases.move(client, "m", change)
            reason = "[/] worse\n\x1b[2J on grain"
            append(client, "m", Change("reject", version_to=3, reason=reason))
            client.set_registered_model_alias("m", "champion", "3")
        yield folder


def test_history_tells_each_change_the_handmade_too_and_the_chain_holds(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert downstream("history", "m", "--verify") == 0
    shown, said = capsys.readouterr()
    assert "change" in shown.splitlines()[0]
    for line in (
        ("1", "approve", "champion - → 1", "Ann", "better"),
        ("2", "approve", "champion 1 → 2", "Ann", "better"),
        ("4", "reject", "version 3", "Ann", "[/] worse  [2J on grain"),
        ("5", "found", "champion 2 → 3", "unknown, outside downstream"),
    ):
        (found,) = [one for one in shown.splitlines() if one.startswith(line[0])]
        assert all(word in found for word in line), found
    assert " weights_sha256 abababababab " in shown
    assert "Now: champion 3, previous 2\n" in shown
    assert "warning: champion of m was moved from version 2 to version 3 outside downst" in said
    assert said.endswith("1 entry was made outside downstream: 5\nThe chain of 6 entries holds\n")


def test_all_there_is_as_json(workspace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert downstream("history", "m", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["aliases"] == {"champion": 3, "previous": 2}
    assert [entry["number"] for entry in found["entries"]] == [1, 2, 3, 4, 5, 6]
    assert found["entries"][0]["evidence"] == {"weights_sha256": "ab" * 32}
    assert (found["model"], found["problems"]) == ("m", [])


def test_a_model_without_a_log_and_one_that_does_not_exist(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert downstream("history", "new") == 0
    assert capsys.readouterr().out == "new: no alias was ever set.\n\nNow: no alias\n"
    with pytest.raises(BadInput, match="n: no such registered model; allowed: m, new"):
        downstream("history", "n")


def test_a_rollback_needs_the_models_row(workspace: Path) -> None:
    (workspace / "params.yaml").write_text("models: {}\n")
    with pytest.raises(BadSettings, match=r"params\.yaml: models has no row 'm'"):
        downstream("rollback", "m", "--to", "1", "--reason", "complaints")


def test_verify_names_a_tampered_entry_and_exits_with_1(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect("mlflow.db")) as connection, connection:
        connection.execute(
            "UPDATE params SET value = replace(value, 'Ann', 'Bob') WHERE key = '000002'"
        )
    assert downstream("history", "m") == 0
    assert downstream("history", "m", "--verify") == 1
    said = capsys.readouterr().err
    assert "error: m: entry 2 was altered: its sha256 is " in said
    assert "The log does not hold: MLflow's database was altered" in said
