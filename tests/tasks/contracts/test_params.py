"""Reading params.yaml exactly as DVC does."""

from pathlib import Path

import pytest
from dvc.utils.serialize import load_yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.params import read_params, row_of
from tasks.errors import BadSettings


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "value",
    ["1e-3", "1.5e3", "no", "yes", "on", "true", "False", "0o17", "017", "0x1F", "1_000", "~", "",
     "null", ".5", "-.inf", "1.16.3", "2026-11-22", "12:30:45", "'1'", "+1", "1.", "-0x1F"],
)  # fmt: skip
def test_a_value_is_read_as_dvc_reads_it(tmp_path: Path, value: str) -> None:
    path = written(tmp_path, f"key: {value}\n")
    ours, theirs = read_params(path)["key"], load_yaml(path)["key"]
    if hasattr(theirs, "isoformat"):  # DVC makes dates of them, and then text in dvc.lock
        assert ours == value
    else:
        assert (ours, type(ours)) == (theirs, type(theirs))


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_any_float_survives(tmp_path_factory: pytest.TempPathFactory, number: float) -> None:
    path = written(tmp_path_factory.mktemp("params"), f"key: {number!r}\n")
    assert read_params(path)["key"] == number


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", "is not YAML"),
        (
            "just words\n",
            "expected the keys seed, corpora, backbones and models, found 'just words'",
        ),
        ("", "found None"),
        ("seed: 0\nseed: 1\n", "the key 'seed' stands twice"),
    ],
)
def test_what_is_no_mapping_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadSettings) as error:
        read_params(written(tmp_path, text))
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"is missing: run from the repository's root"):
        read_params(tmp_path / "params.yaml")


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"seed: 0 # \xff\n")
    with pytest.raises(BadSettings, match=r"byte 10 is not UTF-8"):
        read_params(tmp_path / "params.yaml")


def test_an_unknown_row_lists_those_there_are() -> None:
    with pytest.raises(BadSettings, match=r"corpora has no row 'reuter'; .*did you mean 'reuters'"):
        row_of({"corpora": {"reuters": {}, "digits": {}}}, "corpora", "reuter")
