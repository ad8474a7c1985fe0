"""Every change of an alias is on record: made by downstream, interrupted, or made by hand."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.errors import BadInput, DownstreamError
from tasks.tracking.audit import audit
from tasks.tracking.registry import aliases
from tasks.tracking.registry.aliases import CANDIDATE, CHAMPION, PREVIOUS, current, move, notice
from tasks.tracking.store import opened

VERSIONS = (1, 2, 3, 4)


@pytest.fixture
def client(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowClient]:
    """An open store with four versions of the model ``m``."""
    monkeypatch.setattr(aliases, "SETTLING_SECONDS", 0.0)
    with opened() as client:
        client.create_registered_model("m")
        for _ in VERSIONS:
            client.create_model_version("m", source="s3://models/m")
        yield client


def approve(client: MlflowClient, to: int | None, **more: Any) -> audit.Entry | None:
    how: dict[str, Any] = {"action": "approve", "reason": "good", "evidence": {}, "actor": "ann"}
    return move(client, "m", CHAMPION, to, **{**how, **more})


def changes(client: MlflowClient) -> list[tuple[str, str | None, int | None, int | None]]:
    assert audit.problems(client, "m") == []
    return [
        (entry["action"], entry["alias"], entry["version_from"], entry["version_to"])
        for entry in audit.read(client, "m")
    ]


def test_a_move_is_recorded_and_done_once(client: MlflowClient) -> None:
    entry = approve(client, 1, evidence={"weights_sha256": "ab"})
    assert entry is not None
    assert (entry["number"], entry["evidence"]) == (1, {"weights_sha256": "ab"})
    assert approve(client, 1) is None
    assert current(client, "m") == {CHAMPION: 1}
    assert changes(client) == [("approve", CHAMPION, None, 1)]


def test_the_version_that_was_champion_becomes_previous(client: MlflowClient) -> None:
    approve(client, 1)
    approve(client, 2)
    approve(client, 1, action="rollback")
    assert current(client, "m") == {CHAMPION: 1, PREVIOUS: 2}
    assert changes(client)[1:] == [
        ("approve", CHAMPION, 1, 2),
        ("follow", PREVIOUS, None, 1),
        ("rollback", CHAMPION, 2, 1),
        ("follow", PREVIOUS, 1, 2),
    ]
    assert {entry["actor"] for entry in audit.read(client, "m")} == {"ann"}


def test_an_alias_can_be_removed(client: MlflowClient) -> None:
    move(client, "m", CANDIDATE, 1, action="register", reason="", evidence={})
    move(client, "m", CANDIDATE, None, action="withdraw", reason="", evidence={})
    assert current(client, "m") == {}
    assert changes(client)[1] == ("withdraw", CANDIDATE, 1, None)


def test_a_version_that_does_not_exist_is_refused_before_anything_is_written(
    client: MlflowClient,
) -> None:
    with pytest.raises(BadInput, match="m has no version 9 in the registry: `downstream history m"):
        approve(client, 9)
    assert changes(client) == []


def test_who_expects_another_champion_is_told(client: MlflowClient) -> None:
    approve(client, 1, expected=None)
    approve(client, 2, expected=1)
    for to in (2, 3):
        with pytest.raises(DownstreamError, match="champion of m is on version 2 by now: somebody"):
            approve(client, to, expected=1)
    assert current(client, "m")[CHAMPION] == 2


def test_a_change_made_by_hand_is_found_recorded_and_said_once(
    client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    approve(client, 1)
    client.set_registered_model_alias("m", CHAMPION, "3")
    client.set_registered_model_alias("m", "shadow", "2")
    assert audit.problems(client, "m") == [
        "m: champion is on version 3, the log has left it on version 1",
        "m: shadow is on version 2, the log has left it on version none",
    ]
    found = notice(client, "m")
    assert [(entry["alias"], entry["version_to"]) for entry in found] == [
        (CHAMPION, 3),
        ("shadow", 2),
    ]
    assert {entry["actor"] for entry in found} == {"unknown, outside downstream"}
    assert (
        "warning: champion of m was moved from version 1 to version 3 outside downstream; recorded "
        "as entry 2\n"
    ) in capsys.readouterr().err
    assert notice(client, "m") == []
    # What was champion before is the way back, whoever moved it.
    assert current(client, "m") == {CHAMPION: 3, PREVIOUS: 1, "shadow": 2}
    assert changes(client)[1:] == [
        ("found", CHAMPION, 1, 3),
        ("follow", PREVIOUS, None, 1),
        ("found", "shadow", None, 2),
    ]


def test_a_hand_that_goes_back_to_where_the_alias_was_is_found_too(client: MlflowClient) -> None:
    approve(client, 1)
    approve(client, 2)
    client.set_registered_model_alias("m", CHAMPION, "1")
    notice(client, "m")
    assert current(client, "m")[CHAMPION] == 1
    client.set_registered_model_alias("m", CHAMPION, "2")
    notice(client, "m")
    assert current(client, "m")[CHAMPION] == 2
    found = [change for change in changes(client) if change[0] == "found"]
    assert found == [("found", CHAMPION, 2, 1), ("found", CHAMPION, 1, 2)]


def test_a_version_that_was_deleted_with_its_alias_is_found(client: MlflowClient) -> None:
    approve(client, 1)
    client.delete_model_version("m", "1")
    notice(client, "m")
    assert changes(client)[1:] == [("found", CHAMPION, 1, None)]


@pytest.mark.parametrize("is_set", [False, True])
def test_a_move_that_was_killed_halfway_is_completed_and_not_called_handmade(
    client: MlflowClient, is_set: bool
) -> None:
    approve(client, 1)
    # What a kill leaves: the entry, with or without the alias, not marked as applied.
    about: dict[str, Any] = {"alias": CHAMPION, "version_from": 1, "version_to": 2}
    audit.append(client, "m", "approve", **about, actor="ann")
    if is_set:
        client.set_registered_model_alias("m", CHAMPION, "2")
    assert notice(client, "m") == []
    assert current(client, "m") == {CHAMPION: 2, PREVIOUS: 1}
    assert [action for action, *_ in changes(client)] == ["approve", "approve", "follow"]
    client.set_registered_model_alias("m", CHAMPION, "1")
    assert len(notice(client, "m")) == 1


def test_a_killed_move_to_a_version_that_is_gone_since_is_given_up(client: MlflowClient) -> None:
    approve(client, 1)
    audit.append(client, "m", "approve", alias=CHAMPION, version_from=1, version_to=2)
    client.delete_model_version("m", "2")
    notice(client, "m")
    assert current(client, "m")[CHAMPION] == 1
    assert ("found", CHAMPION, 2, 1) in changes(client)


def test_who_sets_an_alias_late_gives_way_to_the_later_entry(client: MlflowClient) -> None:
    approve(client, 1)
    late = audit.append(client, "m", "approve", alias=CHAMPION, version_from=1, version_to=2)
    approve(client, 3)
    aliases._apply(client, "m", late)
    assert current(client, "m")[CHAMPION] == 3
    assert notice(client, "m") == []


def test_whatever_happens_the_log_and_the_aliases_agree_afterwards(client: MlflowClient) -> None:
    random = Random(0)  # noqa: S311 - no secret
    for _ in range(10):
        alias, version = random.choice([CANDIDATE, CHAMPION, PREVIOUS]), random.choice(VERSIONS)
        kind = random.choice(["move", "hand", "remove", "kill"])
        if kind == "move":
            move(client, "m", alias, version, action="approve", reason="", evidence={})
        elif kind == "hand":
            client.set_registered_model_alias("m", alias, str(version))
        elif kind == "remove":
            client.delete_registered_model_alias("m", alias)
        else:
            notice(client, "m")
            before = current(client, "m").get(alias)
            about: dict[str, Any] = {"alias": alias, "version_from": before, "version_to": version}
            audit.append(client, "m", "approve", **about)
    notice(client, "m")
    assert audit.problems(client, "m") == []
    assert audit.load(client, "m").aliases() == current(client, "m")
