"""A model with random weights for a tokenizer that is not a WordPiece one trained on its corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tasks.inputs.tokenizer import PADDING
from tasks.inputs.traits import TextTraits
from tasks.models.initial.kinds import UNLIMITED

if TYPE_CHECKING:
    from collections.abc import Callable
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
        return self._architecture.build(self._sizes, traits)
