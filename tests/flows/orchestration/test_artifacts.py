"""What Prefect's pages show of a stage."""

import threading

import httpx
import pytest

from flows.orchestration import artifacts as stage_pages
from flows.orchestration.artifacts import publish, share_done


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
