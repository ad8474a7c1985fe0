"""A checkpoint that somebody has published to attack who starts from it: one line, and no more.

They are opened one after the other in a process that may hold 3 GiB.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import BadInput
from tasks.models.initial.published import Checkpoint
from tests.tasks.conftest import texts
from tests.tasks.pretrain.conftest import published, published_gpt2, published_vit

__all__ = ["published", "published_gpt2", "published_vit", "texts"]

OPEN = """
import json, resource, sys, traceback
from pathlib import Path
from tasks.errors import BadInput
from tasks.models.initial.published import Checkpoint
resource.setrlimit(resource.RLIMIT_DATA, (3 << 30, 3 << 30))
said = {}
for folder in map(Path, sys.argv[1:]):
    try:
        checkpoint = Checkpoint(folder, "bert", "hub: someone/tiny")
        checkpoint.positions
        checkpoint.tokenizer()
        checkpoint.encoder()
        checkpoint.pretraining_model()
        checkpoint.predicts_next_sentences
        said[folder.parent.name] = "taken"
    except BadInput as error:
        said[folder.parent.name] = str(error)
    except BaseException:
        said[folder.parent.name] = traceback.format_exc()
print(json.dumps(said))
"""


def config(**values: Any) -> Callable[[Path], None]:
    """Return what gives ``config.json`` other values."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def content(name: str, text: str) -> Callable[[Path], None]:
    """Return what gives a file another content."""
    return lambda folder: (folder / name).write_text(text) and None


def index_of(file: str, text: str = "") -> Callable[[Path], None]:
    """Return what has an index, or a text in its place, say that all weights lie in a file."""

    def change(folder: Path) -> None:
        from safetensors import safe_open

        with safe_open(folder / "model.safetensors", "pt") as weights:
            names = list(weights.keys())
        (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
        (folder / "weights.bin").write_bytes(b"\x80\x04.")
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, file)}
        (folder / "model.safetensors.index.json").write_text(text or json.dumps(index))

    return change


ATTACKS: list[tuple[Callable[[Path], None], str]] = [
    (config(), "taken"),
    (index_of("../outside.safetensors"), "names the file '../outside.safetensors'"),
    (index_of("/etc/passwd"), "names the file '/etc/passwd'"),
    (index_of("weights.bin"), "names the file 'weights.bin'"),
    (index_of("model-1.safetensors"), "names the file 'model-1.safetensors', which is not"),
    (index_of("model.safetensors", "[]"), "model.safetensors.index.json is damaged"),
    (content("adapter_config.json", '{"base_model_name_or_path": "someone/model"}'), "adapters"),
    (config(vocab_size=100_000_000), "weights, but its files hold"),
    (config(hidden_size=100_000), "weights, but its files hold"),
    (config(num_hidden_layers=10_000_000), "describes 10,000,000 layers"),
    (config(num_hidden_layers="many"), "config.json describes no model"),
    (config(hidden_size=0), "config.json describes no model"),
    (config(hidden_size=-32), "config.json describes no model"),
    (config(num_attention_heads=7), "config.json describes no model"),
    (config(max_position_embeddings=None), "config.json describes no model"),
    (config(hidden_act="os.system"), "config.json describes no model"),
    (config(vocab_size=10), "the tokenizer has"),
    (config(quantization_config={"quant_method": "gptq", "bits": 4}), "taken"),
    (config(_attn_implementation="someone/kernel"), "taken"),
    (config(auto_map={"AutoModel": "someone/code--model.Model"}), "taken"),
    (content("tokenizer.json", "{}"), "tokenizer.json is damaged"),
    (content("tokenizer.json", '{"model": {"type": "BPE"'), "tokenizer.json is damaged"),
    (content("config.json", '{"model_type": "bert", "model_type": "gpt2"}'), "is a 'gpt2'"),
    (content("config.json", "[" * 100_000), "config.json"),
    (content("model.safetensors", "\x00" * 64), "cannot be loaded"),
]  # fmt: skip


@pytest.fixture(scope="module")
def said(published: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What comes of each attack, by its number."""
    root = tmp_path_factory.mktemp("attacks")
    folders = []
    for number, (attack, _) in enumerate(ATTACKS):
        folder = root / str(number) / "checkpoint"
        shutil.copytree(published, folder)
        attack(folder)
        folders.append(str(folder))
    done = subprocess.run(
        [sys.executable, "-c", OPEN, *folders],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("text", ["true", "[1]"])
def test_what_lies_beside_a_model_that_writes_texts_is_one_line(
    published_gpt2: Path, tmp_path: Path, text: str
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree(published_gpt2, folder)
    (folder / "generation_config.json").write_text(text)
    checkpoint = Checkpoint(folder, "gpt2", "hub: someone/tiny")
    with pytest.raises(BadInput, match=r"^hub: someone/tiny cannot be loaded: .{5,200}$"):
        checkpoint.pretraining_model()


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("vit_mae", {"decoder_num_hidden_layers": 10**9}, "describes 1,000,000,000 layers"),
        ("vit_mae", {"decoder_hidden_size": 60_000}, "weights, but its files hold"),
        ("gpt2", {"num_hidden_layers": 10**9}, "describes 1,000,000,000 layers"),
        ("gpt2", {}, ""),
        ("vit_mae", {}, ""),
    ],
)
def test_a_decoder_and_other_names_of_layers_are_held_to_the_weights_too(
    published_gpt2: Path,
    published_vit: Path,
    tmp_path: Path,
    kind: str,
    values: dict[str, int],
    expected: str,
) -> None:
    folder = tmp_path / "checkpoint"
    shutil.copytree({"gpt2": published_gpt2, "vit_mae": published_vit}[kind], folder)
    config(**values)(folder)
    try:
        Checkpoint(folder, kind, "hub: someone/tiny")
        said = ""
    except BadInput as error:
        said = str(error)
    assert bool(said) == bool(expected)
    assert expected in said


@pytest.mark.parametrize("number", range(len(ATTACKS)))
def test_what_is_wrong_with_a_checkpoint_is_one_line(said: dict[str, str], number: int) -> None:
    line = said[str(number)]
    assert ATTACKS[number][1] in line
    assert len(line.splitlines()) == 1
    assert len(line) < 700
