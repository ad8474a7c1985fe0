"""Word vectors (Mikolov et al., 2013): a table of them, and skip-gram's scores.

Dimensions: N sequences, T tokens, P pairs, K tokens beside each centre, H features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import einsum, nn
from transformers.modeling_outputs import BaseModelOutput

from tasks.models.plain_text import PlainTextModel

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from tasks.inputs.traits import TextTraits


class VectorTable(PlainTextModel):
    """Token ids to their vectors."""

    def __init__(self, settings: Any, traits: TextTraits) -> None:
        super().__init__("wordvectors", settings, traits)
        self.embedding = nn.Embedding(traits.vocabulary_size, settings.hidden_size)
        bound = 0.5 / settings.hidden_size
        nn.init.uniform_(self.embedding.weight, -bound, bound)

    def forward(
        self,
        input_ids: Int[Tensor, "N T"],
        attention_mask: Int[Tensor, "N T"] | None = None,  # noqa: ARG002 - tokens stand alone
    ) -> BaseModelOutput:
        """Return ``last_hidden_state``, N T H."""
        return BaseModelOutput(last_hidden_state=self.embedding(input_ids))


class SkipGram(PlainTextModel):
    """Vectors of tokens as centres and, apart from them, as contexts; the latter begin at 0."""

    def __init__(self, settings: Any, traits: TextTraits) -> None:
        super().__init__("wordvectors", settings, traits)
        self.encoder = VectorTable(settings, traits)
        self.contexts = nn.Embedding(traits.vocabulary_size, settings.hidden_size)
        nn.init.zeros_(self.contexts.weight)

    def forward(
        self, centres: Int[Tensor, " P"], contexts: Int[Tensor, "P K"]
    ) -> Float[Tensor, "P K"]:
        """Return the scores of contexts beside centres: the products of their vectors."""
        centre = self.encoder.embedding(centres)
        return einsum("ph,pkh->pk", centre, self.contexts(contexts))
