"""The gates: what a model must reach by itself, whatever the champion reaches.

Every function returns one sentence for each gate that is missed. A metric that is absent, null or
not a number passes no gate.
"""

import operator
from collections.abc import Mapping
from typing import Any

from tasks.errors import one_of
from tasks.promotion.comparison.schema import Serving
from tasks.promotion.settings import PromotionSettings, ServingSettings

BASELINES = {
    "linear": "the linear baseline",
    "nb_svm": "the NB-SVM baseline",
    "simple": "the simplest baseline",
    "twin": "its twin from random weights",
}

NOT_VALIDATED = "the corpus has not passed its validation"


def missed_gates(
    metrics: Mapping[str, Any], validation: Mapping[str, Any], settings: PromotionSettings
) -> list[str]:
    """Judge what ``evaluate`` and ``validate`` have found.

    Args:
        metrics: the content of ``metrics.json``.
        validation: the content of the corpus' ``gate.json``.
        settings: the gates.
    """
    return [
        *([] if validation.get("passed") is True else [NOT_VALIDATED]),
        *_limits(metrics, settings.floors, settings.ceilings),
        *_leads(metrics, settings.lead),
        *_behind(metrics, settings),
        *_slices(metrics, settings),
        *_seen(metrics, settings.maximum_seen),
    ]


def missed_serving(serving: Serving, limits: ServingSettings) -> list[str]:
    """Judge what serving costs, as ``tasks.promotion.comparison.serving`` has measured it."""
    measured = {
        "median_ms": ("the median latency", serving["median_ms"], "ms"),
        "p95_ms": ("the 95th percentile of the latency", serving["p95_ms"], "ms"),
        "size_mb": ("the size of the model", serving["size_bytes"] / 1e6, "MB"),
    }
    limit_of = limits.model_dump()
    return [
        f"{name} is {value:.4g} {unit}, above the limit of {limit_of[key]:g} {unit}"
        for key, (name, value, unit) in measured.items()
        if limit_of[key] is not None and not value <= limit_of[key]
    ]


def _limits(
    metrics: Mapping[str, Any], floors: Mapping[str, float], ceilings: Mapping[str, float]
) -> list[str]:
    missed = []
    # Written so that a NaN passes neither.
    for limits, passes, text in (
        (floors, operator.ge, "below the floor"),
        (ceilings, operator.le, "above the ceiling"),
    ):
        for name, limit in sorted(limits.items()):
            value = _at(metrics, name)
            if value is None:
                numbers = [key for key in metrics if _at(metrics, key) is not None]
                missed.append(f"{name} has no value; {one_of(name, numbers)}")
            elif not passes(value, limit):
                missed.append(f"{name} is {value:g}, {text} of {limit:g}")
    return missed


def _leads(metrics: Mapping[str, Any], leads: Mapping[Any, float]) -> list[str]:
    missed = []
    decides = metrics.get("decides", "accuracy")
    sign = -1 if metrics.get("less_is_better") else 1
    value = _at(metrics, decides)
    for name, least in sorted(leads.items()):
        baseline = _at(metrics, f"baselines.{name}.{decides}")
        if value is None or baseline is None:
            missed.append(f"there is no {decides} of {BASELINES[name]} to compare with")
        # Both are rounded to six digits in metrics.json.
        elif not sign * (value - baseline) >= least - 1e-9:
            missed.append(
                f"{decides} {value:g} leads {BASELINES[name]} ({baseline:g}) by "
                f"{sign * (value - baseline):+.4g}, below the least lead of {least:+g}"
            )
    return missed


def _behind(metrics: Mapping[str, Any], settings: PromotionSettings) -> list[str]:
    missed = []
    asked = settings.not_behind
    for name in sorted(["linear"] if asked is None else asked):
        against = metrics.get("against")
        found = against.get(name) if isinstance(against, Mapping) else None
        if found is None:
            # An earlier version's metrics do not tell; that is no fault unless somebody has asked.
            if asked is None:
                continue
            missed.append(
                f"metrics.json does not tell it from {BASELINES[name]}: "
                + ("images have none: drop it, or " if name == "nb_svm" else "")
                + "run evaluate again"
            )
        elif found["verdict"] == "behind":
            told = (
                f"{found['won']} test records alone right against {found['lost']}"
                if "won" in found
                else f"{metrics.get('decides')} is worse by {-found['better_by']:.4g}"
            )
            missed.append(f"it is behind {BASELINES[name]}: {told} (p = {found['p_value']:.2g})")
    return missed


def _slices(metrics: Mapping[str, Any], settings: PromotionSettings) -> list[str]:
    least = settings.slices.minimum_accuracy
    if least is None:
        return []
    if not isinstance(metrics.get("slices"), list):
        return ["metrics.json holds no slices: run evaluate again"]
    if "head" in metrics:
        return [f"head: {metrics['head']} has no accuracy in slices: drop slices.minimum_accuracy"]
    missed = []
    for result in metrics["slices"]:
        if result["records"] >= settings.slices.minimum_records and not result["accuracy"] >= least:
            name = f"class {result['name']!r}" if result["kind"] == "class" else result["name"]
            missed.append(
                f"{name}: {result['accuracy']:.3f} of {result['records']} records are right, below "
                f"the floor of {least:g}"
            )
    return missed


def _seen(metrics: Mapping[str, Any], most: float) -> list[str]:
    share = _at(metrics, "pretraining.seen_test_records")
    # An earlier version's metrics do not tell, nor do those of a published checkpoint.
    if share is None or share <= most:
        return []
    return [
        f"the backbone was pretrained on {share:.1%} of the test records, above the limit of "
        f"{most:.1%}"
    ]


def _at(metrics: Mapping[str, Any], name: str) -> float | None:
    value: Any = metrics
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return value if is_number else None
