"""The gate opens for good splits, and says why it stays shut for others."""

import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from tasks.contracts.files import read_json, write_json
from tasks.corpora.profile import profile_of, reference_of
from tasks.errors import BadInput, BadSettings, ValidationFailed

if TYPE_CHECKING:
    from tests.tasks.validate.conftest import Splits


def fault(splits: "Splits", **settings: Any) -> str:
    with pytest.raises(ValidationFailed) as error:
        splits.run(**settings)
    assert not (splits.output / "gate.json").exists()
    assert len(str(error.value).splitlines()) == 2
    return str(error.value).splitlines()[1]


def test_the_gate_holds_the_verdict_and_nothing_else(splits: "Splits") -> None:
    result = splits.run()
    assert read_json(splits.output / "gate.json") == {"passed": True}
    assert (result["passed"], len(result["expectations"])) == (True, 18)
    assert result["facts"]["splits"]["train"] == {
        "records": 12,
        "unlabelled": 0,
        "characters": {"minimum": 7, "mean": pytest.approx(7 + 2 / 12), "maximum": 8},
    }


def test_a_loosened_tolerance_changes_no_byte_of_the_gate(splits: "Splits") -> None:
    splits.run()
    gate = (splits.output / "gate.json").read_bytes()
    evidence = (splits.output / "result.json").read_bytes()
    splits.run(maximum_leaked_share=0.5)
    assert (splits.output / "gate.json").read_bytes() == gate
    assert (splits.output / "result.json").read_bytes() != evidence


def test_equal_splits_give_equal_bytes(splits: "Splits") -> None:
    splits.run()
    evidence = (splits.output / "result.json").read_bytes()
    splits.run()
    assert (splits.output / "result.json").read_bytes() == evidence


def test_a_failure_names_the_evidence_and_the_settings(splits: "Splits") -> None:
    with pytest.raises(ValidationFailed) as error:
        splits.run(minimum_records=5)
    assert str(error.value) == (
        "validate reviews: 2 of 18 expectations failed (evidence: "
        ".downstream/validate/reviews/result.json; settings: corpora.reviews.validate)\n"
        "records in validation: 4, expected at least 5 -> minimum_records; "
        "records in test: 4, expected at least 5 -> minimum_records"
    )
    kept = read_json(splits.kept)
    assert kept["passed"] is False
    assert [found["passed"] for found in kept["expectations"]].count(False) == 2
    assert not splits.output.exists()


def test_records_that_leak_into_test_are_counted(splits: "Splits") -> None:
    splits.write(test=[("train 0", "bad"), ("b", "bad"), ("c", "好评"), ("d", "好评")])
    assert fault(splits, maximum_leaked_share=0.1) == (
        "share of the second split that stands in the first too: 1 (train, test 0.25), "
        "expected at least 0 and at most 0.1 -> maximum_leaked_share"
    )
    leaks = read_json(splits.kept)["facts"]["leakage"]
    assert [(leak["pair"], leak["shared"], len(leak["ids"])) for leak in leaks] == [
        ("train, validation", 0, 0),
        ("train, test", 1, 1),
        ("validation, test", 0, 0),
    ]
    assert splits.run(maximum_leaked_share=0.25)["passed"] is True


def test_a_single_class_is_refused(splits: "Splits") -> None:
    for part in ("train", "validation", "test"):
        splits.write(**{part: [(f"{part} {row}", "earn") for row in range(4)]})
    assert fault(splits) == ("number of classes (earn): 1, expected at least 2 -> minimum_classes")


def test_a_class_with_one_record_is_named(splits: "Splits") -> None:
    splits.write(train=[("a", "bad"), ("b", "bad"), ("c", "好评"), ("d", "好评"), ("e", "稀有")])
    assert fault(splits) == (
        "records of a class in train: 1 (稀有 1), expected at least 2 -> "
        "minimum_records_per_class, or clean.rare_classes"
    )


def test_a_class_that_train_lacks_is_named(splits: "Splits") -> None:
    splits.write(test=[("a", "bad"), ("b", "好评"), ("c", "new"), ("d", "new")])
    assert fault(splits, maximum_class_drift=1.0) == (
        "classes of test that train does not have: 2 (new 2) -> "
        "add records of them to train, or clean.rare_classes; where an official test split has "
        "them, which stays as it is, severity: {unknown_classes: warning}"
    )


def test_a_class_that_train_lacks_may_warn_and_the_others_still_need_their_records(
    splits: "Splits",
) -> None:
    warns: dict[str, Any] = {
        "severity": {"unknown_classes": "warning"}, "maximum_class_drift": 1.0,
    }  # fmt: skip
    splits.write(train=[("e", "bad"), ("f", "bad"), ("g", "好评")])
    splits.write(test=[("a", "bad"), ("b", "好评"), ("c", "new"), ("d", "new")])
    assert fault(splits, **warns) == (
        "records of a class in train: 1 (好评 1), expected at least 2 -> "
        "minimum_records_per_class, or clean.rare_classes"
    )
    splits.write(train=[("e", "bad"), ("f", "bad"), ("g", "好评"), ("h", "好评")])
    assert splits.run(**warns)["passed"] is True


def test_records_without_a_label_among_labelled_ones_are_counted(splits: "Splits") -> None:
    splits.write(validation=[("a", "bad"), ("b", "好评"), ("c", None), ("d", "bad")])
    assert "records of validation without a label: 1" in fault(splits)
    assert splits.run(maximum_unlabelled_share=0.25)["passed"] is True


def test_a_corpus_without_labels_passes(splits: "Splits") -> None:
    for part in ("train", "validation", "test"):
        splits.write(**{part: [(f"{part} {row}", None) for row in range(4)]})
    result = splits.run()
    assert result["facts"]["classes"] == {}
    assert "class_drift" not in result["facts"]


def test_classes_in_other_shares_are_refused(splits: "Splits") -> None:
    splits.write(
        train=[(f"a {row}", "bad" if row < 90 else "好评") for row in range(100)],
        test=[(f"b {row}", "bad" if row < 10 else "好评") for row in range(100)],
    )
    message = fault(splits)
    assert message.startswith("distance of the class shares of train and test, beyond chance: 1 (")
    assert message.endswith("expected at least 0 and at most 0.2 -> maximum_class_drift")


def test_a_repeated_record_is_refused(splits: "Splits") -> None:
    splits.write(validation=[("a", "bad"), ("a", "bad"), ("b", "好评")])
    assert fault(splits).startswith("records that stand twice in validation: 2 (")


def test_texts_outside_the_bounds_are_refused(splits: "Splits") -> None:
    message = fault(splits, minimum_characters=7, maximum_characters=7)
    assert message.startswith("characters of a text in train: 2 (")
    assert "expected at least 7 and at most 7" in message


def test_images_of_two_sizes_are_refused(splits: "Splits") -> None:
    def picture(width: int, shade: int) -> bytes:
        file = io.BytesIO()
        Image.new("L", (width, 2), shade).save(file, format="PNG")
        return file.getvalue()

    for start, part in ((0, "train"), (10, "validation"), (20, "test")):
        rows = [(picture(2, start + shade), "xy"[shade % 2]) for shade in range(4)]
        splits.write("image", **{part: rows})
    assert splits.run()["facts"]["splits"]["train"]["width"]["maximum"] == 2
    (splits.output / "gate.json").unlink()
    splits.write("image", test=[(picture(2, 20), "x"), (picture(3, 21), "y")])
    assert fault(splits) == (
        "different widths of the images in test: 2, expected at most 1 -> set clean.size"
    )


LONG = "oil prices rose again as members of the cartel met in Vienna to talk about their quotas"


def leaky(splits: "Splits") -> None:
    """Give test one text of train word for word, and one with a word that is another."""
    words = " ".join(f"word{place}" for place in range(40))
    train = [(f"{words} {row}", "bad" if row % 2 else "好评") for row in range(4)]
    splits.write(train=[*train, (LONG, "bad"), (f"{words} again and again", "bad")])
    splits.write(test=[(LONG, "bad"), (f"{words} twice", "bad"), ("c", "好评"), ("d", "好评")])


def test_near_duplicates_of_train_in_test_are_counted_and_shut_the_gate(splits: "Splits") -> None:
    leaky(splits)
    message = fault(splits, maximum_leaked_share=0.25, near_duplicates={})
    assert message == (
        "share of the second split that has a like in the first, similarity 0.8: 1 (train, test "
        "0.5), expected at least 0 and at most 0.0 -> near_duplicates.maximum_share, or "
        "split.near_duplicates, which leaves them out of train"
    )
    rows = read_json(splits.kept)["facts"]["near_leakage"]
    assert [(row["pair"], row["near"], row["share"]) for row in rows] == [
        ("train, validation", 0, 0.0),
        ("train, test", 2, 0.5),
        ("validation, test", 0, 0.0),
    ]
    assert {len(pair) for pair in rows[1]["ids"]} == {2}
    share = {"similarity": 0.8, "maximum_share": 0.5}
    assert splits.run(maximum_leaked_share=0.25, near_duplicates=share)["passed"] is True


def test_a_warning_is_told_and_changes_no_byte_of_the_gate(
    splits: "Splits", capsys: pytest.CaptureFixture[str]
) -> None:
    splits.run()
    gate = (splits.output / "gate.json").read_bytes()
    leaky(splits)
    capsys.readouterr()
    severity = {"leakage": "warning", "near_duplicates": "warning"}
    result = splits.run(near_duplicates={}, severity=severity)
    assert (splits.output / "gate.json").read_bytes() == gate
    missed = [each for each in result["expectations"] if not each["passed"]]
    assert [(each["table"], each["severity"]) for each in missed] == [
        ("leakage", "warning"),
        ("near_leakage", "warning"),
    ]
    assert result["passed"] is True
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "validate reviews: 17 expectations met"
    assert [line[: line.index(" in ")] for line in lines[1:]] == [
        "validate reviews: warning: share of the second split that stands",
        "validate reviews: warning: share of the second split that has a like",
    ]
    assert splits.metrics == {
        "near_leakage": {"train-validation": 0, "train-test": 2, "validation-test": 0},
        "warnings": 2,
    }


def test_what_is_no_warning_still_shuts_the_gate(splits: "Splits") -> None:
    leaky(splits)
    message = fault(splits, near_duplicates={}, severity={"near_duplicates": "warning"})
    assert message.startswith("share of the second split that stands in the first too")


def test_an_unknown_check_has_no_severity(splits: "Splits") -> None:
    with pytest.raises(BadSettings, match="severity"):
        splits.run(severity={"leak": "warning"})


def test_a_corpus_that_has_drifted_from_its_profile_is_refused_or_warned_of(
    splits: "Splits",
) -> None:
    with pytest.raises(BadInput, match=r"reviews\.profile\.json does not exist"):
        splits.run(drift={})
    paths = {part: splits.root / f"{part}.parquet" for part in ("train", "validation", "test")}
    write_json(reference_of("reviews"), profile_of(paths))
    result = splits.run(drift={})
    assert {name: told["distance"] for name, told in result["facts"]["drift"].items()} == {
        "labels": 0.0,
        "lengths": 0.0,
        "vocabulary": 0.0,
    }
    splits.write(train=[(f"quite another text {row}", "bad") for row in range(12)])
    allowed = {"maximum_class_drift": 1.0, "minimum_records_per_class": 0}
    severity = {"unknown_classes": "warning", "drift_vocabulary": "warning"}
    (splits.output / "gate.json").unlink()
    message = fault(splits, severity=severity, drift={"labels": 0.0}, **allowed)
    assert message.startswith("distance of the labels from the reference profile, beyond chance: ")
    assert message.endswith("if the corpus is to be like this")
    assert "vocabulary" not in message
