"""The comparison as one HTML file that a reviewer can open, mail or keep: nothing is fetched.

``page.html.j2`` is the page, ``page.verdict.html.j2`` its first lines: what the policy says.
"""

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Any

from tasks.promotion.comparison.schema import Bin, Comparison, Decision, SliceChange
from tasks.reports.drawing import ACCENT, INK, OTHER, data_uri, figure, plain_names
from tasks.reports.page import render

METRICS = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "ece": "Expected calibration error (lower is better)",
}
HEADLINES = {
    "promote": ("good", "The policy promotes the candidate"),
    "reject": ("bad", "The candidate is rejected"),
    "ask": ("", "A person decides"),
}
MOST_DRAWN_SLICES = 40


def comparison_page(
    comparison: Comparison, decision: Decision, exported: Sequence[Mapping[str, Any]] = ()
) -> str:
    """Return the page; equal comparisons give equal pages.

    Args:
        comparison: candidate and champion.
        decision: what the policy says.
        exported: how the candidate does as it is exported, once a precision.
    """
    if "decides" in comparison:
        return render(
            "tasks/promotion/comparison/page.headed.html.j2",
            comparison=comparison,
            exported=exported,
            worst=worst_slice(comparison),
            slices=sorted(
                comparison["slices"], key=lambda it: (it["p_value"] is None, it["difference"])
            ),
            **verdict(decision),
        )
    return render(
        "tasks/promotion/comparison/page.html.j2",
        comparison=comparison,
        exported=exported,
        metrics={metric["name"]: metric for metric in comparison["metrics"]},
        metric_names=METRICS,
        worst=worst_slice(comparison),
        slices=sorted(
            comparison["slices"], key=lambda it: (it["p_value"] is None, it["difference"])
        ),
        reliability=reliability(comparison),
        slice_plot=slice_plot(comparison),
        **verdict(decision),
    )


def verdict(decision: Decision, note: str = "") -> dict[str, Any]:
    """Return what the template of the verdict names."""
    manner, headline = HEADLINES[decision["decision"]]
    return {"decision": decision, "manner": manner, "headline": headline, "note": note}


def worst_slice(comparison: Comparison) -> SliceChange | None:
    """Return the tested slice that loses most, a significant loss before any other."""
    tested = _tested(comparison)
    return min(tested, key=lambda it: (it["verdict"] != "worse", it["difference"]), default=None)


def _tested(comparison: Comparison) -> list[SliceChange]:
    return [change for change in comparison["slices"] if change["p_value"] is not None]


def reliability(comparison: Comparison) -> str:
    """Draw the calibration of both models, as a data address."""
    file = BytesIO()
    with figure(file, 5.4, 4.4) as axes:
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, label="perfect")
        _draw_bins(axes, comparison["calibration"]["champion"], "champion", OTHER, "s")
        _draw_bins(axes, comparison["calibration"]["candidate"], "candidate", ACCENT, "o")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.05)
        axes.set_xlabel("confidence (score of the predicted class)")
        axes.set_ylabel("accuracy")
        axes.legend(loc="lower right", fontsize=9)
    return data_uri(file.getvalue())


def _draw_bins(axes: Any, bins: Sequence[Bin], name: str, colour: str, marker: str) -> None:
    x, y = [filled["confidence"] for filled in bins], [filled["accuracy"] for filled in bins]
    largest = max((filled["records"] for filled in bins), default=1)
    sizes = [12 + 90 * filled["records"] / largest for filled in bins]
    axes.plot(x, y, color=colour, linewidth=1)
    axes.scatter(x, y, s=sizes, color=colour, marker=marker, label=f"{name} (size: records)")


def slice_plot(comparison: Comparison) -> str:
    """Draw the change of each tested slice with its interval, worst first, as a data address."""
    shown = sorted(_tested(comparison), key=lambda change: change["difference"])[:MOST_DRAWN_SLICES]
    file = BytesIO()
    with figure(file, 7.0, 1.2 + 0.28 * max(len(shown), 2)) as axes:
        axes.axvline(0, color=INK, linewidth=1)
        for row, (change, name) in enumerate(zip(shown, _row_names(shown), strict=True)):
            colour = {"better": ACCENT, "worse": OTHER}.get(change["verdict"], "#8a8f98")
            axes.plot([100 * end for end in change["interval"]], [row, row], color=colour)
            axes.plot(100 * change["difference"], row, marker="o", color=colour)
            axes.text(1.01, row, name, transform=axes.get_yaxis_transform(), va="center", size=9)
        axes.set_yticks([])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel("change of accuracy within the slice, points (candidate - champion)")
    return data_uri(file.getvalue())


def _row_names(slices: Sequence[SliceChange]) -> list[str]:
    names = plain_names([change["name"].split(" (")[0] for change in slices])
    return [f"{name} ({change['records']})" for name, change in zip(names, slices, strict=True)]
