"""LSTMs over tokens (Hochreiter and Schmidhuber, 1997): encoder, language model, reader.

Dimensions: N sequences, T tokens, V tokens of the vocabulary, H features.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn, zeros
from torch.nn.functional import dropout as drop
from torch.nn.functional import linear
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from tasks.models.plain_text import PlainTextModel

if TYPE_CHECKING:
    from jaxtyping import Float, Int
    from torch import Tensor

    from tasks.inputs.traits import TextTraits

INITIAL_RANGE = 0.1  # of the embeddings (Zaremba et al., 2014)


def new_lstm(num_inputs: int, hidden_size: int, layers: int, dropout: float) -> nn.LSTM:
    """Return an LSTM that remembers at first: forget gates open (Jozefowicz et al., 2015)."""
    lstm = nn.LSTM(
        num_inputs, hidden_size, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0
    )
    for name, value in lstm.named_parameters():
        if name.startswith("bias_hh"):
            nn.init.constant_(value[hidden_size : 2 * hidden_size], 1.0)
    return lstm


class LstmEncoder(PlainTextModel):
    """Token ids to states, from left to right; padding stands behind, so it reaches no token."""

    def __init__(self, settings: Any, traits: TextTraits, dropout: float) -> None:
        super().__init__("lstm", settings, traits)
        self.embedding = nn.Embedding(traits.vocabulary_size, settings.hidden_size)
        nn.init.uniform_(self.embedding.weight, -INITIAL_RANGE, INITIAL_RANGE)
        self.lstm = new_lstm(settings.hidden_size, settings.hidden_size, settings.layers, dropout)
        self._dropout = dropout

    def forward(
        self,
        input_ids: Int[Tensor, "N T"],
        attention_mask: Int[Tensor, "N T"] | None = None,  # noqa: ARG002 - see above
    ) -> BaseModelOutput:
        """Return ``last_hidden_state``, N T H."""
        embedded = drop(self.embedding(input_ids), self._dropout, self.training)
        states = self.lstm(embedded)[0]
        return BaseModelOutput(last_hidden_state=drop(states, self._dropout, self.training))


class LstmLanguageModel(PlainTextModel):
    """An encoder and the next token's logits; embeddings in and out are the same weights."""

    def __init__(self, settings: Any, traits: TextTraits) -> None:
        super().__init__("lstm", settings, traits)
        self.encoder = LstmEncoder(settings, traits, settings.dropout)
        self.bias = nn.Parameter(zeros(traits.vocabulary_size))

    def forward(self, input_ids: Int[Tensor, "N T"]) -> CausalLMOutput:
        """Return ``logits``, N T V."""
        states = self.encoder(input_ids).last_hidden_state
        return CausalLMOutput(logits=linear(states, self.encoder.embedding.weight, self.bias))


class LstmReader(nn.Module):
    """An LSTM over states that know nothing of each other, such as word vectors."""

    def __init__(self, num_inputs: int, hidden_size: int) -> None:
        super().__init__()
        self.lstm = new_lstm(num_inputs, hidden_size, 1, 0.0)

    def forward(self, states: Float[Tensor, "N T _"]) -> BaseModelOutput:
        """Return ``last_hidden_state``, N T H."""
        return BaseModelOutput(last_hidden_state=self.lstm(states)[0])
