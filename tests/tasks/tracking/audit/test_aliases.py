"""Every change of an alias is on record: made by downstream, interrupted, or made by hand."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.errors import BadInput, DownstreamError
from tasks.tracking.audit import aliases
from tasks.tracking.audit.aliases import CANDIDATE, CHAMPION, PREVIOUS, move, settle
from tasks.tracking.audit.log import FOUND, Entry, aliases_of, read_log
from tasks.tracking.audit.writer import Change, append
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


def approve(
    client: MlflowClient,
    to: int | None,
    action: str = "approve",
    evidence: dict[str, str] | None = None,
    **expected: Any,
) -> Entry | None:
    change = Change(action, CHAMPION, None, to, "good", evidence or {}, "ann")
    return move(client, "m", change, **expected)


def found_by_hand(client: MlflowClient) -> list[tuple[str | None, int | None]]:
    """Return what settling records as done by hand: alias and version."""
    before = read_log(client, "m").last_number
    entries = settle(client, "m").entries[before:]
    return [(entry["alias"], entry["version_to"]) for entry in entries if entry["action"] == FOUND]


def changes(client: MlflowClient) -> list[tuple[str, str | None, int | None, int | None]]:
    log = read_log(client, "m")
    assert log.problems() == []
    return [
        (entry["action"], entry["alias"], entry["version_from"], entry["version_to"])
        for entry in log.entries
    ]


def test_a_move_is_recorded_and_done_once(client: MlflowClient) -> None:
    entry = approve(client, 1, evidence={"weights_sha256": "ab"})
    assert entry is not None
    assert (entry["number"], entry["evidence"]) == (1, {"weights_sha256": "ab"})
    assert approve(client, 1) is None
    assert aliases_of(client, "m") == {CHAMPION: 1}
    assert changes(client) == [("approve", CHAMPION, None, 1)]


def test_the_version_that_was_champion_becomes_previous(client: MlflowClient) -> None:
    approve(client, 1)
    approve(client, 2)
    approve(client, 1, action="rollback")
    assert aliases_of(client, "m") == {CHAMPION: 1, PREVIOUS: 2}
    assert changes(client)[1:] == [
        ("approve", CHAMPION, 1, 2),
        ("follow", PREVIOUS, None, 1),
        ("rollback", CHAMPION, 2, 1),
        ("follow", PREVIOUS, 1, 2),
    ]
    assert {entry["actor"] for entry in read_log(client, "m").entries} == {"ann"}


def test_an_alias_can_be_removed(client: MlflowClient) -> None:
    move(client, "m", Change("register", CANDIDATE, version_to=1))
    move(client, "m", Change("withdraw", CANDIDATE))
    assert aliases_of(client, "m") == {}
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
    assert aliases_of(client, "m")[CHAMPION] == 2


def test_a_change_made_by_hand_is_found_recorded_and_said_once(
    client: MlflowClient, capsys: pytest.CaptureFixture[str]
) -> None:
    approve(client, 1)
    client.set_registered_model_alias("m", CHAMPION, "3")
    client.set_registered_model_alias("m", "shadow", "2")
    assert read_log(client, "m").problems() == [
        "m: champion is on version 3, the log has left it on version 1",
        "m: shadow is on version 2, the log has left it on version none",
    ]
    assert found_by_hand(client) == [(CHAMPION, 3), ("shadow", 2)]
    found = [entry for entry in read_log(client, "m").entries if entry["action"] == FOUND]
    assert {entry["actor"] for entry in found} == {"unknown, outside downstream"}
    assert (
        "warning: champion of m was moved from version 1 to version 3 outside downstream; recorded "
        "as entry 2\n"
    ) in capsys.readouterr().err
    assert found_by_hand(client) == []
    # What was champion before is the way back, whoever moved it.
    assert aliases_of(client, "m") == {CHAMPION: 3, PREVIOUS: 1, "shadow": 2}
    assert changes(client)[1:] == [
        ("found", CHAMPION, 1, 3),
        ("follow", PREVIOUS, None, 1),
        ("found", "shadow", None, 2),
    ]


def test_a_hand_that_goes_back_to_where_the_alias_was_is_found_too(client: MlflowClient) -> None:
    approve(client, 1)
    approve(client, 2)
    client.set_registered_model_alias("m", CHAMPION, "1")
    settle(client, "m")
    assert aliases_of(client, "m")[CHAMPION] == 1
    client.set_registered_model_alias("m", CHAMPION, "2")
    settle(client, "m")
    assert aliases_of(client, "m")[CHAMPION] == 2
    found = [change for change in changes(client) if change[0] == "found"]
    assert found == [("found", CHAMPION, 2, 1), ("found", CHAMPION, 1, 2)]


def test_a_version_that_was_deleted_with_its_alias_is_found(client: MlflowClient) -> None:
    approve(client, 1)
    client.delete_model_version("m", "1")
    settle(client, "m")
    assert changes(client)[1:] == [("found", CHAMPION, 1, None)]


@pytest.mark.parametrize("is_set", [False, True])
def test_a_move_that_was_killed_halfway_is_completed_and_not_called_handmade(
    client: MlflowClient, is_set: bool
) -> None:
    approve(client, 1)
    # What a kill leaves: the entry, with or without the alias, not marked as applied.
    append(client, "m", Change("approve", CHAMPION, 1, 2, actor="ann"))
    if is_set:
        client.set_registered_model_alias("m", CHAMPION, "2")
    assert found_by_hand(client) == []
    assert aliases_of(client, "m") == {CHAMPION: 2, PREVIOUS: 1}
    assert [action for action, *_ in changes(client)] == ["approve", "approve", "follow"]
    client.set_registered_model_alias("m", CHAMPION, "1")
    assert len(found_by_hand(client)) == 1


def test_a_killed_move_to_a_version_that_is_gone_since_is_given_up(client: MlflowClient) -> None:
    approve(client, 1)
    append(client, "m", Change("approve", CHAMPION, 1, 2))
    client.delete_model_version("m", "2")
    settle(client, "m")
    assert aliases_of(client, "m")[CHAMPION] == 1
    assert ("found", CHAMPION, 2, 1) in changes(client)


def test_who_sets_an_alias_late_gives_way_to_the_later_entry(client: MlflowClient) -> None:
    approve(client, 1)
    late = append(client, "m", Change("approve", CHAMPION, 1, 2))
    approve(client, 3)
    aliases._apply(client, late)
    assert aliases_of(client, "m")[CHAMPION] == 3
    assert found_by_hand(client) == []


def test_whatever_happens_the_log_and_the_aliases_agree_afterwards(client: MlflowClient) -> None:
    random = Random(0)  # noqa: S311 - no secret
    for _ in range(10):
        alias, version = random.choice([CANDIDATE, CHAMPION, PREVIOUS]), random.choice(VERSIONS)
        kind = random.choice(["move", "hand", "remove", "kill"])
        if kind == "move":
            move(client, "m", Change("approve", alias, version_to=version))
        elif kind == "hand":
            client.set_registered_model_alias("m", alias, str(version))
        elif kind == "remove":
            client.delete_registered_model_alias("m", alias)
        else:
            settle(client, "m")
            before = aliases_of(client, "m").get(alias)
            append(client, "m", Change("approve", alias, before, version))
    settle(client, "m")
    log = read_log(client, "m")
    assert log.problems() == []
    assert log.logged_aliases() == log.aliases
