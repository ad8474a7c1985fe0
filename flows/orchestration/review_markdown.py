"""A review as Markdown, which terminals and Prefect's pages show.

What a reviewer needs to decide stands first; the whole page, with plots, is the report's HTML.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.promotion.comparison.page import (
    HEADLINES,
    megabytes,
    p_value,
    percent,
    points,
    worst_slice,
)
from tasks.promotion.comparison.schema import Comparison, Flip, Serving, SliceChange
from tasks.promotion.review.decisions import told
from tasks.promotion.review.evidence import CARD_PAGE, PAGE
from tasks.promotion.review.reports import REPORT, Report
from tasks.promotion.review.store import Review
from tasks.reports.markdown import escape, table
from tasks.tracking.store import pages

EXAMPLES = 3
"""Flipped records shown in each direction; the page has more."""
FEW_RECORDS = 30
"""A smaller slice says too little."""
EXCERPT = 160
"""Characters of each."""


def to_markdown(report: Report) -> str:
    """Return a review as Markdown: first what decides, then what changed."""
    linked = " · ".join(f"[{name}]({page})" for name, page in links(report.review).items())
    return "\n\n".join([title(report, "#"), linked, body(report)]) + "\n"


def to_short_markdown(report: Report) -> str:
    """Return what stands above the form, where there is little room: what decides, alone."""
    linked = " · ".join(f"[{name}]({page})" for name, page in links(report.review).items())
    comparison = report.comparison
    figures = _changed_figures(comparison) if comparison else _own_figures(report)
    gates = _gates(report.summary["missed_gates"])
    return "\n\n".join([title(report, "###"), linked, figures, gates]) + "\n"


def title(report: Report, marks: str) -> str:
    """Return the heading, what is decided or who decides, and why."""
    review, said = report.review, report.summary["decision"]
    headline = told(review) if review.decided else HEADLINES[said["decision"]][1]
    reasons = "\n".join(f"- {escape(reason)}" for reason in said["reasons"])
    policy = f"(policy `{said['policy']}`)"
    return f"{marks} {escape(review.title)}\n\n**{escape(headline)}** {policy}\n\n{reasons}"


def body(report: Report) -> str:
    """Return the figures, the gates, and with a champion the slices and flipped records."""
    comparison, gates = report.comparison, _gates(report.summary["missed_gates"])
    if comparison is None:
        return "\n\n".join([_own_figures(report), gates])
    return "\n\n".join([_figures(comparison), gates, *_changes(comparison)])


def links(review: Review) -> dict[str, str]:
    """Return the pages of a review on the MLflow server, by name; none where there is no server."""
    server = pages()
    if server is None:
        return {}
    subject = review.subject
    page = CARD_PAGE if subject.champion is None else PAGE
    run = f"{server}/#/experiments/{review.experiment_id}/runs/{review.run_id}"
    return {
        "The whole page": f"{run}/artifacts/{REPORT}/{page}",
        "The candidate": f"{server}/#/models/{subject.model}/versions/{subject.candidate}",
    }


def _figures(comparison: Comparison) -> str:
    metrics = {one["name"]: one for one in comparison["metrics"]}
    accuracy, macro_f1, ece = (metrics[name] for name in ("accuracy", "macro_f1", "ece"))
    serving = comparison["serving"]
    rows = [
        [
            name,
            percent(one["champion"]),
            percent(one["candidate"]),
            f"**{points(one['difference'])} points**",
            f"{points(one['interval'][0])} to {points(one['interval'][1])}",
        ]
        for name, one in (("Accuracy", accuracy), ("Macro F1", macro_f1))
    ]
    calibration = [f"{ece[who]:.3f}" for who in ("champion", "candidate")]
    rows.append(["Calibration error", *calibration, f"{ece['difference']:+.3f}", ""])
    costs = [_cost(serving[who]) for who in ("champion", "candidate")]
    rows.append(["Latency; size", *costs, "", ""])
    header = ["", comparison["champion"] + " (champion)", comparison["candidate"]]
    shown = table([*header, "change", "95 % interval"], rows)
    found = comparison["disagreement"]
    sign = "" if found["p_value"] < 0.0001 else "= "
    test = (
        f"Of {comparison['records']:,} test records the candidate alone is right on "
        f"{found['only_candidate_right']:,}, the champion alone on "
        f"{found['only_champion_right']:,}: **{comparison['verdict']}** (McNemar's exact test, "
        f"p {sign}{p_value(found['p_value'])}, level {comparison['alpha']:g})."
    )
    return f"{shown}\n\n{test}"


def _changed_figures(comparison: Comparison) -> str:
    names = {"accuracy": "Accuracy", "macro_f1": "Macro F1"}
    lines = [
        f"- {names[one['name']]}: {percent(one['champion'])} to **{percent(one['candidate'])}** "
        f"({points(one['difference'])} points; 95 % interval {points(one['interval'][0])} to "
        f"{points(one['interval'][1])})"
        for one in comparison["metrics"]
        if one["name"] in names
    ]
    found, worst = comparison["disagreement"], worst_slice(comparison)
    lines.append(
        f"- {found['only_candidate_right']:,} records won, {found['only_champion_right']:,} lost, "
        f"of {comparison['records']:,}"
    )
    if worst:
        lines.append(f"- Worst slice: {_slice(worst)}, {worst['verdict']}")
    costs = [_cost(comparison["serving"][who]) for who in ("champion", "candidate")]
    return "\n".join([*lines, f"- {' to '.join(costs)}"])


def _slice(one: SliceChange) -> str:
    return (
        f"{_named(one)}, {percent(one['champion'])} to {percent(one['candidate'])} "
        f"of {one['records']:,} records"
    )


def _own_figures(report: Report) -> str:
    metrics = report.summary["metrics"]
    ends = [percent(end) for end in metrics.get("intervals", {}).get("accuracy") or ()]
    interval = f" (95 % interval {' to '.join(ends)})" if ends else ""
    known = {"linear": "linear baseline", "twin": "its twin from random weights"}
    found = {name: (metrics.get("baselines") or {}).get(name) or {} for name in known}
    rivals = [
        f"- {known[name]}: {percent(one['accuracy'])}"
        for name, one in found.items()
        if one.get("accuracy") is not None
    ]
    slices = [one for one in metrics.get("slices") or () if one["records"] >= FEW_RECORDS]
    weakest = min(slices, key=lambda one: float(one["accuracy"]), default=None)
    return "\n".join(
        [
            f"- Accuracy **{percent(metrics['accuracy'])}**{interval} on "
            f"{metrics.get('n_test', 0):,} test records",
            *rivals,
            *([_weakest(weakest)] if weakest else []),
            f"- {_cost(report.summary['serving'])}",
        ]
    )


def _weakest(one: Mapping[str, Any]) -> str:
    return (
        f"- Weakest slice: {_named(one)}, {percent(one['accuracy'])} of {one['records']:,} records"
    )


def _named(one: Mapping[str, Any]) -> str:
    return f"{'class ' if one['kind'] == 'class' else ''}{escape(one['name'])}"


def _cost(serving: Serving | None) -> str:
    if serving is None:
        return "-"
    return f"{serving['median_ms']:.1f} ms a record; {megabytes(serving['size_bytes'])}"


def _gates(missed: Sequence[str]) -> str:
    if not missed:
        return "Every gate is passed."
    return "\n".join(["Gates that are missed:", "", *(f"- {escape(reason)}" for reason in missed)])


def _changes(comparison: Comparison) -> list[str]:
    worst = worst_slice(comparison)
    tested = [one for one in comparison["slices"] if one["verdict"] in ("better", "worse")]
    lines = [f"- {_slice(one)}: significantly {one['verdict']}" for one in tested]
    if worst and worst not in tested:
        lines.append(f"- Worst of the others: {_slice(worst)}")
    if not lines:
        lines = [f"- None has {comparison['minimum_records']} records, so none was tested."]
    flips = comparison["flipped"]
    return [
        "## Slices",
        "\n".join(lines),
        *_examples("Lost: the champion is right, the candidate wrong", flips["lost"]),
        *_examples("Won: the candidate is right, the champion wrong", flips["won"]),
    ]


def _examples(title: str, flips: Sequence[Flip]) -> list[str]:
    rows = [
        [
            escape(one.get("excerpt", f"image {one['id'][:12]}")[:EXCERPT]),
            *(escape(one[key]) for key in ("label", "candidate", "champion")),
        ]
        for one in flips[:EXAMPLES]
    ]
    if not rows:
        return []
    return [f"## {title}", table(["record", "true", "candidate", "champion"], rows)]
