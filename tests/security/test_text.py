"""Text that others have written, as it is shown: it steers and breaks nothing, tells no secret."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from flows.cli.app import app
from flows.cli.registry import history
from flows.cli.review import list_reviews, print_outcome
from flows.terminal import console, plain, print_json, table
from tasks import progress
from tasks.contracts.params import check_params, read_params
from tasks.errors import BadInput, BadSettings, Unreachable
from tasks.plain_text import LONGEST_LINE, without_credentials
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.store import latest
from tasks.tracking.store import first_line, opened, pages
from tests.tasks.promotion.scene import MODEL, PARAMS, Scene

EVIL = "[/trade][bold]a[/bold] \x1b[2J\x1b]0;owned\x07\x9b31m \u202egnp.exe :smile:"
SHOWN = "[/trade][bold]a[/bold]  [2J ]0;owned  31m  gnp.exe :smile:"


def steers(text: str) -> bool:
    return any(not sign.isprintable() and sign != "\n" for sign in text)


def test_a_comment_breaks_no_list_and_no_history_and_steers_no_terminal(
    reviewed: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    decided = decide(latest(MODEL), "reject", EVIL, f"Eve {EVIL}")
    print_outcome(decided)
    assert list_reviews() == 0
    assert history(MODEL) == 0
    said = capsys.readouterr()
    for text in (said.out, said.err):
        assert "[/trade][bold]a[/bold]" in text
        assert not steers(text)
    assert history(MODEL, json=True) == 0
    text = capsys.readouterr().out
    assert not steers(text)
    entry = json.loads(text)["entries"][-1]
    assert entry["reason"] == " ".join(EVIL.split())


def test_a_text_is_shown_as_it_is_in_a_table_a_line_an_error_and_beside_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = table("what")
    shown.add_row(EVIL)
    console().print(shown)
    console().print(EVIL)
    progress.say(EVIL)
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == [SHOWN, SHOWN]
    assert said.err.splitlines() == [SHOWN]
    assert str(BadInput(f"{EVIL}: no table")) == f"{SHOWN}: no table"
    screen = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=screen, width=200))
    with progress._Bar(EVIL, 2, 0) as bar:
        bar.advance(note=EVIL)
    assert "[/trade][bold]a[/bold]" in screen.getvalue()


def test_wrong_usage_is_told_in_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([EVIL], ["run", "--jobs", EVIL], ["review", "show", f"--{EVIL}"]):
        with pytest.raises(SystemExit):
            app(arguments)
        said = capsys.readouterr()
        assert said.err.startswith("error: ")
        assert not steers(said.err)


def test_a_stage_tells_an_error_in_plain_text(tmp_path: Path) -> None:
    program = (
        "from tasks.stage_process.process import exit_code\n"
        "with exit_code():\n"
        f"    raise OSError({EVIL!r})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"error: code: {SHOWN}\n")


def test_of_a_flood_the_beginning_and_the_end_are_shown() -> None:
    error = str(BadInput(f"a.csv: unknown columns {'x' * 389_000}: name them"))
    assert len(error) <= LONGEST_LINE
    assert error.startswith("a.csv: unknown columns xxx")
    assert error.endswith("xxx: name them")
    assert plain(error) == error


SECRET = "hunter2"  # noqa: S105 - that of an example
ADDRESSES = [
    f"http://ann:{SECRET}@host:5000/x",
    f"https://{SECRET}@host/a.git",
    f"HTTPS://ann:p@{SECRET}@host",
    f"mysql+pymysql://ann:p/w#{SECRET}@host/mlflow",
    f"https://host/a.csv?version=2&token={SECRET}",
    f"https://host/a.csv?X-Amz-Signature={SECRET}",
    f"https://host/a.csv?sp=r&sig={SECRET}",
    f"https://host/#access_token={SECRET}",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_the_password_of_an_address_is_shown_nowhere(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    console().print(address)
    progress.say(f"{address} does not answer")
    said = capsys.readouterr()
    for text in (said.out, said.err, str(BadInput(address)), first_line(OSError(address))):
        assert "host" in text
        assert SECRET not in text


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:5000/a/b@c", "https://host/@scope/a?key-word=b&page=2", "a@b.org"]
)
def test_an_address_without_a_secret_stays_whole(address: str) -> None:
    assert without_credentials(address) == address


def test_a_long_text_costs_no_time() -> None:
    for part in ("://a:", "://", "?token", "?a-token", "&key=", "\x1b"):
        assert len(plain(part * 100_000)) <= LONGEST_LINE


@pytest.mark.parametrize("port", ["1", "no-port"])
def test_an_mlflow_server_with_a_password_is_named_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://ann:{SECRET}@127.0.0.1:{port}")
    with pytest.raises(Unreachable) as error, opened():
        pass
    assert "127.0.0.1" in str(error.value)
    assert SECRET not in str(error.value)
    assert pages() == f"http://127.0.0.1:{port}"
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(SECRET.encode() in content for content in kept)


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_with_a_secret_stands_in_no_settings_and_so_in_no_pin_and_no_lock(
    tmp_path: Path, address: str
) -> None:
    collect: dict[str, Any] = {"sources": [{"kind": "url", "urls": {"train": [address]}}]}
    params = {**PARAMS, "corpora": {**PARAMS["corpora"]}}
    params["corpora"]["topics"] = {**params["corpora"]["topics"], "collect": collect}
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params))
    with pytest.raises(BadSettings) as error:
        check_params(read_params(path))
    assert "corpora.topics.collect.sources.urls.train: an address with a pass" in str(error.value)
    assert SECRET not in str(error.value)


def test_json_has_every_sign_that_would_steer_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    value = {"name": f"{EVIL}é\U000e0041"}
    print_json(value)
    text = capsys.readouterr().out
    assert not steers(text)
    assert "é" in text
    assert json.loads(text) == value
