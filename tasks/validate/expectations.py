"""What is expected of a corpus, as Great Expectations' own expectations."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.contracts.paths import PARTS
from tasks.validate.settings import DriftSettings, NearLeakageSettings, Settings
from tasks.validate.targets import CHECKED, DIFFERENCE, NAMES, STRAY

if TYPE_CHECKING:
    import pandas as pd

IOB = re.compile(r"[BI]-.+|O")
_REMEDIES_OF_UNKNOWN = {
    "validation": "clean.rare_classes, or add records of them to train",
    # A class that clean.rare_classes takes from train stays in an official test split.
    "test": "add records of them to train, or clean.rare_classes; where an official test split has "
    "them, which stays as it is, severity: {unknown_classes: warning}",
}


@dataclass(frozen=True)
class Check:
    """One expectation on one table.

    Attributes:
        table: the table it judges.
        expectation: the name of its class in Great Expectations.
        arguments: what that class is given.
        what: what is judged, for a message.
        remedy: the setting to change, or what else to do.
        name: what ``validate.severity`` calls it.
    """

    table: str
    expectation: str
    arguments: dict[str, Any]
    what: str
    remedy: str
    name: str


def checks(tables: "dict[str, pd.DataFrame]", settings: Settings) -> list[Check]:
    """Return all expectations on a corpus.

    Args:
        tables: the splits by name, ``classes``, ``leakage`` and ``corpus``, those of targets,
            and what is measured where the settings ask for it.
        settings: the tolerances.
    """
    expected = [check for part in PARTS for check in _on_split(part, tables[part], settings)]
    expected.append(
        Check(
            "leakage",
            "ExpectColumnValuesToBeBetween",
            {"column": "share", "min_value": 0, "max_value": settings.maximum_leaked_share},
            "share of the second split that stands in the first too",
            "maximum_leaked_share",
            "leakage",
        )
    )
    if settings.near_duplicates is not None:
        expected.append(_on_near_duplicates(settings.near_duplicates))
    if settings.languages is not None:
        expected.append(
            Check(
                "languages",
                "ExpectColumnValuesToBeBetween",
                {"column": "share", "min_value": settings.languages.minimum_share},
                f"share of a split's texts in {', '.join(settings.languages.expected)}",
                "languages.minimum_share, or clean.languages, which drops the others",
                "languages",
            )
        )
    if settings.drift is not None:
        expected += _on_drift(list(tables["drift"].columns.drop("corpus")), settings.drift)
    if len(tables["classes"]):
        expected += _on_labels(tables, settings)
    return expected + _on_targets(tables, settings)


def _on_split(part: str, split: "pd.DataFrame", settings: Settings) -> list[Check]:
    expected = [
        Check(
            part,
            "ExpectTableRowCountToBeBetween",
            {"min_value": settings.minimum_records},
            f"records in {part}",
            "minimum_records",
            "records",
        ),
        Check(
            part,
            "ExpectColumnValuesToBeUnique",
            {"column": "id"},
            f"records that stand twice in {part}",
            "remove one of the sources that hold them",
            "repeated",
        ),
    ]
    if "characters" not in split:
        return expected + [
            Check(
                part,
                "ExpectColumnUniqueValueCountToBeBetween",
                {"column": column, "max_value": 1},
                f"different {column}s of the images in {part}",
                "set clean.size",
                "size",
            )
            for column in ("width", "height")
        ]
    bounds: dict[str, Any] = {"min_value": settings.minimum_characters}
    if settings.maximum_characters is not None:
        bounds["max_value"] = settings.maximum_characters
    return [
        *expected,
        Check(
            part,
            "ExpectColumnValuesToBeBetween",
            {"column": "characters", **bounds},
            f"characters of a text in {part}",
            "minimum_characters, maximum_characters",
            "characters",
        ),
    ]


def _on_drift(measures: list[str], settings: DriftSettings) -> list[Check]:
    return [
        Check(
            "drift",
            "ExpectColumnValuesToBeBetween",
            {"column": measure, "min_value": 0, "max_value": getattr(settings, measure)},
            f"distance of the {measure} from the reference profile, beyond chance",
            f"drift.{measure}, or `downstream data profile` if the corpus is to be like this",
            f"drift_{measure}",
        )
        for measure in measures
    ]


def _on_near_duplicates(settings: NearLeakageSettings) -> Check:
    return Check(
        "near_leakage",
        "ExpectColumnValuesToBeBetween",
        {"column": "share", "min_value": 0, "max_value": settings.maximum_share},
        f"share of the second split that has a like in the first, similarity {settings.similarity}",
        "near_duplicates.maximum_share, or split.near_duplicates, which leaves them out of train",
        "near_duplicates",
    )


def _on_labels(tables: "dict[str, pd.DataFrame]", settings: Settings) -> list[Check]:
    counts = tables["classes"]
    trained = counts.loc[counts["train"] > 0, "label"].tolist()
    # Classes that train lacks are judged by unknown_classes, which may be let through by itself.
    of_train: dict[str, Any] = {}
    if len(trained) < len(counts):
        is_of_train = {"column": {"name": "train"}, "operator": ">", "parameter": 0}
        of_train["row_condition"] = {"type": "comparison", **is_of_train}
    return [
        *(
            Check(
                part,
                "ExpectColumnValuesToNotBeNull",
                {"column": "label", "mostly": 1 - settings.maximum_unlabelled_share},
                f"records of {part} without a label",
                "maximum_unlabelled_share",
                "unlabelled",
            )
            for part in PARTS
        ),
        *(
            Check(
                part,
                "ExpectColumnValuesToBeInSet",
                {"column": "label", "value_set": trained},
                f"classes of {part} that train does not have",
                _REMEDIES_OF_UNKNOWN[part],
                "unknown_classes",
            )
            for part in PARTS[1:]
        ),
        Check(
            "classes",
            "ExpectTableRowCountToBeBetween",
            {"min_value": settings.minimum_classes},
            f"number of classes ({', '.join(counts['label'][:5])})",
            "minimum_classes",
            "classes",
        ),
        Check(
            "classes",
            "ExpectColumnValuesToBeBetween",
            {"column": "train", "min_value": settings.minimum_records_per_class, **of_train},
            "records of a class in train",
            "minimum_records_per_class, or clean.rare_classes",
            "records_per_class",
        ),
        Check(
            "corpus",
            "ExpectColumnValuesToBeBetween",
            {"column": "class_drift", "min_value": 0, "max_value": settings.maximum_class_drift},
            "distance of the class shares of train and test, beyond chance",
            "maximum_class_drift",
            "class_drift",
        ),
    ]


def _on_targets(tables: "dict[str, pd.DataFrame]", settings: Settings) -> list[Check]:
    """Return the expectations on targets; none where there are none."""
    expected: list[Check] = []
    is_iob = "tags" in tables and bool({*_in_iob(tables["tags"])} - {"O"})
    for part in PARTS:
        table = tables.get(f"{part}_targets")
        if table is not None:
            expected += _on_targets_of(part, table, settings, is_iob=is_iob)
    for name in NAMES:
        if name in tables:
            expected += _on_names(name, tables[name], settings)
    return expected


def _in_iob(tags: "pd.DataFrame") -> list[str]:
    return [name for name in tags["name"] if IOB.fullmatch(name)]


def _on_targets_of(
    part: str, table: "pd.DataFrame", settings: Settings, *, is_iob: bool
) -> list[Check]:
    expected = [
        Check(
            f"{part}_targets",
            "ExpectColumnValuesToNotBeNull",
            {"column": str(name), "mostly": 1 - settings.maximum_unlabelled_share},
            f"records of {part} without {name}",
            "maximum_unlabelled_share, or drop them from the source",
            "missing_targets",
        )
        for name in table.columns.drop(["id", *CHECKED], errors="ignore")
    ]
    if DIFFERENCE in table:
        expected.append(
            Check(
                f"{part}_targets",
                "ExpectColumnValuesToBeBetween",
                {"column": DIFFERENCE, "min_value": 0, "max_value": 0},
                f"tags of a record of {part} less its tokens",
                "mend the source: one tag for each token",
                "tag_lengths",
            )
        )
    if STRAY in table and is_iob:
        expected.append(
            Check(
                f"{part}_targets",
                "ExpectColumnValuesToBeBetween",
                {"column": STRAY, "min_value": 0, "max_value": 0},
                f"I- tags of a record of {part} that go on from no span",
                "mend the source: B- begins each span (IOB2)",
                "tags_in_iob",
            )
        )
    if "value" in table and settings.values is not None:
        bounds = {"min_value": settings.values.minimum, "max_value": settings.values.maximum}
        asked = {name: bound for name, bound in bounds.items() if bound is not None}
        expected.append(
            Check(
                f"{part}_targets",
                "ExpectColumnValuesToBeBetween",
                {"column": "value", **asked},
                f"values of {part}",
                "values, or mend the source",
                "value_range",
            )
        )
    return expected


def _on_names(target: str, table: "pd.DataFrame", settings: Settings) -> list[Check]:
    is_unknown = {"column": {"name": "train"}, "operator": "==", "parameter": 0}
    expected = [
        Check(
            target,
            "ExpectColumnValuesToBeBetween",
            {
                "column": part,
                "max_value": 0,
                "row_condition": {"type": "comparison", **is_unknown},
            },
            f"{target} of {part} that train does not have",
            f"add records of them to train, split.stratify, or severity: {{unknown_{target}: "
            "warning}, which counts them as wrong",
            f"unknown_{target}",
        )
        for part in PARTS[1:]
    ]
    allowed = getattr(settings, target)
    if allowed is not None:
        expected.append(
            Check(
                target,
                "ExpectColumnValuesToBeInSet",
                {"column": "name", "value_set": allowed},
                f"{target} that are not expected",
                f"{target}, or mend the source",
                f"expected_{target}",
            )
        )
    in_iob = _in_iob(table)
    if target == "tags" and {*in_iob} - {"O"}:
        expected.append(
            Check(
                target,
                "ExpectColumnValuesToBeInSet",
                {"column": "name", "value_set": in_iob},
                "tags that are not in IOB, as others are",
                "mend the source: B-, I- and O alone",
                "tags_in_iob",
            )
        )
    return expected
