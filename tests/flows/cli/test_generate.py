"""``downstream generate``: a response on stdout, and what is refused."""

from pathlib import Path

import pytest

from flows.cli.app import app
from flows.cli.generate import _Stream, generate
from tasks.contracts import paths
from tasks.errors import BadInput, DownstreamError
from tasks.heads._dialogues import Template
from tasks.heads._generator import Decoding, GenerationModel, Generator, encoder_of
from tasks.models.text import TextBackbone
from tasks.plain_text import printable
from tests.classifiers import sample_texts, save_text_classifier, save_tiny_gpt


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that writes, and one that does not."""
    root = tmp_path_factory.mktemp("workspace")
    save_tiny_gpt(root / "backbone", sample_texts()[0], 400)
    backbone = TextBackbone(root / "backbone")
    facts = {"template": Template.of(backbone.tokenizer).facts(), "max_tokens": 12}
    encoder = encoder_of(backbone, pretrained=True, dropout=0)
    GenerationModel(backbone, encoder, facts).save(root / paths.finetuned("answers"))
    sizes = {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64}
    save_text_classifier(root / paths.finetuned("topics"), "bert", sizes)
    return root


@pytest.fixture
def generator(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Generator:
    """The model that writes, in its workspace, which is the current folder."""
    from tasks.heads._model import load_predictor

    monkeypatch.chdir(workspace)
    found = load_predictor(paths.finetuned("answers"))
    assert isinstance(found, Generator)
    return found


def test_a_response_is_printed_as_it_is_written(
    generator: Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate("answers", "oil prices", temperature=2.0, top_p=0.9, seed=3) == 0
    (wanted,) = generator.generate(["oil prices"], Decoding(None, 2.0, 0.9, 3))
    assert wanted
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (printable(wanted) + "\n", "")
    words = ("generate", "answers", "oil prices", "--max-tokens", "1", "--temperature", "2")
    assert app(words, exit_on_error=False, result_action="return_value") == 0
    (wanted,) = generator.generate(["oil prices"], Decoding(1, 2.0))
    assert capsys.readouterr().out == printable(wanted) + "\n"


def test_a_character_is_printed_when_all_of_its_bytes_are_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    stream, printed = _Stream(), []
    for text in ("a", "a\ufffd", "a\ufffd", "aé", "aé\x1b"):
        stream.show(text)
        printed.append(capsys.readouterr().out)
    stream.end("aé\x1b!")
    assert printed == ["a", "", "", "é", " "]
    assert capsys.readouterr().out == "!\n"


@pytest.mark.usefixtures("generator")
def test_what_cannot_be_done_is_refused_in_one_line() -> None:
    with pytest.raises(BadInput, match="topics has the head classification: only generation"):
        generate("topics", "Hi")
    with pytest.raises(BadInput, match=r"data/finetune/other/model holds no model: `downstream"):
        generate("other", "Hi")
    with pytest.raises(DownstreamError, match="--top-p changes nothing at --temperature 0"):
        generate("answers", "Hi", top_p=0.5)
    with pytest.raises(DownstreamError, match="--temperature: expected a finite number"):
        generate("answers", "Hi", temperature=float("nan"))
    with pytest.raises(BadInput, match="the prompt holds bytes that are not UTF-8"):
        generate("answers", "caf\udce9")
    with pytest.raises(BadInput, match="--max-tokens is 64, but the model was trained on 64"):
        generate("answers", "Hi", max_tokens=64)


@pytest.mark.parametrize(
    "option", ["--max-tokens=0", "--top-p=0", "--top-p=1.5", "--seed=-1", f"--seed={2**63}"]
)
def test_options_out_of_range_are_wrong_usage(
    option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    from flows.cli.app import WRONG_USAGE, main

    assert main(["generate", "answers", "Hi", option]) == WRONG_USAGE
    assert option.partition("=")[0] in capsys.readouterr().err
