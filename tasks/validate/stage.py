"""Judges the splits of one corpus."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts.files import write_json
from tasks.contracts.paths import STATE, Part
from tasks.errors import ValidationFailed
from tasks.progress import say
from tasks.validate import facts
from tasks.validate.evidence import judge
from tasks.validate.expectations import Check, checks
from tasks.validate.settings import Settings
from tasks.validate.targets import target_facts, target_tables

if TYPE_CHECKING:
    import pandas as pd

# How much of a failure goes into the message; the rest is in the evidence.
_NAMED_FAILURES = 3
_VALUE_CHARACTERS = 40
_NAMED_VALUES = 5


def run(
    corpus: str,
    train: Path,
    validation: Path,
    test: Path,
    output: Path,
    settings: Settings,
) -> dict[str, Any]:
    """Write ``result.json``, and ``gate.json`` if each expectation is met that does not only warn.

    Args:
        corpus: the row of ``params.yaml``, for messages.
        train: the records to train on.
        validation: the records to choose by.
        test: the records to report on.
        output: the folder to write into.
        settings: the tolerances.

    Returns:
        Numbers for MLflow: of warnings, and of texts that two splits share nearly as they are;
        empty where the settings ask for neither.

    Raises:
        ValidationFailed: an expectation is not met.
    """
    paths: dict[Part, Path] = {"train": train, "validation": validation, "test": test}
    tables, found, metrics = measured(corpus, paths, settings)
    expected = checks(tables, settings)
    evidence = judge(tables, expected)
    severity = settings.severity or {}
    failures: list[str] = []
    warnings: list[str] = []
    for check, judged in zip(expected, evidence, strict=True):
        is_warning = severity.get(check.name) == "warning"  # type: ignore[call-overload]
        if is_warning:
            judged["severity"] = "warning"
        if not judged["passed"]:
            (warnings if is_warning else failures).append(_failure(check, judged))
    if severity:
        metrics["warnings"] = len(warnings)
    result = {"passed": not failures, "facts": found, "expectations": evidence}
    if failures:
        kept = STATE / "validate" / corpus / "result.json"
        write_json(kept, result)
        more = len(failures) - _NAMED_FAILURES
        raise ValidationFailed(
            f"validate {corpus}: {len(failures)} of {len(expected)} expectations failed "
            f"(evidence: {kept}; settings: corpora.{corpus}.validate)\n"
            + "; ".join(failures[:_NAMED_FAILURES])
            + (f"; and {more} more" if more > 0 else "")
        )
    write_json(output / "result.json", result)
    write_json(output / "gate.json", {"passed": True})
    say(f"validate {corpus}: {len(expected) - len(warnings)} expectations met")
    for warning in warnings:
        say(f"validate {corpus}: warning: {warning}")
    return metrics


def measured(
    corpus: str, paths: dict[Part, Path], settings: Settings
) -> "tuple[dict[str, pd.DataFrame], dict[str, Any], dict[str, Any]]":
    """Return what is judged, as tables; what ``result.json`` says of it; and what MLflow is told.

    Args:
        corpus: its name.
        paths: the splits.
        settings: what to look for beside what is always measured.
    """
    import pandas as pd

    splits = {part: facts.profile(path) for part, path in paths.items()}
    tables, found = _tables(corpus, splits), facts.summary(splits)
    of_targets = target_tables(paths)
    tables |= of_targets
    found |= target_facts(of_targets)
    metrics: dict[str, Any] = {}
    if settings.near_duplicates is not None:
        from tasks.validate.near import near_leakage

        rows = near_leakage(paths, settings.near_duplicates)
        tables["near_leakage"] = pd.DataFrame(rows).drop(columns="ids")
        found["near_leakage"] = rows
        metrics["near_leakage"] = {row["pair"].replace(", ", "-"): row["near"] for row in rows}
    if settings.languages is not None:
        from tasks.validate.languages import language_shares

        found["languages"] = language_shares(paths, settings.languages)
        tables["languages"] = pd.DataFrame(found["languages"]).drop(columns="others")
        metrics["languages"] = {row["split"]: row["share"] for row in found["languages"]}
    if settings.drift is not None:
        from tasks.corpora import profile

        reference = profile.read_profile(profile.reference_of(corpus))
        found["drift"] = profile.drift(reference, profile.profile_of(paths))
        metrics["drift"] = {name: told["beyond_chance"] for name, told in found["drift"].items()}
        tables["drift"] = pd.DataFrame([{"corpus": corpus, **metrics["drift"]}])
    return tables, found, metrics


def _tables(corpus: str, splits: "dict[Part, pd.DataFrame]") -> "dict[str, pd.DataFrame]":
    import pandas as pd

    classes = facts.classes(splits)
    drift = facts.drift(classes)["beyond_chance"]
    return {
        **{str(part): split for part, split in splits.items()},
        "classes": classes,
        "leakage": facts.leakage(splits).drop(columns="ids"),
        "corpus": pd.DataFrame({"corpus": [corpus], "class_drift": [drift]}),
    }


def _failure(check: Check, judged: dict[str, Any]) -> str:
    """Say in one phrase what was observed, what was expected, and what to change."""
    bounds = [
        f"{word} {check.arguments[name]}"
        for name, word in (("min_value", "at least"), ("max_value", "at most"), ("mostly", "share"))
        if name in check.arguments
    ]
    observed = judged["observed"].get("observed_value")
    if observed is None:
        # Of a set, what is outside of it is told, and how often, not which records have it.
        named = judged["observed"].get("partial_unexpected_counts") or ()
        values = [one.values() for one in named[:_NAMED_VALUES]]
        if "value_set" not in check.arguments:
            values = [row.values() for row in judged["rows"]]
        rows = ", ".join(
            " ".join(str(value)[:_VALUE_CHARACTERS] for value in row) for row in values
        )
        observed = f"{judged['observed']['unexpected_count']} ({rows})"
    expected = f", expected {' and '.join(bounds)}" if bounds else ""
    return f"{check.what}: {observed}{expected} -> {check.remedy}"
