"""YAML is read as DVC reads it, and as it writes it."""

import math
from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml, loads_yaml
from hypothesis import given
from hypothesis import strategies as st
from yaml import YAMLError

from tasks.contracts.yaml12 import parse_yaml

# DVC itself does not read its next-line character as it wrote it: see below.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x85"))
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | TEXTS
    | st.sampled_from(["no", "on", "y", "1:30", "5e-05", "1e+16", "0o17", "~", "<<", "=", ".5"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_what_dvc_writes_is_read_as_it_was(value: Any) -> None:
    assert repr(parse_yaml(dumps_yaml({"key": value}))) == repr({"key": value})


@pytest.mark.parametrize("text", ["\x85", "a\x85b"])
def test_what_dvc_loses_when_it_writes_is_read_as_it_reads_it(text: str) -> None:
    written = dumps_yaml({"key": text, text: 1})
    assert loads_yaml(written)["key"] == text.replace("\x85", " ")
    assert parse_yaml(written) == loads_yaml(written)


def outcome(parse: Any, text: str) -> Any:
    try:
        return parse(text)["key"]
    except Exception:  # noqa: BLE001 - any refusal is one
        return "refused"


@given(st.text("0123456789.eE+-_xobnyaftrulsNTF~:", max_size=6))
def test_a_plain_word_is_read_as_dvc_reads_it(word: str) -> None:
    ours, theirs = (outcome(parse, f"key: {word}\n") for parse in (parse_yaml, loads_yaml))
    if hasattr(theirs, "isoformat"):  # DVC makes dates of them, and takes none as a parameter
        assert ours == "refused"
    else:
        assert (repr(ours), type(ours)) == (repr(theirs), type(theirs))


@pytest.mark.parametrize(
    ("word", "value"),
    [("5e-05", 5e-05), ("1e+16", 1e16), ("no", "no"), ("on", "on"), ("1:30", "1:30"),
     ("017", 17), ("0o17", 15), ("-.inf", -math.inf), ("2026-1-2", "2026-1-2")],
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


def laughs(last: int) -> str:
    """A text of a few lines that aliases make ten to the power of ``last`` values of."""
    lines = (f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, last + 1))
    return "\n".join(["a0: &a0 [x, x, x, x, x, x, x, x, x, x]", *lines])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: -_", "'-_' is no int"),
        ("a: 0b_", "'0b_' is no int"),
        ("a: " + "9" * 5000, "'" + "9" * 40 + "' is no int"),
        ("a: 0x" + "f" * 5000, "is no int"),
        ("a: !!bool maybe", "'maybe' is no bool"),
        ("a: !!int [1]", "expected a scalar node"),
        ("a: !!float maybe", "'maybe' is no float"),
        ("a: 2026-11-29", "'2026-11-29' is a date, which DVC refuses: put it into quotes"),
        ("a: 2026-13-45", "is a date, which DVC refuses"),
        ("2026-11-29: a", "is a date, which DVC refuses"),
        ("a: 2026-11-29T10:00:00Z", "is a date, which DVC refuses"),
        ("a: !!set {b, c}", "DVC takes no value of the kind tag:yaml.org,2002:set"),
        ("a: !!map b", "expected keys with values"),
        ("a: !!python/name:os.system", "DVC takes no value of the kind"),
        ("a: " + "[" * 20_000, "nested more than 100 deep"),
        ("a: " + "[" * 20_000 + "]" * 20_000, "nested more than 100 deep"),
        ("a: " + "[" * 500_000 + "]" * 500_000, "nested more than 100 deep"),
        ("{a: " * 20_000 + "}" * 20_000, "nested more than 100 deep"),
        ("- " * 20_000, "nested more than 100 deep"),
        ("? " * 20_000, "nested more than 100 deep"),
        ("\n".join(" " * n + "a:" for n in range(3000)), "nested more than 100 deep"),
        ("a: &a [*a]", "an alias stands inside of what it is an alias of"),
        ("a: &a {b: [{c: *a}]}", "an alias stands inside of what it is an alias of"),
        (laughs(9), "its aliases make more than 100,000 values of it"),
        (laughs(60), "its aliases make more than 100,000 values of it"),
        ("<<: 1", "expected a mapping or list of mappings for merging"),
        ("a: [<<]", "DVC takes no value of the kind tag:yaml.org,2002:merge"),
        ("{<<: {a: 1}, <<: {b: 2}}", "the key '<<' stands twice"),
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_what_is_no_value_is_one_error_at_once(text: str, message: str) -> None:
    with pytest.raises(YAMLError, match=message):
        parse_yaml(text)


@pytest.mark.parametrize(
    "text",
    ["x: &x {a: 1}\ny:\n  <<: *x\n  a: 2\n", "y:\n  a: 1\n  <<: [{a: 3, b: 4}, {b: 5}]\n",
     "y: {'<<': 1}", laughs(3), "x: &x [1]\ny: [*x, *x]\n"],
)  # fmt: skip
def test_merged_keys_and_aliases_are_read_as_dvc_reads_them(text: str) -> None:
    assert parse_yaml(text) == loads_yaml(text)


@given(st.text("abz019-_&*!{}[]:,?<>~'\"\\n .|#%@\t", max_size=30))
def test_any_text_is_refused_by_one_error_or_read_as_dvc_reads_it(text: str) -> None:
    try:
        ours = repr(parse_yaml(text))
    except YAMLError:
        return
    try:
        theirs = repr(loads_yaml(text))
    except Exception:  # noqa: BLE001 - any refusal is one
        return
    assert ours == theirs


def test_aliases_of_a_large_text_that_make_little_of_it_are_read() -> None:
    rows = [f"row-{number}: *shared" for number in range(30_000)]
    read = parse_yaml("\n".join(["shared: &shared {a: 1, b: [2, 3], c: {d: 4}}", *rows]))
    assert len(read) == 30_001
    assert read["row-29999"] == {"a": 1, "b": [2, 3], "c": {"d": 4}}
