"""Lines that say nothing about what a text is about, planted between lines that do."""

import csv
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tasks.clean.rules.boilerplate import is_boilerplate, without_boilerplate

SAMPLE = Path(__file__).parents[3] / "data" / "reuters-sample.csv"
PLANTED = [
    "Please enable JavaScript to view this page.", "JavaScript is required for this site.",
    "This website uses cookies to improve your experience.", "Accept all cookies",
    "Cookie policy", "Terms of Service | Privacy Policy", "Privacy Policy", "Terms and conditions",
    "All rights reserved.", "© 2019 Example Media Ltd.", "Copyright 2004 The Example Company",
    "(c) 1999 by the author", "Click here to unsubscribe", "Subscribe to our newsletter",
    "Sign up for our daily digest", "Follow us on Twitter", "Share this article on Facebook",
    "Skip to main content", "Back to top", "Read more ...", "Log in", "» Home",
    "Sent from my iPhone", "Sent from my Samsung Galaxy",
    "This e-mail is confidential and may be privileged.", "Lorem ipsum dolor sit amet",
]  # fmt: skip
OTHER = [
    "He ate two cookies and drank a glass of milk.", "She writes JavaScript for a living.",
    "The privacy of its customers was at stake.", "They went home.", "In terms of profit, it grew.",
    "The right to vote is reserved to members.", "Follow the road to the south.",
    "The copyright law was changed by parliament.", "I read more than a hundred books a year.",
    "The message was intended for the board.", "He signed in the presence of two witnesses.",
    "Shares rose 2 % on Monday.", "The iPhone was sent back to the shop.",
]  # fmt: skip


def test_planted_lines_are_removed_and_no_others() -> None:
    with SAMPLE.open(encoding="utf-8", newline="") as file:
        real = [row["text"][:150] for row in csv.DictReader(file)]
    found = sum(map(is_boilerplate, PLANTED))
    wrong = sum(map(is_boilerplate, [*real, *OTHER]))
    assert found / len(PLANTED) >= 0.95  # recall
    assert found / (found + wrong) >= 0.95  # precision


def test_a_text_keeps_its_other_lines_and_never_all_is_taken() -> None:
    assert without_boilerplate("Oil rose.\nAll rights reserved.\nSo did gas.") == (
        "Oil rose.\nSo did gas."
    )
    assert without_boilerplate("All rights reserved.") == "All rights reserved."
    assert without_boilerplate("Home\n\nLog in") == "Home\n\nLog in"
    long = f"{'word ' * 40}all rights reserved"
    assert without_boilerplate(f"a\n{long}") == f"a\n{long}"


@given(st.lists(st.sampled_from([*PLANTED, *OTHER, ""]), max_size=6).map("\n".join))
def test_what_is_left_stays(text: str) -> None:
    once = without_boilerplate(text)
    assert without_boilerplate(once) == once


def test_changed_texts_are_counted(clean: Any) -> None:
    found = [{"text": "Oil rose.\nSent from my iPhone"}, {"text": "Gas fell."}]
    records, report = clean(found, boilerplate="remove")
    assert [record["text"] for record in records] == ["Oil rose.", "Gas fell."]
    assert report["changed"] == {"boilerplate": 1}
    assert "changed" not in clean(found)[1]
    assert "changed" not in clean(found, boilerplate="keep")[1]
