"""Word vectors of co-occurrence: positive pointwise mutual information, factorised.

How much oftener two tokens stand near each other than by chance is what skip-gram learns step by
step (Levy and Goldberg, 2014, "Neural word embedding as implicit matrix factorization"). Here it is
counted, and its truncated singular value decomposition is the vectors: seconds on a small corpus,
and no steps. Frequent contexts are smoothed, neighbours weighted by how near they are, singular
values by an exponent (Levy et al., 2015, https://aclanthology.org/Q15-1016).

Dimensions: V tokens of the vocabulary, H numbers a vector, N pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.contracts import settings as contract
from tasks.errors import BadInput
from tasks.inputs.documents import Documents
from tasks.inputs.tokenising import read_documents
from tasks.inputs.tokenizer import add_no_special_tokens, save_tokenizer
from tasks.models import text
from tasks.models.frequencies import save_frequencies
from tasks.objectives._texts import UNLIMITED, start
from tasks.training.task import Task

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from scipy.sparse import csr_matrix
    from tokenizers import Tokenizer

CONTEXT = text.SINGLE_TOKENS
TAKES_STEPS = False
"""So that the section ``training`` has nothing to say."""
WINDOW, SMOOTHING, EIGENVALUE_WEIGHTING = 10, 0.75, 1.0
EMBEDDING_DEVIATION = 0.1
"""Of embeddings that start from vectors. A BERT on R8 gains little from them with the 0.02 of its
random ones, and no more with 0.2 than with 0.1 (docs/training.md)."""
TOKENS_PER_PIECE = 1 << 20
POWER_ITERATIONS = 4
PAIRS_AT_ONCE = 1 << 15
MOST_HELD_OUT = 1 << 20
"""Of more pairs of tokens in the validation texts so many are looked at."""


class Settings(contract.Settings):
    """What is counted, and how it is weighted; R8's validation split chose the defaults."""

    vocabulary_size: int = Field(
        8000, ge=32, le=1 << 15, description="most tokens of the tokenizer; memory grows with it"
    )
    window: int = Field(
        WINDOW, ge=1, le=100, description="the greatest distance counted, in tokens"
    )
    smoothing: float = Field(
        SMOOTHING, gt=0, le=1, description="contexts count with their frequency to this power"
    )
    eigenvalue_weighting: float = Field(
        EIGENVALUE_WEIGHTING,
        ge=0,
        le=1,
        description="vectors are scaled by the singular values to this power",
    )


@dataclass(frozen=True)
class Vectors:
    """What a decomposition gives."""

    tokens: Float[np.ndarray, "V H"]
    """Each row has a mean square of 1, or is 0 where a token has no context."""
    contexts: Float[np.ndarray, "V H"]


def factorised(
    counts: csr_matrix,
    num_features: int,
    seed: int,
    smoothing: float = SMOOTHING,
    weighting: float = EIGENVALUE_WEIGHTING,
) -> Vectors:
    """Return the vectors of tokens that were counted beside each other.

    Args:
        counts: V V, from ``cooccurrences``.
        num_features: H, fewer than V.
        seed: of the randomised decomposition (Halko et al., 2011).
        smoothing: contexts count with their frequency to this power.
        weighting: vectors are scaled by the singular values to this power.
    """
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    information = positive_mutual_information(counts, smoothing)
    with threadpool_limits(1, "blas"):  # their number would show in the last digits
        left, values, right = randomized_svd(
            information, num_features, n_iter=POWER_ITERATIONS, random_state=seed % 2**32
        )
    tokens = left * values**weighting
    tokens[information.getnnz(axis=1) == 0] = 0  # but for rounding they are, already
    sizes = np.sqrt((tokens**2).mean(axis=1, keepdims=True))
    contexts = right.T * values ** (1 - weighting)
    return Vectors(tokens / np.where(sizes > 0, sizes, 1), contexts)


def cooccurrences(documents: Documents, vocabulary_size: int, window: int) -> csr_matrix:
    """Count which tokens stand beside which in one text: V V, symmetric, float64.

    A neighbour at distance d counts 1/d, as in GloVe (Pennington et al., 2014). What is held is a
    piece of the texts and the counts that are not 0, V² at most.

    Args:
        documents: the texts.
        vocabulary_size: V.
        window: the greatest distance, in tokens.
    """
    from scipy.sparse import csr_matrix

    shape = (vocabulary_size, vocabulary_size)
    following = csr_matrix(shape)
    for begin in range(0, len(documents.tokens), TOKENS_PER_PIECE):
        # A piece reads on as far as its last token looks.
        end = min(begin + TOKENS_PER_PIECE + window, len(documents.tokens))
        tokens = documents.tokens[begin:end].astype(np.int32)
        texts = np.searchsorted(documents.text_starts, np.arange(begin, end), side="right")
        for distance in range(1, min(window + 1, len(tokens))):
            num_first = min(TOKENS_PER_PIECE, len(tokens) - distance)
            beside = slice(distance, distance + num_first)
            together = texts[:num_first] == texts[beside]
            pairs = tokens[:num_first][together], tokens[beside][together]
            weights = np.full(len(pairs[0]), 1 / distance)
            following += csr_matrix((weights, pairs), shape)
    return csr_matrix(following + following.T)


def positive_mutual_information(counts: csr_matrix, smoothing: float) -> csr_matrix:
    """Return max(0, log p(w, c) / (p(w) p(c))), with p(c) smoothed: V V.

    Args:
        counts: V V.
        smoothing: contexts count with their frequency to this power, so that rare ones do not stand
            out.
    """
    from scipy.sparse import csr_matrix

    pairs = counts.tocoo()
    totals = np.asarray(counts.sum(axis=1)).ravel()
    contexts = totals**smoothing
    contexts /= max(contexts.sum(), 1e-300)
    information = np.log(pairs.data / (totals[pairs.row] * contexts[pairs.col]))
    positive = information > 0
    places = pairs.row[positive], pairs.col[positive]
    return csr_matrix((information[positive], places), counts.shape)


def start_embeddings(embedding: Any, documents: Documents, where: str) -> None:
    """Let the vectors of tokens that stand in texts be those of co-occurrence; others stay.

    Args:
        embedding: a torch embedding with random weights, V H.
        documents: the training texts.
        where: the key of the setting that asks for it, for errors.

    Raises:
        BadInput: the vocabulary is not larger than the vectors, or no text has two tokens.
    """
    import torch

    vocabulary_size, num_features = embedding.weight.shape
    counts = cooccurrences(documents, vocabulary_size, WINDOW)
    if num_features >= vocabulary_size or not counts.nnz:
        raise BadInput(
            f"{where}: vectors of {num_features} numbers need a larger vocabulary than "
            f"{vocabulary_size:,}, and texts of two tokens or more: drop it"
        )
    vectors = factorised(counts, num_features, torch.initial_seed()).tokens
    seen = torch.from_numpy(vectors.any(axis=1))
    with torch.no_grad():
        values = torch.from_numpy(EMBEDDING_DEVIATION * vectors).to(embedding.weight)
        embedding.weight[seen] = values[seen]


class Cooccurrence(Task):
    """Vectors that are made at once."""

    trains = False

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        counts: tuple[csr_matrix, csr_matrix],
        frequencies: np.ndarray,
        settings: Settings,
    ) -> None:
        """Make the vectors.

        Args:
            model: gets them.
            tokenizer: what the texts are tokenised by.
            counts: those of the training and of the validation texts.
            frequencies: how often each token stands in the training texts; V.
            settings: the row's.
        """
        import torch

        self.model = model
        self.lengths = np.zeros(0, dtype=np.int64)
        self._tokenizer = tokenizer
        self._held_out = counts[1]
        self._frequencies = frequencies
        num_features = model.contexts.embedding_dim
        seed = torch.initial_seed()
        weighting = settings.eigenvalue_weighting
        vectors = factorised(counts[0], num_features, seed, settings.smoothing, weighting)
        with torch.no_grad():
            model.encoder.embedding.weight.copy_(torch.from_numpy(vectors.tokens))
            model.contexts.weight.copy_(torch.from_numpy(vectors.contexts))

    def validate(self) -> dict[str, float]:
        """Return how often a held-out context has a higher score than a token of noise.

        The score is the product of both vectors; noise is drawn as often as tokens are contexts of
        the validation texts, once and for all. ``chance_ranking_accuracy`` is that of any score
        which knows nothing of the token beside it, such as the context's frequency.
        """
        pairs = self._held_out.tocoo()
        generator = np.random.default_rng(0)
        chosen = np.arange(pairs.nnz)
        if pairs.nnz > MOST_HELD_OUT:
            chosen = np.sort(generator.choice(pairs.nnz, MOST_HELD_OUT, replace=False))
        centres, contexts, counts = (
            values[chosen] for values in (pairs.row, pairs.col, pairs.data)
        )
        shares = np.bincount(contexts, counts, minlength=pairs.shape[1]).cumsum()
        noise = np.searchsorted(shares / shares[-1], generator.random(len(chosen)), side="right")
        true, false = (self._scores(centres, some) for some in (contexts, noise))
        right = np.where(true == false, 0.5, true > false)
        return {
            "ranking_accuracy": float(np.average(right, weights=counts)),
            "chance_ranking_accuracy": 0.5,
        }

    def _scores(self, centres: np.ndarray, contexts: np.ndarray) -> Float[np.ndarray, " N"]:
        tokens = self.model.encoder.embedding.weight.detach().cpu().numpy()
        beside = self.model.contexts.weight.detach().cpu().numpy()
        scores = np.zeros(len(centres))
        for begin in range(0, len(centres), PAIRS_AT_ONCE):
            some = slice(begin, begin + PAIRS_AT_ONCE)
            scores[some] = np.einsum("nh,nh->n", tokens[centres[some]], beside[contexts[some]])
        return scores

    def save(self, folder: Path) -> None:
        """Write the vectors, how frequent each token is, and the tokenizer."""
        add_no_special_tokens(self._tokenizer)
        text.save(self.model, folder)
        save_frequencies(self._frequencies, folder)
        save_tokenizer(self._tokenizer, folder, UNLIMITED)


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
) -> Cooccurrence:
    """Train the tokenizer, count in both splits, and make the vectors.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes.
        settings: the row's.
        train: the training split.
        validation: the validation split.

    Raises:
        BadSettings: the architecture reads more than single tokens.
        BadInput: the corpus holds images, does not support the vocabulary that is asked for or
            vectors of that size, or has no text of two tokens.
    """
    started = start("cooccurrence", CONTEXT, architecture, architecture_settings, settings, train)
    tokenizer = started.tokenizer
    vocabulary_size = tokenizer.get_vocab_size()
    if architecture_settings.hidden_size >= vocabulary_size:
        raise BadInput(
            f"hidden_size is {architecture_settings.hidden_size}, but {train} supports a "
            f"vocabulary of {vocabulary_size:,}, and vectors have fewer numbers than that: lower it"
        )
    splits = [read_documents(path, tokenizer) for path in (train, validation)]
    counts = [cooccurrences(some, vocabulary_size, settings.window) for some in splits]
    for path, counted in zip((train, validation), counts, strict=True):
        if not counted.nnz:
            raise BadInput(
                f"{path} has no text of two tokens, so no token has another beside it: check "
                "the corpus' texts"
            )
    frequencies = splits[0].token_counts(vocabulary_size)
    return Cooccurrence(started.model, tokenizer, (counts[0], counts[1]), frequencies, settings)
