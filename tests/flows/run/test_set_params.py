"""``--set`` edits ``params.yaml`` as a person would, or not at all."""

import fcntl
import os
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import given
from hypothesis import strategies as st

from flows.run.run_lock import RUN_LOCK, active_run, no_active_run
from flows.run.set_params import flow_text, parse_assignments, set_values
from tasks.contracts.params import read_params
from tasks.errors import BadSettings, StageFailed
from tests.workspace import PARAMS

TEXT = PARAMS.replace("seed: 0\n", "# What is computed.\nseed: 0  # of everything\n")


@pytest.fixture(autouse=True)
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(TEXT)
    return Path("params.yaml")


def changed_lines() -> list[tuple[str, str]]:
    pairs = zip(TEXT.splitlines(), Path("params.yaml").read_text().splitlines(), strict=True)
    return [(old, new) for old, new in pairs if old != new]


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("seed", 3, "seed: 3  # of everything"),
        (
            "models.topics-label.finetune.epochs",
            4,
            "    finetune: {epochs: 4, tokens: 48, learning_rate: 0.003}",
        ),
        ("backbones.topics-bert.pretrain.training.epochs", 1, "      training: {epochs: 1}"),
        ("corpora.topics.split.test", 0.3, "    split: {validation: 0.15, test: 0.3}"),
        ("corpora.digits.split.validation", 0.1, "    split: {validation: 0.1, test: 0.3}"),
        ("models.digits-label.register", {"floors": {"accuracy": 0.5}},
         "    register: {floors: {accuracy: 0.5}}"),
        ("models.digits-label.register.floors.accuracy", 0.5,
         "    register: {floors: {accuracy: 0.5}, not_behind: []}"),
    ],
)  # fmt: skip
def test_only_the_value_itself_changes(key: str, value: Any, line: str) -> None:
    set_values({key: value})
    assert [new for _, new in changed_lines()] == [line]


def test_a_new_key_of_a_block_stands_before_the_others() -> None:
    set_values({"backbones.digits-convnet.pretrain.training": {"epochs": 2}})
    assert read_params()["backbones"]["digits-convnet"]["pretrain"]["training"] == {"epochs": 2}
    Path("params.yaml").write_text(TEXT.replace("      training: {epochs: 2}\n", ""))
    set_values({"backbones.topics-bert.pretrain.training": {"epochs": 2}})
    assert "    pretrain:\n      training: {epochs: 2}\n      objective: masked\n" in (
        Path("params.yaml").read_text()
    )


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("models.topics-label.finetune.epochs", 0, "models.topics-label.finetune.epochs"),
        ("models.topics-label.finetune.epoch", 3, "did you mean 'epochs'"),
        ("models.topics-label.backbone", "bert", "no row 'bert' in backbones"),
        ("sead", 3, "sead: unknown key"),
        ("seed.of", 3, "--set seed.of: seed holds a value, not keys; set that one"),
    ],
)
def test_a_bad_value_leaves_the_file_untouched(key: str, value: Any, message: str) -> None:
    with pytest.raises(BadSettings) as error:
        set_values({"corpora.topics.split.test": 0.3, key: value})
    assert message in str(error.value)
    assert Path("params.yaml").read_text() == TEXT


def test_values_are_yaml_as_dvc_reads_it() -> None:
    assert parse_assignments(["a.b=1e-3", "c=no", "d={x: [1, true]}", "e=", "f='1e-3'"]) == {
        "a.b": 0.001, "c": "no", "d": {"x": [1, True]}, "e": None, "f": "1e-3",
    }  # fmt: skip


@pytest.mark.parametrize("assignment", ["epochs", "=3", "a=[1"])
def test_a_wrong_assignment_is_told(assignment: str) -> None:
    with pytest.raises(BadSettings, match=r"^--set "):
        parse_assignments([assignment])


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False).map(lambda number: number if abs(number) < 1e300 else 0.5)
)
TEXTS = st.text("ab1e-3 ,:#'\"[{", max_size=8)


def nested(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", min_size=1), inner)


@given(st.recursive(SCALARS | TEXTS, nested, max_leaves=5))
def test_any_value_is_read_back_as_it_was_given(value: Any) -> None:
    Path("value.yaml").write_text(f"a: {{b: {flow_text(value)}, c: 1}}\nd: {flow_text(value)}\n")
    assert read_params(Path("value.yaml")) == {"a": {"b": value, "c": 1}, "d": value}


def test_it_is_refused_while_a_run_is_active() -> None:
    with active_run(), pytest.raises(StageFailed, match="another `downstream run` is active"):
        set_values({"seed": 3})
    locks = Path(".downstream/locks")
    locks.mkdir(parents=True)
    with FileLock(locks / "clean@a.lock"), pytest.raises(StageFailed, match="clean@a is running"):
        set_values({"seed": 3})
    assert Path("params.yaml").read_text() == TEXT
    set_values({"seed": 3})


def test_a_run_that_starts_again_beside_another_finds_its_values_set() -> None:
    set_values({"seed": 3})
    with active_run():
        set_values({"seed": 3})
        with pytest.raises(StageFailed, match="another `downstream run` is active"):
            set_values({"seed": True})
    assert read_params()["seed"] == 3


def test_runs_may_be_active_together_and_wait_for_an_edit() -> None:
    with active_run(), active_run():
        pass
    with no_active_run():
        descriptor = os.open(RUN_LOCK, os.O_RDWR)
        with pytest.raises(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        os.close(descriptor)
