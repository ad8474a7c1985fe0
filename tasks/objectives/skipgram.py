"""Skip-gram with negative sampling, "word2vec" (Mikolov et al., 2013, arXiv 1310.4546).

The vector of a token, the centre, tells the tokens around it from noise. An example is a window of
one text. Frequent tokens are dropped from it at random, which also lets the others see further;
each token left is a centre, beside which all within a distance drawn for it are contexts. Each
context comes with ``negatives`` tokens of noise, drawn from the unigram distribution to the power
of 0.75. All of it is drawn on the host.

Dimensions: N examples, P pairs of a batch, K = 1 + negatives, V tokens of the vocabulary.
"""

from __future__ import annotations

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
from tasks.models.initial.kinds import UNLIMITED
from tasks.objectives._texts import start
from tasks.training.evaluation import evaluate_sums, slices
from tasks.training.task import Batch, ExampleRandom, Task

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float, Int
    from tokenizers import Tokenizer
    from torch import Tensor

    from tasks.models.initial.kinds import InitialText

CONTEXT = text.SINGLE_TOKENS
VALIDATION_BATCH_SIZE = 64
NOISE_POWER = 0.75


class Settings(contract.Settings):
    """What stands beside a token, and what noise it is told from."""

    vocabulary_size: int = Field(8000, ge=32, description="most tokens of the tokenizer")
    tokens: int = Field(128, ge=2, description="longest example, in tokens")
    window: int = Field(5, ge=1, description="the greatest distance drawn, in tokens")
    negatives: int = Field(5, ge=1, description="tokens of noise for each context")
    subsampling: float = Field(
        1e-3, gt=0, le=1, description="tokens more frequent than this share are dropped at times"
    )


class Noise:
    """What is drawn by the training texts' token frequencies."""

    def __init__(self, train: Documents, vocabulary_size: int, subsampling: float) -> None:
        smoothed = np.exp(train.unigram_log_probabilities(vocabulary_size))
        counts = np.rint(smoothed * (len(train.tokens) + vocabulary_size)) - 1
        shares = np.maximum(counts, 1) / counts.sum()
        self.kept = np.minimum(1.0, np.sqrt(subsampling / shares))
        """The share of each token's occurrences that is kept (equation 5); V."""
        self._cumulative = np.cumsum(counts**NOISE_POWER)
        self._cumulative /= self._cumulative[-1]
        as_context, as_noise = smoothed * self.kept, smoothed**NOISE_POWER
        as_context, as_noise = as_context / as_context.sum(), as_noise / as_noise.sum()
        self.odds: np.ndarray = as_context / as_noise
        """How much likelier each token is as a context than as noise, on the whole; V."""

    def draw(self, shape: tuple[int, ...], generator: np.random.Generator) -> np.ndarray:
        """Draw tokens of noise, int64."""
        return np.searchsorted(self._cumulative, generator.random(shape), side="right")


class SkipGramTask(Task):
    """The task: pairs from windows of texts, and how well scores tell them from noise."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        train: Documents,
        validation: Documents,
        settings: Settings,
    ) -> None:
        self.model = model
        self._tokenizer = tokenizer
        self._settings = settings
        self._noise = Noise(train, tokenizer.get_vocab_size(), settings.subsampling)
        self._train = train, windows_of(train, settings.tokens)
        self._validation = validation, windows_of(validation, settings.tokens)
        self.lengths = np.diff(self._train[1])[:, 0]

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return ``centres``, P, and the ``contexts`` beside them, P K, of which the first is."""
        return self._pairs(self._train, indices, randoms)

    def optimized(self) -> dict[str, list[dict[str, Any]]]:
        """Return both tables; AdamW would decay the rows too that no batch touches."""
        return {"model": [{"params": list(self.model.parameters()), "decayed": False}]}

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean over the pairs of what a context and its noise cost (equation 4)."""
        scores = self.model(batch["centres"], batch["contexts"])
        return _cost(scores.float()) / batch["counts"][0]

    def validate(self) -> dict[str, float]:
        """Return the loss on pairs of the validation texts, drawn once and for all.

        ``zero_loss`` is that of scores that are all 0, ``unigram_loss`` that of scores which know
        how frequent each token is as context and as noise, and nothing of the centre.
        """
        import torch

        odds = torch.log(torch.from_numpy(self._noise.odds / self._settings.negatives))

        def sums(batch: Batch) -> dict[str, float]:
            return {
                "unigram_loss": float(_cost(odds[batch["contexts"].cpu()])),
                "loss": float(_cost(self.model(batch["centres"], batch["contexts"]))),
                "pairs": len(batch["centres"]),
            }

        batches = (
            self._pairs(self._validation, chosen, ExampleRandom(0, 0, chosen))
            for chosen in slices(np.arange(len(self._validation[1])), VALIDATION_BATCH_SIZE)
        )
        totals = evaluate_sums(self.model, batches, sums)
        return {
            "loss": totals["loss"] / totals["pairs"],
            "zero_loss": float((1 + self._settings.negatives) * np.log(2)),
            "unigram_loss": totals["unigram_loss"] / totals["pairs"],
        }

    def save(self, folder: Path) -> None:
        """Write the vectors, how frequent each token is, and the tokenizer."""
        add_no_special_tokens(self._tokenizer)
        text.save(self.model, folder)
        save_frequencies(self._train[0].token_counts(self._tokenizer.get_vocab_size()), folder)
        save_tokenizer(self._tokenizer, folder, UNLIMITED)

    def _pairs(
        self, windows: tuple[Documents, np.ndarray], indices: np.ndarray, randoms: ExampleRandom
    ) -> Batch:
        import torch

        documents, bounds = windows
        centres, contexts = [], []
        for position, index in enumerate(indices):
            start, end = bounds[index]
            tokens = documents.tokens[start:end].astype(np.int64)
            some_centres, some_contexts = self._pairs_of(tokens, randoms[position])
            centres.append(some_centres)
            contexts.append(some_contexts)
        return {
            "centres": torch.from_numpy(np.concatenate(centres)),
            "contexts": torch.from_numpy(np.concatenate(contexts)),
            "counts": torch.tensor([float(sum(map(len, centres)))]),
        }

    def _pairs_of(
        self, tokens: Int[np.ndarray, " T"], generator: np.random.Generator
    ) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, "P K"]]:
        """Return the pairs of one window, with their noise; at least one pair."""
        kept = tokens[generator.random(len(tokens)) < self._noise.kept[tokens]]
        if len(kept) < 2:
            kept = tokens
        reach = generator.integers(1, self._settings.window + 1, len(kept))
        centres, contexts = neighbours(reach)
        noise = self._noise.draw((len(centres), self._settings.negatives), generator)
        return kept[centres], np.concatenate([kept[contexts][:, None], noise], axis=1)


def neighbours(reach: Int[np.ndarray, " T"]) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of all centres and contexts, given how far each centre reaches."""
    distances = np.arange(1, int(reach.max()) + 1)
    offsets = np.concatenate([-distances[::-1], distances])
    contexts = np.arange(len(reach))[:, None] + offsets
    seen = (abs(offsets) <= reach[:, None]) & (contexts >= 0) & (contexts < len(reach))
    return np.nonzero(seen)[0], contexts[seen]


def windows_of(documents: Documents, tokens: int) -> Int[np.ndarray, "N 2"]:
    """Return where the windows of all texts begin and end: two tokens or more, up to ``tokens``."""
    starts, lengths = documents.text_starts[:-1], documents.lengths
    per_text = -(-lengths // tokens)
    text = np.repeat(np.arange(len(documents)), per_text)
    number = np.arange(len(text)) - np.repeat(np.cumsum(per_text) - per_text, per_text)
    begin = starts[text] + number * tokens
    end = np.minimum(begin + tokens, starts[text] + lengths[text])
    return np.stack([begin, end], axis=1)[end - begin >= 2]


def _cost(scores: Float[Tensor, "P K"]) -> Float[Tensor, ""]:
    """Return the summed cost of scores, of which the first of each pair should be high."""
    from torch.nn.functional import softplus

    return softplus(-scores[:, 0]).sum() + softplus(scores[:, 1:]).sum()


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
    initial: InitialText | None = None,
) -> SkipGramTask:
    """Train the tokenizer, tokenise both splits and build the vectors; or take ``initial``'s.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes; not used with ``initial``.
        settings: the row's.
        train: the training split.
        validation: the validation split.
        initial: the model to start from.

    Raises:
        BadSettings: the architecture reads more than single tokens.
        BadInput: the corpus holds images, does not support the vocabulary that is asked for, or
            has no text of two tokens.
    """
    started = start(
        "skipgram", CONTEXT, architecture, architecture_settings, settings, train, initial
    )
    tokenizer = started.tokenizer
    splits = [read_documents(path, tokenizer) for path in (train, validation)]
    for path, documents in zip((train, validation), splits, strict=True):
        if not len(windows_of(documents, settings.tokens)):
            raise BadInput(
                f"{path} has no text of two tokens, so no token has another beside it: check "
                "the corpus' texts"
            )
    return SkipGramTask(started.model, tokenizer, splits[0], splits[1], settings)
