"""The comparison as one HTML file that a reviewer can open, mail or keep: nothing is fetched.

The template (``comparison.html``, beside this file) escapes every text; no script is in it.
"""

from typing import Any

from tasks.promotion.comparison import plots as comparison_plots
from tasks.promotion.comparison.schema import Comparison, Decision, SliceChange
from tasks.reports.style import CSS

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


def comparison_page(comparison: Comparison, decision: Decision) -> str:
    """Return the page; equal comparisons give equal pages."""
    manner, headline = HEADLINES[decision["decision"]]
    template = _environment().get_template("comparison.html")
    page: str = template.render(
        css=CSS,
        comparison=comparison,
        decision=decision,
        manner=manner,
        headline=headline,
        metrics={one["name"]: one for one in comparison["metrics"]},
        metric_names=METRICS,
        worst=worst_slice(comparison),
        slices=_worst_first(comparison),
        reliability=comparison_plots.reliability(comparison),
        slice_plot=comparison_plots.slice_plot(comparison),
    )
    return page


def worst_slice(comparison: Comparison) -> SliceChange | None:
    """Return the tested slice that loses most, a significant loss before any other."""
    tested = [one for one in comparison["slices"] if one["p_value"] is not None]
    return min(tested, key=lambda one: (one["verdict"] != "worse", one["difference"]), default=None)


def _worst_first(comparison: Comparison) -> list[SliceChange]:
    return sorted(comparison["slices"], key=lambda one: (one["p_value"] is None, one["difference"]))


def _environment() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("tasks.promotion.comparison", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, points=points, p_value=p_value, megabytes=megabytes)
    return environment


def percent(share: float) -> str:
    """Return a share as per cent: ``97.3 %``."""
    return f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """Return a difference of shares in points, with its sign: ``+1.2``."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\N{MINUS SIGN}")


def p_value(value: float) -> str:
    """Return a p-value with the digits that a verdict rests on."""
    if value < 0.0001:
        return "< 0.0001"
    return f"{value:.4f}" if value < 0.01 else f"{value:.3f}"


def megabytes(size_bytes: int) -> str:
    """Return a size in megabytes of 10^6 bytes, with two digits that say something."""
    return f"{size_bytes / 1e6:.{1 if size_bytes >= 1e6 else 2}f} MB"
