"""What stands in place of a class where records are kept in proportion."""

from typing import TYPE_CHECKING

from tasks.split.strata import by_quantile, by_rarest

if TYPE_CHECKING:
    from tests.tasks.split.conftest import Split


def test_values_lie_in_tenths_and_equal_ones_in_one() -> None:
    tenths = by_quantile([float(value) for value in range(1, 61)])
    assert [tenths.count(str(number)) for number in range(10)] == [6] * 10
    assert by_quantile([1, 5, 5, 5, 5, 5, 5, 5, 5, 4]) == ["0", *["2"] * 8, "1"]
    assert by_quantile([2.0, None]) == ["1", None]
    assert by_quantile([None]) == [None]


def test_a_record_counts_for_the_rarest_of_its_names() -> None:
    assert by_rarest([["a", "b"], ["b", "a"], ["b"], [], None, ["b", "c", "c"]]) == [
        "a", "a", "b", None, None, "c",
    ]  # fmt: skip


def test_every_tenth_of_the_values_is_in_every_split(split: "Split") -> None:
    records = [(f"text {number}", None, None) for number in range(60)]
    values = [float(number) for number in range(60)]
    alone = split(records, columns={"value": values})
    together = split(records, columns={"value": values}, stratify=True)
    tenths = {
        part: {int(record["value"] // 6) for record in found} for part, found in together.items()
    }
    assert all(found == {*range(10)} for found in tenths.values())
    assert any({int(r["value"] // 6) for r in found} != {*range(10)} for found in alone.values())
    moved = split.report["stratify"]["moved"]
    assert 0 < moved < 20
    assert {record["id"] for found in together.values() for record in found} == {
        record["id"] for found in alone.values() for record in found
    }


def test_a_rare_label_is_in_train_before_it_is_in_test(split: "Split") -> None:
    records = [(f"text {number}", None, None) for number in range(100)]
    labels = [["often", "rare"] if number < 3 else ["often"] for number in range(100)]
    labels[3] = ["once"]
    for seed in range(5):
        found = split(records, seed, columns={"labels": labels}, stratify=True)
        has = {
            part: {name for record in given for name in record["labels"]}
            for part, given in found.items()
        }
        assert has == {
            "train": {"often", "rare", "once"},
            "validation": {"often", "rare"},
            "test": {"often", "rare"},
        }


def test_records_with_classes_are_kept_by_these(split: "Split") -> None:
    records = [(f"text {number}", "x" if number < 3 else "y", None) for number in range(100)]
    values = [float(number) for number in range(100)]
    with_values = split(records, columns={"value": values}, stratify=True)
    moved = dict(split.report)
    without = split(records, stratify=True)
    assert moved == split.report
    assert {p: [r["id"] for r in found] for p, found in with_values.items()} == {
        p: [r["id"] for r in found] for p, found in without.items()
    }
