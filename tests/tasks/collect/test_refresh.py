"""``pin.json`` holds the pins of the present sources, and nothing else."""

import json
from typing import TYPE_CHECKING

import pytest

from tasks.errors import BadInput

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus


def test_a_corpus_without_remote_sources_gets_an_empty_file(corpus: "Corpus") -> None:
    corpus.pin.unlink()
    assert corpus.refresh({"kind": "files"}, {"kind": "sklearn"}) == {}
    assert corpus.pin.read_text() == "{}\n"


def test_the_pin_of_a_source_that_is_gone_goes(corpus: "Corpus") -> None:
    corpus.write("hub/train.csv", "text,label\na,x\n")
    corpus.pin.write_text('{"wheel:gone==1": {"sha256": "00"}}')
    hub = {"kind": "hub", "id": f"{corpus.folder}/hub"}
    pins = corpus.refresh(hub)
    assert list(pins) == [f"hub:{corpus.folder}/hub@main"]
    assert json.loads(corpus.pin.read_text()) == pins


def test_a_failed_refresh_leaves_the_pins_as_they_were(corpus: "Corpus") -> None:
    corpus.pin.write_text('{"wheel:kept==1": {"sha256": "00"}}')
    with pytest.raises(BadInput, match=r"\./nowhere is not a folder"):
        corpus.refresh({"kind": "hub", "id": "./nowhere"})
    assert corpus.pin.read_text() == '{"wheel:kept==1": {"sha256": "00"}}'
