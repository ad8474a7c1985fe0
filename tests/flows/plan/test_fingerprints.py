"""The real ``params.yaml`` and the real code."""

import pytest

from flows.dvc.graph import load_graph
from flows.plan.fingerprints import current_codes
from tests.flows.pipeline import ROOT


def test_every_planned_stage_of_the_default_pipeline_has_a_fingerprint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    assert set(current_codes()) == set(load_graph().planned())
