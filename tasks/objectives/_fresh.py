"""A model with random weights for a tokenizer that is not a WordPiece one trained on its corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.errors import BadInput
from tasks.inputs.byte_pairs import without_added_tokens
from tasks.inputs.tokenizer import PADDING
from tasks.inputs.traits import TextTraits
from tasks.models.initial.kinds import UNLIMITED
from tasks.models.initial.published import published_tokenizer
from tasks.objectives._texts import separator_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import ModuleType

    from tokenizers import Tokenizer


class FreshText:
    """What an objective of texts starts from: nothing but a tokenizer.

    Attributes:
        positions: the longest sequence that the model takes, in tokens.
        longest: the longest that it was trained on: none, or any where it has no positions.
    """

    predicts_next_sentences = False

    def __init__(
        self, tokenizer: Callable[[], Tokenizer], architecture: ModuleType, sizes: Any
    ) -> None:
        """Take what the model is built of.

        Args:
            tokenizer: gives one that neither cuts texts nor fills them up; it is asked once the
                corpus and the sizes have been checked.
            architecture: the architecture's module.
            sizes: its settings.
        """
        self.positions: int = getattr(sizes, "positions", UNLIMITED)
        self.longest = UNLIMITED if self.positions == UNLIMITED else 0
        self._tokenizer = tokenizer
        self._architecture: Any = architecture
        self._sizes = sizes

    def tokenizer(self) -> Tokenizer:
        """Return the tokenizer."""
        return self._tokenizer()

    def pretraining_model(self) -> Any:
        """Return a model with random weights."""
        tokenizer = self._tokenizer()
        traits = TextTraits(tokenizer.get_vocab_size(), tokenizer.token_to_id(PADDING) or 0)
        model: Any = self._architecture.build(self._sizes, traits)
        # A GPT-2 says what ends a text; it is built for the WordPiece tokenizers trained here.
        configs: list[Any] = [model.config, getattr(model, "generation_config", None)]
        for config in configs:
            if getattr(config, "eos_token_id", None) is not None:
                end = tokenizer.token_to_id(separator_of(tokenizer))
                config.bos_token_id = config.eos_token_id = end
        return model


def fresh_tokenizer(folder: Path, name: str) -> Tokenizer:
    """Return a published tokenizer; of one of bytes, no text is taken for a special token.

    Args:
        folder: where it lies.
        name: what errors call it.

    Raises:
        BadInput: there is none, it is damaged, or some ids below its highest are of no token.
    """
    tokenizer = published_tokenizer(folder, name)
    highest, size = max(tokenizer.get_vocab().values(), default=0), tokenizer.get_vocab_size()
    if highest + 1 != size:
        raise BadInput(
            f"{name}: the tokenizer has {size:,} tokens, but their ids go up to {highest:,}: "
            "choose another"
        )
    return without_added_tokens(tokenizer)
