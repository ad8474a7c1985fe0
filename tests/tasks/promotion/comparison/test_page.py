"""The page shows what decides first, fetches nothing, and takes no text for markup."""

import base64
import copy
import io
import re
from html.parser import HTMLParser

import pytest
from PIL import Image

from tasks.metrics.predictions import Labelled, Predictions
from tasks.metrics.scores import Scored
from tasks.promotion.comparison.comparison import Side, compare
from tasks.promotion.comparison.page import (
    comparison_page,
    reliability,
    slice_plot,
    worst_slice,
)
from tasks.promotion.comparison.schema import Comparison
from tasks.promotion.policy import apply_policy
from tasks.promotion.settings import PromotionSettings

SETTINGS = PromotionSettings.parse(
    {"review": {"policy": "auto_if_better", "bootstrap_samples": 200, "shown_examples": 3}}, "m"
)
EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def comparison(strong: Side, weak: Side, digits: Labelled) -> Comparison:
    measured = Side(
        strong.name,
        strong.predictions,
        {"median_ms": 3.141, "p95_ms": 6.5, "size_bytes": 4_200_000},
    )
    return compare("digits", measured, weak, digits, SETTINGS)


def _page(comparison: Comparison) -> str:
    missed = comparison["missed_gates"]
    return comparison_page(comparison, apply_policy(comparison, missed, SETTINGS))


class _Tags(HTMLParser):
    """Every tag that opens, its attributes, and the text outside of the style sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.scopes: list[str | None] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag == "th":
            self.scopes.append(dict(attrs).get("scope"))

    def handle_data(self, data: str) -> None:
        self.text += data


def test_what_decides_stands_before_the_first_section(comparison: Comparison) -> None:
    page = _page(comparison).partition("<body>")[2]
    first = " ".join(_Tags(page.partition("<h2>")[0]).text.split())
    assert "digits: version 2 against version 1" in first
    assert "The policy promotes the candidate (policy auto_if_better)" in first
    assert re.search(r"Accuracy, candidate less champion\+\d+\.\d points", first)
    assert re.search(r"95 % interval \+\d+\.\d to \+\d+\.\d; \d\d\.\d % to \d\d\.\d %", first)
    assert "McNemar's exact testp < 0.0001better (alpha 0.05)" in first
    assert "Gatesnone missed" in first
    assert "Worst slice" in first


def test_nothing_is_fetched_and_no_script_runs(comparison: Comparison) -> None:
    page = _page(comparison)
    tags = _Tags(page)
    assert all(address.startswith("data:image/png;base64,") for address in tags.addresses)
    assert len(tags.addresses) == 2 + 6
    assert not {"script", "link", "iframe", "object"} & set(tags.tags)
    assert "default-src 'none'" in page
    assert "http" not in page.replace("http-equiv", "")


def test_every_header_cell_says_what_it_heads(comparison: Comparison) -> None:
    scopes = _Tags(_page(comparison)).scopes
    assert len(scopes) > 30
    assert set(scopes) == {"col", "row"}


def test_latency_and_size_are_shown_where_they_were_measured(comparison: Comparison) -> None:
    text = _Tags(_page(comparison)).text
    assert "candidate3.14 ms6.50 ms4.2 MB" in text
    assert "championnot measured" in text


def test_missed_gates_are_counted_on_the_first_screen_and_listed(comparison: Comparison) -> None:
    missed = copy.deepcopy(comparison)
    missed["missed_gates"] = ["accuracy is 0.9, below the floor of 0.95", "ece is too high"]
    page = _page(missed)
    assert "The candidate is rejected" in page
    assert "<b>2 missed</b>" in page
    assert page.count("ece is too high") == 2


def test_a_manual_policy_asks_a_person(comparison: Comparison) -> None:
    page = comparison_page(comparison, apply_policy(comparison, [], PromotionSettings()))
    assert "<strong>A person decides</strong>" in page


def test_text_of_a_corpus_is_never_markup(digits: Labelled) -> None:
    labels = [EVIL, 'b"<img src=x onerror=alert(1)>']
    texts = [f"{EVIL} {'</table>' * 3} {number}" for number in range(80)]
    ids = [f"<b>{number}" for number in range(80)]
    test = Labelled("text", ids, texts, [labels[n % 2] for n in range(80)], 0)
    true = [n % 2 for n in range(80)]
    sides = [
        Side(name, Predictions(ids, labels, _scored(true, predicted)))
        for name, predicted in (
            (f"new {EVIL}", [1 - n if k < 5 else n for k, n in enumerate(true)]),
            ("old", [1 - n if 5 <= k < 9 else n for k, n in enumerate(true)]),
        )
    ]
    found = compare(f"m {EVIL}", *sides, test, SETTINGS, [f"gate {EVIL}"])
    page = _page(found)
    assert not {"script", "b<", "x"} & set(_Tags(page).tags)
    assert "<script" not in page
    assert "onerror=alert(1)>" not in page
    assert page.count("&lt;script&gt;") >= 10
    tags = _Tags(page)
    assert tags.tags.count("table") == page.count("</table>")
    assert all(address.startswith("data:image/png;base64,") for address in tags.addresses)


def _scored(true: list[int], predicted: list[int]) -> Scored:
    import numpy as np

    return Scored(np.array(true), np.array(predicted), np.eye(2)[predicted])


def test_equal_comparisons_give_equal_pages(comparison: Comparison) -> None:
    assert _page(comparison) == _page(copy.deepcopy(comparison))


def test_the_worst_slice_is_a_significant_one_if_there_is_any(comparison: Comparison) -> None:
    one, two, three = (copy.deepcopy(comparison["slices"][n]) for n in range(3))
    one.update(difference=-0.1, verdict="no significant change", p_value=0.5)
    two.update(difference=-0.05, verdict="worse", p_value=0.001)
    three.update(difference=-0.5, verdict="too few records", p_value=None)
    few = copy.deepcopy(comparison)
    few["slices"] = [one, two, three]
    assert worst_slice(few) == two
    few["slices"] = [one, three]
    assert worst_slice(few) == one
    few["slices"] = [three]
    assert worst_slice(few) is None
    assert "no slice has 30 records" in _page(few)


def _size(address: str) -> tuple[int, int]:
    png = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(png)) as image:
        return image.size


def test_both_plots_can_be_read(comparison: Comparison) -> None:
    assert min(_size(reliability(comparison))) > 400
    assert min(_size(slice_plot(comparison))) > 400
    assert reliability(comparison) == reliability(comparison)


def test_many_slices_are_cut_to_the_worst_and_none_leave_an_empty_plot(
    comparison: Comparison,
) -> None:
    many: Comparison = {**comparison, "slices": comparison["slices"] * 30}
    assert _size(slice_plot(many))[1] < 1600
    assert _size(slice_plot({**comparison, "slices": []}))[1] > 100
