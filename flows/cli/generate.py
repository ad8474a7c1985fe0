"""The command ``downstream generate``."""

import math
import sys
import tempfile
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from tasks.errors import BadInput, DownstreamError
from tasks.plain_text import printable

GENERATION = "generation"
UNFINISHED = "\ufffd"
"""What the first bytes of a character are shown as, until all of it is written."""


def generate(
    model: Annotated[str, Parameter(help="A row of models with head: generation.")],
    prompt: Annotated[str, Parameter(help="What is to be answered.")],
    *,
    max_tokens: Annotated[
        int | None,
        Parameter(
            help="Most tokens of the response; by default those of the longest training response.",
            validator=Number(gte=1),
        ),
    ] = None,
    temperature: Annotated[
        float,
        Parameter(
            help="0 takes the likeliest token each time; above, tokens are drawn, the more evenly "
            "the higher it is.",
            validator=Number(gte=0),
        ),
    ] = 0.0,
    top_p: Annotated[
        float,
        Parameter(
            help="Draw from the likeliest tokens that have this probability together.",
            validator=Number(gt=0, lte=1),
        ),
    ] = 1.0,
    seed: Annotated[
        int, Parameter(help="What is drawn follows from it.", validator=Number(gte=0, lt=2**63))
    ] = 0,
    version: Annotated[
        int | None,
        Parameter(help="A registered version; by default the model that lies in data/finetune."),
    ] = None,
) -> int:
    """Print the response of a finetuned model to a prompt, as it is written.

    Reads the model from data/finetune, with --version from MLflow; writes nothing.
    """
    if not math.isfinite(temperature):
        raise DownstreamError("--temperature: expected a finite number")
    if temperature == 0 and top_p < 1:
        raise DownstreamError(
            "--top-p changes nothing at --temperature 0, which takes the likeliest token: set both"
        )
    from tasks.heads._targets import is_text

    if not is_text(prompt):
        raise BadInput("the prompt holds bytes that are not UTF-8: write it in UTF-8")
    with tempfile.TemporaryDirectory() as temporary:
        folder = _folder_of(model, version, Path(temporary))
        from tasks.heads._generator import Decoding, Generator
        from tasks.heads._model import load_predictor
        from tasks.training.determinism import make_deterministic

        make_deterministic(seed)
        generator = load_predictor(folder)
    assert isinstance(generator, Generator)  # noqa: S101 - for the types: its head is generation
    shown = _Stream()
    decoding = Decoding(max_tokens, temperature, top_p, seed)
    (response,) = generator.generate([prompt], decoding, shown.show)
    shown.end(response)
    return 0


def _folder_of(model: str, version: int | None, temporary: Path) -> Path:
    """Return where the model lies, or a copy of a registered one."""
    from tasks.contracts import paths
    from tasks.models.model import DESCRIPTION, description

    folder = paths.finetuned(model)
    if version is not None:
        from tasks.promotion.versions import download_model
        from tasks.tracking.registry.version import read_version
        from tasks.tracking.store import opened

        with opened() as client:
            folder = download_model(client, read_version(client, model, version), temporary)
    elif not (folder / DESCRIPTION).is_file():
        raise BadInput(
            f"{folder} holds no model: `downstream run finetune@{model}`, or name a registered "
            "--version"
        )
    head = description(folder).get("head", "classification")
    if head != GENERATION:
        raise BadInput(f"{model} has the head {head}: only {GENERATION} writes responses")
    return folder


class _Stream:
    """What is printed of a response while it grows."""

    def __init__(self) -> None:
        self._printed = ""

    def show(self, response: str) -> None:
        """Print what has come; nothing of a character that is not whole."""
        if not response.endswith(UNFINISHED) and response.startswith(self._printed):
            self._write(response)

    def end(self, response: str) -> None:
        """Print what is left, and end the line."""
        self._write(response)
        sys.stdout.write("\n")
        sys.stdout.flush()

    def _write(self, response: str) -> None:
        sys.stdout.write(printable(response[len(self._printed) :]))
        sys.stdout.flush()
        self._printed = response
