"""``prefect.yaml`` and what is made of it, without a server."""

import inspect
from pathlib import Path

import pytest
from prefect.events import DeploymentEventTrigger
from prefect.flows import load_flow_from_entrypoint

from flows.orchestration.events import CANDIDATE_REGISTERED
from flows.orchestration.train import read_deployments
from flows.servers.serve import deployment
from tasks.errors import BadSettings
from tests.flows.pipeline import ROOT

LISTED = read_deployments(ROOT / "prefect.yaml")


def test_nightly_runs_on_a_schedule_review_at_a_new_candidate_the_others_on_demand() -> None:
    started = [(len(one.get("schedules", [])), len(one.get("triggers", []))) for one in LISTED]
    names = [one["name"] for one in LISTED]
    assert dict(zip(names, started, strict=True)) == {
        "nightly": (1, 0),
        "train": (0, 0),
        "review": (0, 1),
        "stage": (0, 0),
    }


def test_review_is_started_by_the_event_that_a_run_sends() -> None:
    (review,) = [one for one in LISTED if one["name"] == "review"]
    (trigger,) = deployment(review).triggers
    assert isinstance(trigger, DeploymentEventTrigger)
    assert trigger.expect == {CANDIDATE_REGISTERED}
    assert trigger.parameters == {"model": "{{ event.payload.model }}"}


@pytest.mark.parametrize("listed", LISTED, ids=lambda listed: str(listed["name"]))
def test_every_deployment_names_a_flow_and_parameters_that_it_has(listed: dict[str, str]) -> None:
    flow = load_flow_from_entrypoint(listed["entrypoint"], use_placeholder_flow=False)
    assert set(listed["parameters"]) <= set(inspect.signature(flow.fn).parameters)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "prefect.yaml is missing: it lists what is served"),
        ("a: [", "prefect.yaml is not YAML: "),
        ("name: downstream\n", "prefect.yaml: expected a list of deployments, found None"),
    ],
)
def test_a_prefect_yaml_that_lists_nothing_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if text is not None:
        Path("prefect.yaml").write_text(text)
    with pytest.raises(BadSettings) as error:
        read_deployments()
    assert str(error.value).startswith(message)
