"""Who decides is a name, and nobody's name is that of a policy."""

import pytest

from tasks.errors import BadInput
from tasks.machine.actor import is_person
from tasks.promotion.review.decisions import BadAnswer, decide
from tasks.promotion.review.store import latest
from tasks.promotion.rollback import roll_back
from tasks.tracking.audit.log import aliases_of
from tasks.tracking.store import opened
from tests.tasks.promotion.scene import MODEL, Scene

FALSE_NAMES = [
    "policy auto_if_better",
    " Policy\tmanual",
    "POLICY: auto_if_better",
    '"policy" auto_if_better',
    "_policy auto_if_better",
    "ｐｏｌｉｃｙ auto_if_better",  # noqa: RUF001 - wide letters, which look alike
    "po\u00adlicy auto_if_better",
    "\u200bpolicy",
    "unknown, outside downstream",
]


@pytest.mark.parametrize("name", FALSE_NAMES)
def test_nobody_decides_in_the_name_of_a_policy(
    reviewed: Scene, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    review = latest(MODEL)
    with pytest.raises(BadAnswer, match="give your own name"):
        decide(review, "approve", "Fine.", name)
    monkeypatch.setenv("DOWNSTREAM_REVIEWER", name)
    with pytest.raises(BadInput, match="give your own name"):
        decide(review, "approve", "Fine.")
    with opened() as client:
        assert aliases_of(client, MODEL) == {"candidate": 2, "champion": 1}


def test_nobody_rolls_back_in_the_name_of_a_policy(
    reviewed: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(latest(MODEL), "approve", "Better.", "Ann")
    monkeypatch.setenv("DOWNSTREAM_REVIEWER", "policy auto_if_better")
    with pytest.raises(BadInput, match="give your own name"):
        roll_back(MODEL, 1, "It broke")


@pytest.mark.parametrize("name", ["Ann", "Ann of Policy", "Policya", "unknown", "山田", "", "…"])
def test_a_person_may_have_any_other_name(name: str) -> None:
    assert is_person(name)
