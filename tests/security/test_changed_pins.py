"""What ``nightly`` has fetched without a person becomes no champion without one."""

from typing import Any

import yaml

from tasks.contracts import paths
from tasks.promotion.review.decisions import decide, request_and_decide
from tasks.promotion.review.report import read_report
from tasks.promotion.review.requests import changed_pins, request
from tasks.tracking.audit.log import aliases_of, read_log
from tasks.tracking.registry.bindings import PINS
from tasks.tracking.registry.version import read_version
from tasks.tracking.store import opened
from tests.registry import bind
from tests.tasks.promotion.scene import CORPUS, MODEL, Scene

AUTOMATIC = {"review": {"policy": "auto_if_better"}}


def lay(scene: Scene, pin: str, **row: Any) -> None:
    """Make a poor champion by a person's decision, and a better candidate of another pin."""
    scene.register("poor", "seen")
    decide(request(MODEL), "approve", "to begin with")
    scene.configure(AUTOMATIC)
    params = yaml.safe_load(paths.PARAMS.read_text())
    params["models"][MODEL].update(row)
    paths.PARAMS.write_text(yaml.safe_dump(params))
    scene.register("good", pin)


def aliases() -> dict[str, int]:
    with opened() as client:
        return aliases_of(client, MODEL)


def test_a_policy_promotes_nothing_made_from_sources_that_have_changed(scene: Scene) -> None:
    lay(scene, "fetched by night")
    review = request_and_decide(MODEL)
    assert (review.policy_says, review.decided) == ("ask", None)
    assert aliases() == {"candidate": 2, "champion": 1}
    *_, reason = read_report(review).summary["decision"]["reasons"]
    assert reason == (
        f"remote sources have changed since version 1 became champion (data/sources of {CORPUS}): "
        f"a person decides on new data, unless models.{MODEL}.on_changed_pins in params.yaml is "
        "promote"
    )


def test_a_policy_promotes_what_was_made_from_the_same_sources(scene: Scene) -> None:
    lay(scene, "seen")
    assert request_and_decide(MODEL).policy_says == "promote"
    assert aliases() == {"candidate": 2, "champion": 2, "previous": 1}


def test_params_may_let_it(scene: Scene) -> None:
    lay(scene, "fetched by night", on_changed_pins="ask")
    before = request(MODEL)
    assert before.policy_says == "ask"
    text = paths.PARAMS.read_text().replace("on_changed_pins: ask", "on_changed_pins: promote")
    paths.PARAMS.write_text(text)
    review = request_and_decide(MODEL)
    assert review.id != before.id
    assert review.policy_says == "promote"
    assert aliases()["champion"] == 2


def test_what_a_person_has_approved_is_seen_whatever_the_tag_of_the_champion_says_later(
    scene: Scene,
) -> None:
    scene.register("poor", "seen")
    decide(request(MODEL), "approve", "to begin with")
    scene.register("good", "fetched by night")
    with opened() as client:
        night = read_version(client, MODEL, 2).tags[PINS]
        bind(client, MODEL, 1, {PINS: night})
        versions = [read_version(client, MODEL, number) for number in (2, 1)]
        assert changed_pins(read_log(client, MODEL), *versions) == [CORPUS]
    decide(request(MODEL), "approve", "good data")
    scene.register("other", "fetched by night")
    with opened() as client:
        versions = [read_version(client, MODEL, number) for number in (3, 2)]
        assert changed_pins(read_log(client, MODEL), *versions) == []


def test_a_champion_of_which_nobody_knows_the_pins_counts_as_one_of_others(
    reviewed: Scene,
) -> None:
    reviewed.register("other", "seen")
    with opened() as client:
        log = read_log(client, MODEL)
        for text in (None, "no JSON", "[]", "[" * 4000):
            if text is not None:
                bind(client, MODEL, 1, {PINS: text})
            versions = [read_version(client, MODEL, number) for number in (3, 1)]
            assert changed_pins(log, *versions) == [CORPUS]
