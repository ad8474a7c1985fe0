"""How an objective of texts begins: corpus and architecture checked, tokenizer and model made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tasks.contracts import records
from tasks.errors import BadInput
from tasks.inputs.tokenising import corpus_tokenizer
from tasks.inputs.tokenizer import PADDING, SEPARATOR, id_in
from tasks.inputs.traits import TextTraits
from tasks.models import text
from tasks.models.initial.kinds import UNLIMITED

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from tokenizers import Tokenizer

    from tasks.models.initial.kinds import InitialText

END_OF_TEXT = "<|endoftext|>"


class StartingPoint(NamedTuple):
    """A model to train, with what it reads texts by."""

    tokenizer: Tokenizer
    model: Any
    longest: int
    """The longest sequence, in tokens, that it will know: the position embeddings behind keep their
    initial values. A model without positions knows any."""


def start(
    objective: str,
    context: str,
    architecture: ModuleType,
    sizes: Any,
    settings: Any,
    train: Path,
    initial: InitialText | None = None,
) -> StartingPoint:
    """Train the tokenizer and build the model, or take those of ``initial``.

    Args:
        objective: its key in ``params.yaml``.
        context: what the architecture's states have to know, as ``tasks.models.text`` names it.
        architecture: the architecture's module.
        sizes: its settings.
        settings: the objective's, with ``vocabulary_size``, and ``tokens`` if the model has
            positions.
        train: the training split.
        initial: the model to start from.

    Raises:
        BadSettings: the architecture's states know more or less than the objective needs.
        BadInput: the corpus holds images, or does not support the vocabulary that is asked for; or
            the model has fewer positions than an example.
    """
    text.require_context(architecture, context, objective)
    if records.modality_of(records.read_schema(train)) != "text":
        raise BadInput(
            f"{train} holds images; the objective {objective!r} needs text: choose another"
        )
    positions = initial.positions if initial else getattr(sizes, "positions", UNLIMITED)
    if positions < UNLIMITED and settings.tokens > positions:
        raise BadInput(
            f"{objective}.tokens is {settings.tokens}, but the model has {positions} positions: "
            f"lower {objective}.tokens or raise positions"
        )
    if initial:
        longest = max(initial.longest, settings.tokens)
        return StartingPoint(initial.tokenizer(), initial.pretraining_model(), longest)
    longest = UNLIMITED if positions == UNLIMITED else settings.tokens
    tokenizer = corpus_tokenizer(train, settings, objective)
    traits = TextTraits(tokenizer.get_vocab_size(), id_in(tokenizer, PADDING))
    return StartingPoint(tokenizer, architecture.build(sizes, traits), longest)


def separator_of(tokenizer: Tokenizer) -> str:
    """Return the token that stands between texts: ours, or that of a published GPT-2."""
    return END_OF_TEXT if tokenizer.token_to_id(END_OF_TEXT) is not None else SEPARATOR
