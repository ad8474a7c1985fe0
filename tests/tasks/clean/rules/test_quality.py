"""Rules for pages of the web: texts that break one are found, and prose is left alone."""

from typing import Any

import pytest

from tasks.clean.rules.quality import fault
from tasks.clean.settings import Quality
from tasks.errors import BadSettings

WEB: dict[str, Any] = {
    "minimum_words": 50,
    "maximum_words": 100_000,
    "mean_word_length": [3.0, 10.0],
    "maximum_symbols": 0.1,
    "minimum_alphabetic": 0.8,
    "stop_words": {"minimum": 2},
    "maximum_repeated_words": 0.15,
    "maximum_frequent_pair": 0.2,
    "maximum_repeated_lines": 0.3,
    "maximum_bullet_lines": 0.9,
    "maximum_ellipsis_lines": 0.3,
    "maximum_short_lines": 0.67,
    "minimum_ended_lines": 0.12,
    "placeholders": True,
}
"""The limits of the papers."""

# Abraham Lincoln, the Gettysburg Address (1863), and other texts whose rights have ended.
PROSE = [
    "Four score and seven years ago our fathers brought forth on this continent, a new nation, "
    "conceived in Liberty, and dedicated to the proposition that all men are created equal.\n"
    "Now we are engaged in a great civil war, testing whether that nation, or any nation so "
    "conceived and so dedicated, can long endure. We are met on a great battle-field of that war.\n"
    "We have come to dedicate a portion of that field, as a final resting place for those who here "
    "gave their lives that that nation might live.",
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, "
    "must be in want of a wife.\nHowever little known the feelings or views of such a man may be "
    "on his first entering a neighbourhood, this truth is so well fixed in the minds of the "
    "surrounding families, that he is considered the rightful property of some one or other of "
    "their daughters.",
    "Call me Ishmael. Some years ago, never mind how long precisely, having little or no money in "
    "my purse, and nothing particular to interest me on shore, I thought I would sail about a "
    "little and see the watery part of the world.\nIt is a way I have of driving off the spleen "
    "and regulating the circulation.\nWhenever I find myself growing grim about the mouth, I "
    "account it high time to get to sea as soon as I can.",
]
WORDS = PROSE[0].replace("\n", " ").split()
BROKEN: dict[str, list[str]] = {
    "minimum_words": [" ".join(WORDS[:number]) for number in (1, 10, 30, 49)],
    "maximum_words": [" ".join(WORDS * 1_200), "word " * 100_001],
    "mean_word_length": [
        " ".join("ab c" for _ in WORDS), " ".join(f"{word}xxxxxxxxxxx" for word in WORDS),
    ],
    "maximum_symbols": [
        " ".join(f"#{word}" for word in WORDS), " ".join(f"{word}..." for word in WORDS),
        " ".join(f"{word}…" for word in WORDS),
    ],
    "minimum_alphabetic": [
        " ".join(f"{word} 12345" for word in WORDS), " ".join(f"{word} =====" for word in WORDS),
    ],
    "stop_words": [" ".join(f"thing{number}" for number in range(60)),
                   " ".join(word for word in WORDS * 2 if len(word) > 4)],
    "maximum_repeated_words": [" ".join(WORDS + WORDS[:40]), " ".join(WORDS * 2)],
    "maximum_frequent_pair": [" ".join(["buy cheap", *WORDS[:3]] * 20)],
    "maximum_repeated_lines": ["\n".join([*PROSE[0].splitlines(), *["The end."] * 4])],
    "maximum_bullet_lines": ["\n".join(f"- {line}" for line in PROSE[0].splitlines()),
                             "\n".join(f"• {line}" for line in PROSE[2].splitlines())],
    "maximum_ellipsis_lines": ["\n".join(f"{line} …" for line in PROSE[1].splitlines())],
    "maximum_short_lines": ["\n".join(" ".join(WORDS[at : at + 4]) for at in range(0, 80, 4))],
    "minimum_ended_lines": [
        "\n".join(f"{' '.join(WORDS[at : at + 12])} and" for at in range(0, 80, 12)),
    ],
    "placeholders": [PROSE[0] + " Lorem ipsum dolor sit amet.", PROSE[0] + " if (x) { return; }"],
}  # fmt: skip


@pytest.mark.parametrize("rule", WEB)
def test_each_rule_finds_what_breaks_it_and_leaves_prose_alone(rule: str) -> None:
    settings = Quality.parse({rule: WEB[rule]}, "clean.quality")
    found = [fault(" ".join(text.split()), text, settings) for text in BROKEN[rule]]
    assert found == [rule] * len(found)
    assert [fault(" ".join(text.split()), text, settings) for text in PROSE] == [None] * 3


def test_no_text_is_judged_by_a_rule_that_is_off() -> None:
    broken = [text for texts in BROKEN.values() for text in texts]
    assert {fault(text, text, Quality()) for text in broken} == {None}


def test_a_text_of_one_line_is_not_judged_by_its_lines() -> None:
    settings = Quality.parse(
        {"maximum_short_lines": 0.5, "minimum_ended_lines": 1.0, "maximum_bullet_lines": 0.5}, "x"
    )
    assert fault("- short", "- short", settings) is None
    assert fault("", "", Quality.parse(WEB, "x")) is None


def test_what_breaks_a_rule_is_dropped_but_not_from_an_official_test_split(clean: Any) -> None:
    found = [
        {"text": "too short", "split": "train"},
        {"text": "too short", "split": "test"},
        {"text": PROSE[0], "split": "train"},
    ]
    records, report = clean(found, quality={"minimum_words": 5, "maximum_symbols": 0.1})
    assert [record["split"] for record in records] == ["test", "train"]
    assert report["dropped"]["minimum_words"] == 1
    assert report["dropped"]["maximum_symbols"] == 0
    assert len(clean(found)[0]) == 3


def test_a_length_needs_two_numbers() -> None:
    with pytest.raises(BadSettings, match=r"clean\.quality\.mean_word_length: .*\[3, 10\]"):
        Quality.parse({"mean_word_length": [10.0, 3.0]}, "corpora.a.clean.quality")
