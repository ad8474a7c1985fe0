"""What Prefect's pages show of a stage."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from flows import stage_pages
from flows.stage_pages import mlflow_page, publish, share_done


@pytest.mark.parametrize(
    ("line", "share"),
    [
        ("pretrain reuters-bert: 129/612 loss 0.8264", 129 / 612),
        ("pretrain x: 1,290/2,580", 0.5),
        ("finetune m: twin: 3/4 loss 0.1", 0.75),
        ("collect: 17 records", None),
        ("read http://a/b: 3/x", None),
        ("x: 0/0", None),
    ],
)
def test_a_line_of_progress_says_how_far_a_stage_is(line: str, share: float | None) -> None:
    assert share_done(line) == share


def test_a_server_that_is_away_costs_one_line_and_is_not_asked_again(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_pages, "_lost", threading.Event())
    asked = []

    def refuse(content: str) -> None:
        asked.append(content)
        raise httpx.ConnectError("refused\nand more")

    assert publish("the plan", str.upper, "shown") == "SHOWN"
    assert publish("the plan", refuse, "one") is None
    assert publish("the results", refuse, "two") is None
    assert asked == ["one"]
    expected = "warning: Prefect's server did not take the plan: refused\n"
    assert capsys.readouterr().err == expected


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/api/2.0/mlflow/runs/get?run_id=abc"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(json.dumps({"run": {"info": {"experiment_id": "7"}}}).encode())

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    Path(".downstream/runs").mkdir(parents=True)
    Path(".downstream/runs/finetune@m.json").write_text('{"run_id": "abc"}')
    Path(".downstream/runs/finetune@n.json").write_text('{"run_id": "lost"}')
    with HTTPServer(("127.0.0.1", 0), Answers) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{http.server_port}"
        http.shutdown()


def test_the_link_leads_to_the_run_without_the_password(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me:secret@{server}/")
    assert mlflow_page("finetune@m") == f"http://{server}/#/experiments/7/runs/abc"
    assert mlflow_page("finetune@n") is None
    assert mlflow_page("clean@a") is None


def test_without_a_server_there_is_no_link(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert mlflow_page("finetune@m") is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert mlflow_page("finetune@m") is None
