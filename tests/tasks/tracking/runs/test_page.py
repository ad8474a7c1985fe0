"""A run has a page where there is a server."""

import pytest

from tasks.tracking.runs.page import mlflow_page


def test_without_a_server_there_is_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one, see ``test_live.py``, which has a real one."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert mlflow_page("finetune@m", "abc") is None
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert mlflow_page("finetune@m", "abc") is None
    assert mlflow_page("finetune@m", None) is None
