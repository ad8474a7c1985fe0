"""Records inside one JSON or YAML value, and what is refused."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import BadInput

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus

# As quran-json and chatterbot-corpus have them.
VERSES = [
    {"id": 1, "name": "one", "verses": [{"id": 1, "text": "a", "translation": "A"}]},
    {"id": 2, "name": "two", "verses": [{"id": 1, "text": "b", "translation": "B"}]},
]
CONVERSATIONS = """
categories:
- AI
conversations:
- - Are you sentient?
  - Sort of.
- - How many?
  - 42
  - Thank you.
- - Nobody answers this.
- Nor this.
- - "yes"
  - no
"""
PAIRS = {"label": "", "text": "0", "targets": {"response": "1"}}


def collect(corpus: "Corpus", **settings: Any) -> list[tuple[Any, ...]]:
    found = corpus.collect({"kind": "files", **settings})
    return [(one["text"], one["label"], one.get("response"), one["row"]) for one in found]


def fault(corpus: "Corpus", **settings: Any) -> str:
    with pytest.raises(BadInput) as caught:
        collect(corpus, **settings)
    return str(caught.value)


def test_records_lie_where_the_setting_says(corpus: "Corpus") -> None:
    corpus.write("a.json", json.dumps(VERSES))
    found = collect(corpus, records="*.verses.*", label="id", targets={"response": "translation"})
    assert found == [("a", "1", "A", 1), ("b", "1", "B", 2)]
    corpus.write("a.json", json.dumps([{"text": "a", "label": "x"}, {"text": "b", "label": None}]))
    assert collect(corpus) == [("a", "x", None, 1), ("b", None, None, 2)]


def test_a_conversations_turns_are_columns_and_short_ones_are_counted(
    corpus: "Corpus", capsys: pytest.CaptureFixture[str]
) -> None:
    corpus.write("ai.yml", CONVERSATIONS)
    assert collect(corpus, records="conversations.*", **PAIRS) == [
        ("Are you sentient?", None, "Sort of.", 1),
        ("How many?", None, "42", 2),
        ("yes", None, "no", 3),
    ]
    assert "ai.yml: 2 of 5 lists are too short, and left out" in capsys.readouterr().err


def test_what_is_no_list_of_records_is_refused_in_one_line(corpus: "Corpus") -> None:
    corpus.write("a.json", json.dumps({"data": VERSES, "n": 3}))
    assert fault(corpus, records="verses.*") == (
        "a.json: nothing at 'verses' (setting records), found keys data, n: name the keys down to "
        "the records, with * for each item: data.*"
    )
    assert "nothing at 'n.*' (setting records), found none" in fault(corpus, records="n.*")
    assert "a.json: record 1 (setting records: n): expected an object or a list, found 3" in fault(
        corpus, records="n"
    )
    assert "a.json: record 1 has no column 'label' (setting label)" in fault(
        corpus, records="data.*", text="name"
    )

    corpus.write("a.json", "text,label\na,x\n")
    assert fault(corpus, records="data.*", format="csv") == (
        "a.json: records (data.*) is of json and yaml: drop it, or narrow the path"
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[1", "a.json is not JSON: "),
        ("a.json", "[" * 100_000, "a.json is not JSON: "),
        ("a.json", '[{"text": "a", "text": "b"}]', "a key stands twice in an object"),
        ("a.json", b'["\xff"]', "a.json: byte 3 is not UTF-8: save the file as UTF-8"),
        ("a.yml", "a: [1", "a.yml is not YAML: "),
        ("a.yml", "{a: 1, a: 2}", "a key stands twice: leave one of them"),
        ("a.yml", "[" * 100_000, "a.yml has values over 100 deep, which are not read"),
        ("a.yml", "a: &x [1]\nb: *x", "a.yml has aliases, which are not read: write them out"),
    ],
    ids=[
        "json-unclosed",
        "json-deep",
        "json-key-twice",
        "json-not-utf-8",
        "yaml-unclosed",
        "yaml-key-twice",
        "yaml-deep",
        "yaml-aliases",
    ],
)
def test_what_is_no_json_or_yaml_is_refused_in_one_line(
    corpus: "Corpus", name: str, content: str | bytes, message: str
) -> None:
    corpus.write(name, content)
    told = fault(corpus)
    assert message in told
    assert "\n" not in told
