"""Text models of our own: LSTMs, word vectors, and how they are saved, like transformers'.

Dimensions: N sequences, T tokens, P pairs, K tokens beside each centre, V tokens of the vocabulary,
H features.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from torch import einsum, from_numpy, nn, ones, zeros
from torch.linalg import eigh
from torch.nn.functional import dropout as drop
from torch.nn.functional import linear
from transformers.modeling_outputs import BaseModelOutput, CausalLMOutput

from tasks.contracts import files
from tasks.inputs.traits import TextTraits

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Float, Int
    from torch import Tensor

    from tasks.contracts.settings import Settings

CONFIG, WEIGHTS, ENCODER = "config.json", "model.safetensors", "encoder."
INVERSE_FREQUENCY = 1e-3  # a, of tokens' weights (Arora et al., 2017)
INITIAL_RANGE = 0.1  # of the embeddings (Zaremba et al., 2014)
SomeSettings = TypeVar("SomeSettings", bound="Settings")


class PlainTextModel(nn.Module):
    """A module that can be saved.

    Attributes:
        config: what it takes to build it again.
    """

    def __init__(self, architecture: str, settings: Settings, traits: TextTraits) -> None:
        super().__init__()
        self.config = {
            "architecture": architecture,
            "settings": settings.model_dump(mode="json"),
            "traits": asdict(traits),
        }

    def save_pretrained(self, folder: Path) -> None:
        """Write ``config.json`` and ``model.safetensors``."""
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        files.write_json(folder / CONFIG, self.config)
        weights = {
            name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()
        }
        save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})


def read_config(folder: Path, schema: type[SomeSettings]) -> tuple[SomeSettings, TextTraits]:
    """Return the settings and the traits that the model in a folder was built with."""
    config: dict[str, Any] = files.read_json(folder / CONFIG)
    return schema.parse(config["settings"], str(folder)), TextTraits(**config["traits"])


def load_encoder_weights(encoder: nn.Module, folder: Path) -> None:
    """Load an encoder's weights, which lie in the folder alone or as part of a larger model."""
    from safetensors.torch import load_file

    names = encoder.state_dict().keys()
    weights = load_file(folder / WEIGHTS)
    of_encoder = {name.removeprefix(ENCODER): value for name, value in weights.items()}
    encoder.load_state_dict({name: value for name, value in of_encoder.items() if name in names})


def new_lstm(num_inputs: int, hidden_size: int, layers: int, dropout: float) -> nn.LSTM:
    """Return an LSTM that remembers at first: forget gates open (Jozefowicz et al., 2015).

    Args:
        num_inputs: features of what it reads.
        hidden_size: width of its states.
        layers: LSTM layers.
        dropout: share of activations dropped between them.
    """
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


class WeightedMean(nn.Module):
    """The mean of a text's states, in which rare tokens count more.

    As in "A simple but tough-to-beat baseline for sentence embeddings" (Arora et al., 2017): a
    token that is the share p of all counts a / (a + p). Of the means, their first principal
    component, which all texts have in common, is taken away. What is left is scaled, so that how a
    head learns does not depend on the size of the states.

    Attributes:
        weights: of the tokens; V.
        component: of length 1, or 0 before ``fit``; H.
        scale: a number.
    """

    weights: Tensor
    component: Tensor
    scale: Tensor

    def __init__(self, vocabulary_size: int, num_features: int) -> None:
        super().__init__()
        self.register_buffer("weights", ones(vocabulary_size))
        self.register_buffer("component", zeros(num_features))
        self.register_buffer("scale", ones(()))

    def weigh(self, shares: Float[np.ndarray, " V"]) -> None:
        """Weigh tokens by how rare they are."""
        weights = INVERSE_FREQUENCY / (INVERSE_FREQUENCY + shares)
        self.weights.copy_(from_numpy(weights))

    def fit(self, moments: Float[Tensor, "H H"]) -> None:
        """Learn component and scale.

        Args:
            moments: the mean over texts of their means' products with themselves; float64.
        """
        values, vectors = eigh(moments)
        self.component.copy_(vectors[:, -1])
        rest = (values[:-1].sum() / len(values)).clamp(min=1e-12)
        self.scale.copy_(rest.rsqrt())

    def forward(
        self,
        input_ids: Int[Tensor, "N T"],
        states: Float[Tensor, "N T H"],
        mask: Int[Tensor, "N T"] | None,
    ) -> Float[Tensor, "N H"]:
        """Return one vector of each sequence."""
        weights = self.weights[input_ids]
        lengths = weights.new_full((weights.shape[0], 1), weights.shape[1])
        if mask is not None:
            weights, lengths = weights * mask, mask.sum(1, keepdim=True)
        means = (states * weights[..., None]).sum(1) / lengths
        common = (means * self.component).sum(1, keepdim=True) * self.component
        return (means - common) * self.scale


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
