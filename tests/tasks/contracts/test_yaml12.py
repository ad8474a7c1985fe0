"""YAML is read as DVC reads it, and as it writes it."""

import math
from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml, loads_yaml
from hypothesis import given
from hypothesis import strategies as st
from yaml import YAMLError

from tasks.contracts.yaml12 import parse_yaml

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(["no", "on", "y", "1:30", "5e-05", "1e+16", "0o17", "~", "<<", "=", ".5"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_dvc_writes_is_read_as_it_was(value: Any) -> None:
    assert repr(parse_yaml(dumps_yaml({"key": value}))) == repr({"key": value})


def outcome(parse: Any, text: str) -> Any:
    try:
        return parse(text)["key"]
    except Exception:  # noqa: BLE001 - any refusal is one
        return "refused"


@given(st.text("0123456789.eE+-_xobnyaftrulsNTF~:", max_size=6))
def test_a_plain_word_is_read_as_dvc_reads_it(word: str) -> None:
    ours, theirs = (outcome(parse, f"key: {word}\n") for parse in (parse_yaml, loads_yaml))
    if hasattr(theirs, "isoformat"):  # DVC makes dates of them, and then text in dvc.lock
        assert ours == word
    else:
        assert (repr(ours), type(ours)) == (repr(theirs), type(theirs))


@pytest.mark.parametrize(
    ("word", "value"),
    [("5e-05", 5e-05), ("1e+16", 1e16), ("no", "no"), ("on", "on"), ("1:30", "1:30"),
     ("017", 17), ("0o17", 15), ("-.inf", -math.inf), ("2026-11-22", "2026-11-22")],
)  # fmt: skip
def test_the_words_that_yaml_1_1_reads_otherwise(word: str, value: Any) -> None:
    assert parse_yaml(f"[{word}]") == [value]


def test_a_key_that_stands_twice_is_refused() -> None:
    with pytest.raises(YAMLError, match="the key 'a' stands twice"):
        parse_yaml("a: 1\na: 2\n")


@pytest.mark.parametrize("text", ["a: {{b}}\n", "? [a]\n: b\n"])
def test_a_key_that_is_no_text_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(YAMLError, match=r"unhashable key\s+in .* line 1"):
        parse_yaml(text)
