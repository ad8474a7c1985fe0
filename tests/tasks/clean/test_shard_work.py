"""What is kept of earlier runs changes what a run costs, and nothing else."""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tasks.clean import shard_work, shards
from tasks.clean.shard_work import Kept, code_of_one_record
from tasks.errors import BadInput
from tasks.fingerprint.modules import Code
from tests.tasks.clean.conftest import cleaned_in
from tests.tasks.clean.test_images import encoded, grey
from tests.tasks.clean.test_properties import RULES, records

OUTPUTS = ("records.parquet", "report.json")
ADDITION = records(None, "train", "test")
CHANGE = st.tuples(
    st.sampled_from(["add", "remove", "text", "label", "split"]),
    st.integers(0, 20),
    st.integers(1, 9),
    ADDITION,
)


@pytest.fixture(autouse=True, scope="module")
def small_shards() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"AVERAGE": 300, "LEAST": 75, "MOST": 1200}.items():
            patch.setattr(shards, f"{name}_BYTES", value)
        yield


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "shards", "code")


def outputs(
    folder: Path, found: list[dict[str, Any]], kept: Kept | None = None, **rules: Any
) -> list[bytes] | str:
    """Clean records; return the bytes of the outputs, or the error."""
    try:
        cleaned_in(folder, found, kept=kept, **rules)
    except BadInput as error:
        return str(error)
    return [(folder / "clean" / name).read_bytes() for name in OUTPUTS]


def many(number: int = 60, seed: int = 0) -> list[dict[str, Any]]:
    draw = random.Random(seed)  # noqa: S311
    words = ["the", "cat", "sat  on", "mats", "&lt;", "a@b.org", "天气"]
    return [
        {"text": " ".join(draw.choices(words, k=5)), "label": draw.choice("xy")}
        for _ in range(number)
    ]


def num_new(said: str) -> tuple[int, int]:
    """Return how many shards were new, and of how many, from the stage's line."""
    line = next(line for line in said.splitlines() if "shards new" in line)
    numbers = [int(word) for word in line.split() if word.isdigit()]
    return numbers[0], numbers[1]


def changed(
    found: list[dict[str, Any]], kind: str, place: int, count: int, new: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Add records at a place, remove some there, or take what some have from new ones."""
    if kind == "add":
        return [*found[:place], *new, *found[place:]]
    place %= len(found)
    end = place + count
    if kind == "remove":
        return [*found[:place], *found[end:]] or new
    edited = [
        {**record, kind: new[at % len(new)][kind]} for at, record in enumerate(found[place:end])
    ]
    return [*found[:place], *edited, *found[end:]]


@given(ADDITION, st.lists(CHANGE, min_size=1, max_size=4), st.lists(RULES, min_size=1, max_size=2))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_was_added_edited_and_removed_the_bytes_are_those_of_a_full_run(
    tmp_path: Path,
    found: list[dict[str, Any]],
    changes: list[tuple[str, int, int, list[dict[str, Any]]]],
    rules: list[dict[str, Any]],
) -> None:
    with tempfile.TemporaryDirectory(dir=tmp_path) as name:
        kept = Kept(Path(name, "shards"), "code")
        outputs(Path(name), found, kept, **rules[0])
        for number, (kind, place, count, new) in enumerate(changes, start=1):
            found = changed(found, kind, place, count, new)
            rule = rules[number % len(rules)]
            incremental = outputs(Path(name), found, kept, **rule)
            assert incremental == outputs(Path(name), found, **rule)


def test_what_was_done_is_not_done_again(
    tmp_path: Path, kept: Kept, capfd: pytest.CaptureFixture[str]
) -> None:
    found = many()
    first = outputs(tmp_path, found, kept)
    new, total = num_new("".join(capfd.readouterr()))
    assert new == total > 5
    assert outputs(tmp_path, found, kept) == first
    assert num_new("".join(capfd.readouterr())) == (0, total)
    outputs(tmp_path, [{"text": "one more", "label": "x"}, *found], kept)
    assert num_new("".join(capfd.readouterr()))[0] <= 2


@pytest.mark.parametrize("what", ["code", "settings", "library"])
def test_other_code_settings_or_libraries_do_it_again(
    tmp_path: Path,
    kept: Kept,
    what: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    found, rules = many(), {}
    outputs(tmp_path, found, kept)
    capfd.readouterr()
    if what == "code":
        kept = replace(kept, code="other")
    elif what == "settings":
        rules = {"personal_data": ["email"]}
    else:
        monkeypatch.setattr(shard_work, "public_version", lambda name: f"{name} 0")
    outputs(tmp_path, found, kept, **rules)
    new, total = num_new("".join(capfd.readouterr()))
    assert new == total


@pytest.mark.parametrize("damage", ["altered", "torn", "empty", "of another", "no parquet", "lost"])
def test_what_is_damaged_is_made_again(
    tmp_path: Path, kept: Kept, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    found = many()
    first = outputs(tmp_path, found, kept)
    entries = sorted(kept.folder.iterdir())
    before = {path.name: path.read_bytes() for path in entries}
    content = before[entries[0].name]
    if damage == "altered":
        middle = len(content) // 2
        entries[0].write_bytes(
            content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
        )
    elif damage == "torn":
        entries[0].write_bytes(content[:-9])
    elif damage == "empty":
        entries[0].write_bytes(b"")
    elif damage == "of another":
        other = entries[1].name.partition(".")[2]
        shutil.copy(entries[1], kept.folder / f"{entries[0].name.partition('.')[0]}.{other}")
        entries[0].unlink()
    elif damage == "no parquet":
        entries[0].unlink()
        nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        (kept.folder / f"{entries[0].name.partition('.')[0]}.{nothing}.parquet").write_bytes(b"")
    else:
        entries[0].unlink()
    capfd.readouterr()
    assert outputs(tmp_path, found, kept) == first
    assert num_new("".join(capfd.readouterr()))[0] == 1
    assert {path.name: path.read_bytes() for path in kept.folder.iterdir()} == before


def test_a_folder_that_takes_nothing_costs_time_alone(tmp_path: Path, kept: Kept) -> None:
    kept.folder.write_text("in the way")
    assert outputs(tmp_path, many(), kept) == outputs(tmp_path, many())


def test_of_what_is_not_used_any_more_as_much_is_kept_as_of_what_is(
    tmp_path: Path, kept: Kept
) -> None:
    for seed in range(6):
        outputs(tmp_path, many(seed=seed), kept)
    (kept.folder / ".key.parquet.1.tmp").write_bytes(b"half")
    outputs(tmp_path, many(seed=6), kept)
    last = set(outputs_of_alone(tmp_path, many(seed=6)))
    entries = list(kept.folder.iterdir())
    sizes = {path.name: path.stat().st_size for path in entries}
    assert last < set(sizes)
    assert sum(sizes.values()) <= 2 * sum(sizes[name] for name in last)
    assert not any(name.startswith(".") for name in sizes)


def outputs_of_alone(folder: Path, found: list[dict[str, Any]]) -> list[str]:
    """Return the names of what is kept of some records alone."""
    kept = Kept(folder / "alone", "code")
    outputs(folder, found, kept)
    return [path.name for path in kept.folder.iterdir()]


def test_several_processes_give_the_same_bytes(
    tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules: dict[str, Any] = {"near_duplicates": {}, "personal_data": ["email"]}
    by_one = outputs(tmp_path, many(), kept, **rules)
    entries = {path.name: path.read_bytes() for path in kept.folder.iterdir()}
    shutil.rmtree(kept.folder)
    several = replace(kept, num_workers=2, bytes_before_processes=0)
    monkeypatch.setattr(shard_work, "clean_shard", None)  # here; others have their own
    assert outputs(tmp_path, many(), several, **rules) == by_one
    assert {path.name: path.read_bytes() for path in kept.folder.iterdir()} == entries


def test_what_processes_that_end_leave_undone_is_done_here(
    tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    several = replace(kept, num_workers=2, bytes_before_processes=0)
    monkeypatch.setattr(shard_work, "_be_process", os.abort)
    assert outputs(tmp_path, many(), several) == outputs(tmp_path, many())
    assert len(list(kept.folder.iterdir())) > 5


def test_a_record_that_another_process_fails_at_is_named_as_ever(
    tmp_path: Path, kept: Kept
) -> None:
    found = [{"image": encoded(grey(1 + place % 3, 1))} for place in range(3)]
    found[0] = {"image": encoded(grey(16, 16))[:45]}
    several = replace(kept, num_workers=2, bytes_before_processes=0)
    told = outputs_of_images(tmp_path, found, several)
    assert told == outputs_of_images(tmp_path, found, None)
    assert told.startswith("files:a, row 1 is not an image that can be decoded")


def outputs_of_images(folder: Path, found: list[dict[str, Any]], kept: Kept | None) -> str:
    with pytest.raises(BadInput) as error:
        cleaned_in(folder, found, "image", kept=kept)
    return str(error.value)


def test_images_are_kept_too(tmp_path: Path, kept: Kept, capfd: pytest.CaptureFixture[str]) -> None:
    found = [{"image": encoded(Image.new("L", (8, 8), shade))} for shade in range(9)]
    cleaned_in(tmp_path, found, "image", kept=kept)
    first = [(tmp_path / "clean" / name).read_bytes() for name in OUTPUTS]
    capfd.readouterr()
    cleaned_in(tmp_path, found, "image", kept=kept)
    assert num_new("".join(capfd.readouterr()))[0] == 0
    assert [(tmp_path / "clean" / name).read_bytes() for name in OUTPUTS] == first


def test_what_is_settled_over_all_records_cleans_none_of_them_again(
    tmp_path: Path, kept: Kept, capfd: pytest.CaptureFixture[str]
) -> None:
    found = [*many(), *({**record, "label": "z"} for record in many(5))]
    outputs(tmp_path, found, kept)
    capfd.readouterr()
    for rules in (
        {"label_conflicts": "drop"},
        {"label_conflicts": "majority", "rare_classes": {"fewer_than": 3}},
        {"rare_classes": {"fewer_than": 40, "then": "other"}},
    ):
        assert outputs(tmp_path, found, kept, **rules) == outputs(tmp_path, found, **rules)
        assert num_new("".join(capfd.readouterr()))[0] == 0
    outputs(tmp_path, found, kept, minimum_characters=2)
    assert num_new("".join(capfd.readouterr()))[0] > 0


def test_shards_hold_for_the_code_that_cleans_one_record() -> None:
    code = Code(Path())
    roots = ["tasks.clean.shards", "tasks.duplicates.text", "tasks.duplicates.images"]
    reached = code.reachable(roots)
    assert not {*reached} & {*shard_work._NOT_OF_ONE_RECORD}
    lines = {module: f"{module} 1" for module in (*reached, "tasks.clean.rare_classes")}

    def hashed(**changed: str) -> str:
        names = {name.replace("__", "."): value for name, value in changed.items()}
        return code_of_one_record("\n".join({"settings": "settings {}", **lines, **names}.values()))

    assert hashed(settings="settings {1}") == hashed()
    assert hashed(tasks__clean__rare_classes="tasks.clean.rare_classes 2") == hashed()
    assert hashed(tasks__clean__text="tasks.clean.text 2") != hashed()
