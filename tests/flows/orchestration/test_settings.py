"""Prefect's settings are ours only where the user has none."""

import os

import pytest

from flows.orchestration.settings import prepare_prefect


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["DO_NOT_TRACK", *(name for name in os.environ if name.startswith("PREFECT_"))]
    for name in names:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())


def test_telemetry_is_off_and_prefects_own_lines_are_quiet() -> None:
    prepare_prefect(debug=False)
    assert {name: value for name, value in os.environ.items() if name.startswith("PREFECT_")} == {
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLIENT_MAX_RETRIES": "3",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    }
    assert os.environ["DO_NOT_TRACK"] == "1"


def test_what_the_user_has_set_stays() -> None:
    os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] = "DEBUG"
    prepare_prefect(debug=False)
    assert os.environ["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "DEBUG"
