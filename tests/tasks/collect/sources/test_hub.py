"""The hub's library on local folders, and without a network."""

from typing import TYPE_CHECKING, Any

import pytest

from tasks.errors import BadInput, MissingPin, Unreachable

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tasks.collect.conftest import Corpus


def save(folder: "Path", columns: dict[str, list[Any]], features: Any, split: str) -> None:
    import datasets

    folder.mkdir(exist_ok=True)
    table = datasets.Dataset.from_dict(columns, features=features)
    table.to_parquet(str(folder / f"{split}.parquet"))


def texts(folder: "Path", split: str, rows: list[tuple[str, int]]) -> None:
    import datasets

    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["差评", "好评"])}
    )
    columns = {"text": [row[0] for row in rows], "label": [row[1] for row in rows]}
    save(folder, columns, features, split)


def test_official_splits_and_class_names_are_kept(corpus: "Corpus", tmp_path: "Path") -> None:
    texts(tmp_path / "set", "train", [("好吃", 1), ("难吃", 0), ("?", -1)])
    texts(tmp_path / "set", "test", [("不错", 1)])
    source = {"kind": "hub", "id": "./set"}
    corpus.refresh(source)
    records = corpus.collect(source)
    assert [(record["text"], record["label"], record["split"]) for record in records] == [
        ("好吃", "好评", "train"),
        ("难吃", "差评", "train"),
        ("?", None, "train"),
        ("不错", "好评", "test"),
    ]
    assert (records[1]["source"], records[1]["row"]) == ("hub:./set/train", 2)


def test_images_are_kept_as_found(corpus: "Corpus", tmp_path: "Path", png: bytes) -> None:
    import datasets

    features = datasets.Features({"picture": datasets.Image(), "label": datasets.Value("int64")})
    columns = {"picture": [{"bytes": png, "path": None}], "label": [4]}
    save(tmp_path / "set", columns, features, "train")
    source = {"kind": "hub", "id": "./set", "image": "picture"}
    corpus.refresh(source)
    assert [(record["image"], record["label"]) for record in corpus.collect(source)] == [(png, "4")]


def test_a_folder_of_images_by_class_is_read(
    corpus: "Corpus", tmp_path: "Path", png: bytes
) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "set" / "train" / name).mkdir(parents=True)
        (tmp_path / "set" / "train" / name / "1.png").write_bytes(png)
    source = {"kind": "hub", "id": "./set", "image": "image"}
    corpus.refresh(source)
    assert [(record["image"], record["label"]) for record in corpus.collect(source)] == [
        (png, "cat"),
        (png, "dog"),
    ]


def test_splits_can_be_mapped(corpus: "Corpus", tmp_path: "Path") -> None:
    texts(tmp_path / "set", "train", [("a", 1)])
    texts(tmp_path / "set", "test", [("b", 1)])
    source = {"kind": "hub", "id": "./set", "splits": {"validation": "test"}}
    corpus.refresh(source)
    assert [record["split"] for record in corpus.collect(source)] == ["validation"]


def test_a_split_that_is_not_there_lists_those_there_are(
    corpus: "Corpus", tmp_path: "Path"
) -> None:
    texts(tmp_path / "set", "train", [("a", 1)])
    source = {"kind": "hub", "id": "./set", "splits": {"test": "dev"}}
    corpus.refresh(source)
    with pytest.raises(BadInput) as error:
        corpus.collect(source)
    assert str(error.value) == (
        "hub ./set has the splits train; say in `splits` which of them stand for train, "
        "validation, test (dev does not fit)"
    )


def test_a_missing_column_lists_those_there_are(corpus: "Corpus", tmp_path: "Path") -> None:
    texts(tmp_path / "set", "train", [("a", 1)])
    source = {"kind": "hub", "id": "./set", "text": "texts"}
    corpus.refresh(source)
    with pytest.raises(BadInput, match=r"hub:\./set/train has no column 'texts'.*mean 'text'\?"):
        corpus.collect(source)


def test_a_folder_that_changed_since_its_pin_is_refused(corpus: "Corpus", tmp_path: "Path") -> None:
    texts(tmp_path / "set", "train", [("a", 1)])
    source = {"kind": "hub", "id": "./set"}
    corpus.refresh(source)
    texts(tmp_path / "set", "train", [("b", 1)])
    with pytest.raises(BadInput, match=r"^\./set: expected sha256 .* \(pin\.json\), found "):
        corpus.collect(source)


def test_a_script_is_never_run(corpus: "Corpus", tmp_path: "Path") -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "set.py").write_text("raise SystemExit('a script of the hub was run')")
    source = {"kind": "hub", "id": "./set"}
    corpus.refresh(source)
    with pytest.raises(BadInput, match=r"^hub \./set: "):
        corpus.collect(source)


def test_an_unpinned_data_set_is_refused(corpus: "Corpus") -> None:
    with pytest.raises(MissingPin, match=r"source 0 \(hub org/name@main\)"):
        corpus.collect({"kind": "hub", "id": "org/name"})


def test_no_network_is_one_line(corpus: "Corpus", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    source = {"kind": "hub", "id": "org/name"}
    expected = (
        "the Hugging Face hub does not answer for org/name (ConnectError): "
        "check the network and run again"
    )
    with pytest.raises(Unreachable) as error:
        corpus.refresh(source)
    assert str(error.value) == expected
    corpus.pin.write_text('{"hub:org/name@main": {"revision": "0123456789abcdef"}}')
    with pytest.raises(Unreachable) as error:
        corpus.collect(source)
    assert str(error.value) == expected


def test_a_data_set_that_is_not_kept_cannot_be_read_offline(
    corpus: "Corpus", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    corpus.pin.write_text('{"hub:org/name@main": {"revision": "0123456789abcdef"}}')
    with pytest.raises(Unreachable) as error:
        corpus.collect({"kind": "hub", "id": "org/name"})
    assert str(error.value).startswith("hub org/name: ")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "pin", ["{}", '{"revision": {"a": 1}}', '{"revision": "../.."}', '{"sha256": "0"}']
)
def test_a_pin_that_is_none_is_one_line(corpus: "Corpus", pin: str) -> None:
    corpus.pin.write_text(f'{{"hub:org/name@main": {pin}}}')
    with pytest.raises(BadInput, match=r"^pin\.json: hub:org/name@main: expected revision, found"):
        corpus.collect({"kind": "hub", "id": "org/name"})
