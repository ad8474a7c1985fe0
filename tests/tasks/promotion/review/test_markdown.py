"""A review as Markdown: what decides stands first, and a text of a corpus is no markup."""

import hashlib
from typing import Any, Literal

import numpy as np
import pytest

from tasks.metrics.predictions import Labelled, Predictions
from tasks.metrics.scores import Scored
from tasks.promotion.comparison.comparison import Side, compare
from tasks.promotion.comparison.schema import Serving
from tasks.promotion.policy import apply_policy
from tasks.promotion.review.markdown import links, to_markdown
from tasks.promotion.review.report import Report, Summary
from tasks.promotion.review.store import Review
from tasks.promotion.review.subject import Subject
from tasks.promotion.settings import PromotionSettings
from tasks.reports.page import escape_markdown

SERVING: Serving = {"median_ms": 1.5, "p95_ms": 2.5, "size_bytes": 4_200_000}
TEXTS = [f"<img src=x> | [a](b) {number}" for number in range(80)]
LABELS = ["grain", "trade"]


def _side(name: str, test: Labelled, num_right: int) -> Side:
    """Answer so many of the records right, the first ones."""
    true = np.array([LABELS.index(label) for label in test.labels])
    predicted = np.where(np.arange(len(true)) < num_right, true, 1 - true)
    scores = np.where(np.arange(2) == predicted[:, None], 0.9, 0.1)
    return Side(name, Predictions(test.ids, LABELS, Scored(true, predicted, scores)), SERVING)


def make_report(champion: int | None = 1, decided: dict[str, str] | None = None) -> Report:
    """Return the report of a candidate with 75 of 80 right, against a champion with 50."""
    subject = Subject("topics", 2, champion, 1, "split", "code", "settings")
    review = Review(subject, "run7", "3", "2026-01-01T00:00:00+00:00", "ask", {}, decided)
    ids = [hashlib.sha256(text.encode()).hexdigest() for text in TEXTS]
    test = Labelled("text", ids, TEXTS, [LABELS[n % 2] for n in range(len(TEXTS))], 0)
    settings = PromotionSettings.model_validate({"review": {"bootstrap_samples": 100}})
    comparison = None
    if champion is not None:
        ours, theirs = _side("version 2", test, 75), _side("version 1", test, 50)
        comparison = compare("topics", ours, theirs, test, settings)
    metrics: dict[str, Any] = {
        "accuracy": 0.9375,
        "n_test": 80,
        "intervals": {"accuracy": [0.9, 0.97]},
        "baselines": {
            "linear": {"accuracy": 0.8},
            "nb_svm": {"accuracy": 0.7},
            "twin": {"accuracy": None},
        },
        "slices": [{"kind": "class", "name": "trade", "records": 40, "accuracy": 0.9}],
    }
    summary: Summary = {
        "decision": apply_policy(comparison, [], settings),
        "missed_gates": [],
        "serving": SERVING,
        "metrics": metrics,
    }
    return Report(review, summary, comparison, "<!doctype html>")


def test_the_figures_of_both_stand_side_by_side() -> None:
    page = to_markdown(make_report())
    assert page.startswith("# topics version 2 against 1\n\n**A person decides** (policy `manual`)")
    for line in (
        "- accuracy differs by +31.25 points: significantly better (McNemar's exact test, ",
        "|  | version 1 (champion) | version 2 | change | 95 % interval |",
        "| Accuracy | 62.5 % | 93.8 % | **+31.2 points** | ",
        "| Latency; size | 1.5 ms a record; 4.2 MB | 1.5 ms a record; 4.2 MB |  |  |",
        "Of 80 test records the candidate alone is right on 25, the champion alone on 0: ",
        "Every gate is passed.",
        "- class grain, 62.5 % to 95.0 % of 40 records: significantly better",
        "## Won: the candidate is right, the champion wrong",
    ):
        assert line in page
    assert "## Lost" not in page


def test_texts_of_a_corpus_are_shown_as_they_are() -> None:
    page = to_markdown(make_report())
    assert "| \\<img src=x\\> \\| \\[a\\](b) " in page
    assert "<img" not in page.replace("\\<img", "")


def test_above_the_form_stands_what_fits_there() -> None:
    short = to_markdown(make_report(), "short")
    assert short.startswith("### topics version 2 against 1\n")
    assert "- Accuracy: 62.5 % to **93.8 %** (+31.2 points; 95 % interval " in short
    assert "- 25 records won, 0 lost, of 80\n" in short
    assert "|" not in short
    assert short.count("\n") < 22


def test_the_first_candidate_stands_beside_its_baselines() -> None:
    page = to_markdown(make_report(champion=None))
    assert page.startswith("# topics version 2 as the first champion\n")
    for line in (
        "- Accuracy **93.8 %** (95 % interval 90.0 % to 97.0 %) on 80 test records\n",
        "- linear baseline: 80.0 %\n- NB-SVM baseline: 70.0 %\n"
        "- Weakest slice: class trade, 90.0 % of 40 records\n",
        "- 1.5 ms a record; 4.2 MB\n",
    ):
        assert line in page


def test_what_was_decided_is_the_headline() -> None:
    decided = {"decision": "approve", "reviewer": "Ann", "comment": "Good.", "time": "now"}
    assert "\n\n**approved by Ann at now: Good.** (policy" in to_markdown(make_report(1, decided))


def test_the_links_lead_to_the_server_and_hold_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    report = make_report()
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert links(report.review) == {}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://ann:secret@127.0.0.1:5000/")
    assert links(report.review) == {
        "The whole page": "http://127.0.0.1:5000/#/experiments/3/runs/run7/artifacts/review/"
        "comparison.html",
        "The candidate": "http://127.0.0.1:5000/#/models/topics/versions/2",
    }
    assert "secret" not in to_markdown(report)


@pytest.mark.parametrize("form", ["page", "short", "terminal"])
@pytest.mark.parametrize("champion", [None, 1])
def test_what_was_accepted_under_changed_code_is_said(
    form: Literal["page", "short", "terminal"], champion: int | None
) -> None:
    report = make_report(champion)
    assert "accepted" not in to_markdown(report, form)
    line = "pretrain@bert: a short run <gave> the same bytes (cpu)"
    report.summary["accepted"] = [line]
    page = to_markdown(report, form)
    assert "Not made again when code changed, but accepted:\n\n" in page
    assert f"- {escape_markdown(line)}\n" in page
    assert " <gave>" not in page
