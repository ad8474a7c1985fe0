"""What a version is made of, where the registry's own tests do not look."""

from pathlib import Path

from tasks.tracking.audit.log import aliases_of
from tasks.tracking.registry.version import read_version
from tasks.tracking.registry.version_writer import (
    LONGEST_DESCRIPTION,
    _description,
    find_version,
    set_candidate,
)
from tasks.tracking.store import opened


def test_an_unknown_model_has_no_version_and_no_candidate(workspace: Path) -> None:
    with opened() as client:
        assert find_version(client, "nobody", "abc") is None
        assert aliases_of(client, "nobody") == {}


def test_the_candidate_is_one_version_at_a_time(workspace: Path) -> None:
    with opened() as client:
        client.create_registered_model("topics")
        for number in (1, 2):
            client.create_model_version("topics", source=f"s3://bucket/{number}")
            set_candidate(client, read_version(client, "topics", number))
            assert aliases_of(client, "topics") == {"candidate": number}
        set_candidate(client, read_version(client, "topics", 1))
        assert client.get_registered_model("topics").aliases == {"candidate": 1}


def test_versions_elsewhere_are_taken_to_have_their_files(workspace: Path) -> None:
    tags = {"downstream.content_hash": "abc"}
    with opened() as client:
        client.create_registered_model("topics")
        client.create_model_version("topics", source="s3://bucket/1", tags=tags)
        assert find_version(client, "topics", "abc") == read_version(client, "topics", 1)
        assert find_version(client, "topics", "def") is None


def test_the_description_is_the_cards_beginning_in_whole_sections(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    assert _description(card) == ""
    card.write_text(f"# model\n\n## One\n\n{'a' * 3000}\n\n## Two\n\n{'b' * 3000}\n")
    assert _description(card) == f"# model\n\n## One\n\n{'a' * 3000}\n"
    card.write_text(f"{'a' * LONGEST_DESCRIPTION}b")
    assert _description(card) == ""
