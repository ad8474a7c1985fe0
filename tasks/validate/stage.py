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

if TYPE_CHECKING:
    import pandas as pd

# How much of a failure goes into the message; the rest is in the evidence.
_NAMED_FAILURES = 3
_VALUE_CHARACTERS = 40


def run(
    corpus: str,
    train: Path,
    validation: Path,
    test: Path,
    output: Path,
    settings: Settings,
) -> None:
    """Write ``result.json``, and ``gate.json`` if every expectation is met.

    Args:
        corpus: the row of ``params.yaml``, for messages.
        train: the records to train on.
        validation: the records to choose by.
        test: the records to report on.
        output: the folder to write into.
        settings: the tolerances.

    Raises:
        ValidationFailed: an expectation is not met.
    """
    splits: dict[Part, pd.DataFrame] = {
        "train": facts.profile(train),
        "validation": facts.profile(validation),
        "test": facts.profile(test),
    }
    tables = _tables(corpus, splits)
    expected = checks(tables, settings)
    evidence = judge(tables, expected)
    passed = all(result["passed"] for result in evidence)
    result = {"passed": passed, "facts": facts.summary(splits), "expectations": evidence}
    failures = [
        _failure(check, judged)
        for check, judged in zip(expected, evidence, strict=True)
        if not judged["passed"]
    ]
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
    say(f"validate {corpus}: {len(expected)} expectations met")


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
        rows = ", ".join(
            " ".join(str(value)[:_VALUE_CHARACTERS] for value in row.values())
            for row in judged["rows"]
        )
        observed = f"{judged['observed']['unexpected_count']} ({rows})"
    expected = f", expected {' and '.join(bounds)}" if bounds else ""
    return f"{check.what}: {observed}{expected} -> {check.remedy}"
