"""Masked language modelling with next-sentence prediction (Devlin et al., 2019, section 3.1).

An example is a window of one text, cut into two segments; half of the time the second segment is
taken from another text (``tasks.inputs.pairs``). Of the chosen tokens 80 % are masked, 10 %
replaced by a random token, 10 % left as they are. Logits are computed where they are needed: at the
chosen tokens alone.

Dimensions: N examples, T tokens, M chosen tokens of a batch, V tokens of the vocabulary.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from tasks.inputs.tokenising import read_documents
from tasks.models import text
from tasks.models.transformer import give_whole_masks
from tasks.objectives._masking import MaskedTexts, TokenSettings, Windows
from tasks.objectives._texts import start
from tasks.training.evaluation import evaluate_sums, slices
from tasks.training.task import Batch, ExampleRandom

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import ModuleType

    from jaxtyping import Float
    from tokenizers import Tokenizer
    from torch import Tensor

    from tasks.inputs.documents import Documents
    from tasks.inputs.pairs import SegmentPairs
    from tasks.models.initial.kinds import InitialText

CONTEXT = text.BIDIRECTIONAL
VALIDATION_BATCH_SIZE = 64


class Settings(TokenSettings):
    """How masked language modelling chooses its targets."""

    vocabulary_size: int = Field(8000, ge=32, description="most tokens of the tokenizer")
    tokens: int = Field(128, ge=8, description="longest example, in tokens")
    probability: float = Field(0.15, gt=0, lt=1, description="share of tokens to predict")
    next_sentence: bool = Field(True, description="also predict whether B follows A")


class Masked(MaskedTexts):
    """The task: examples from texts, and their loss."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        train: Documents,
        validation: Documents,
        settings: Settings,
        longest: int,
    ) -> None:
        windows = Windows(settings.tokens, settings.probability)
        super().__init__(tokenizer, train, validation, windows, longest)
        give_whole_masks(model.bert)
        self.model = model
        self._settings = settings

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return the tensors of some training texts."""
        return self._examples(self.train_pairs, indices, randoms)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross entropy of the chosen tokens, plus that of the next sentence."""
        from torch.nn.functional import cross_entropy

        masked, next_sentence = self._forward(batch)
        num_tokens, num_pairs = batch["counts"]
        loss = cross_entropy(masked.float(), batch["targets"], reduction="sum") / num_tokens
        if next_sentence is not None:
            pairs = cross_entropy(next_sentence.float(), batch["is_random"], reduction="sum")
            loss = loss + pairs / num_pairs
        return loss

    def validate(self) -> dict[str, float]:
        """Return loss, perplexity and accuracies on the validation texts, masked once and for all.

        ``unigram_…`` is the figure of always guessing by the training texts' token frequencies,
        ``majority_…`` of always guessing what is more frequent among these pairs.
        """
        unigram = self.unigram()
        order = np.argsort(self.validation_pairs.documents.lengths, kind="stable")
        batches = (
            self._examples(self.validation_pairs, chosen, ExampleRandom(0, 0, chosen))
            for chosen in slices(order, VALIDATION_BATCH_SIZE)
        )
        return self._metrics(evaluate_sums(self.model, batches, partial(self._sums, unigram)))

    def _sums(self, unigram: Float[Tensor, " V"], batch: Batch) -> dict[str, float]:
        from torch.nn.functional import cross_entropy

        masked, next_sentence = self._forward(batch)
        targets, is_random = batch["targets"], batch["is_random"]
        sums = {
            "loss": float(cross_entropy(masked.float(), targets, reduction="sum")),
            "unigram_loss": -float(unigram[targets.cpu()].sum()),
            "correct": int((masked.argmax(-1) == targets).sum()),
            "most_frequent": int((targets == int(unigram.argmax())).sum()),
            "tokens": len(targets),
            "pairs": len(is_random),
            "random_pairs": int(is_random.sum()),
        }
        if next_sentence is not None:
            sums["correct_pairs"] = int((next_sentence.argmax(-1) == is_random).sum())
        return sums

    def _metrics(self, sums: Mapping[str, float]) -> dict[str, float]:
        tokens = max(sums["tokens"], 1)
        metrics = {
            "loss": sums["loss"] / tokens,
            "perplexity": float(np.exp(sums["loss"] / tokens)),
            "unigram_perplexity": float(np.exp(sums["unigram_loss"] / tokens)),
            "masked_accuracy": sums["correct"] / tokens,
            "unigram_masked_accuracy": sums["most_frequent"] / tokens,
        }
        if self._settings.next_sentence:
            pairs = max(sums["pairs"], 1)
            random = sums["random_pairs"] / pairs
            metrics["next_sentence_accuracy"] = sums["correct_pairs"] / pairs
            metrics["majority_next_sentence_accuracy"] = max(random, 1 - random)
        return metrics

    def save(self, folder: Path) -> None:
        """Write the model and its tokenizer."""
        self.save_with_tokenizer(self.model, folder)

    def _examples(
        self, segment_pairs: SegmentPairs, indices: np.ndarray, randoms: ExampleRandom
    ) -> Batch:
        generators = [randoms[index] for index in range(len(indices))]
        strangers = self._settings.next_sentence
        return self.examples(segment_pairs, indices, generators, strangers=strangers)

    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Return the logits of the chosen tokens, and of the next sentence where it is learnt."""
        output = self.model.bert(
            input_ids=batch["input_ids"],
            attention_mask=batch.get("attention_mask"),
            token_type_ids=batch["token_type_ids"],
        )
        hidden = output.last_hidden_state.flatten(0, 1)
        masked = self.model.cls.predictions(hidden[batch["positions"]])
        if not self._settings.next_sentence:
            return masked, None
        return masked, self.model.cls.seq_relationship(output.pooler_output)


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
    initial: InitialText | None = None,
) -> Masked:
    """Train the tokenizer, tokenise both splits and build the model; or take those of ``initial``.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes; not used with ``initial``.
        settings: the row's.
        train: the training split.
        validation: the validation split.
        initial: the model to start from.

    Raises:
        BadSettings: the architecture is not bidirectional.
        BadInput: the corpus holds images, or does not support the vocabulary that is asked for; or
            the model has fewer positions than an example.
    """
    started = start(
        "masked", CONTEXT, architecture, architecture_settings, settings, train, initial
    )
    tokenizer = started.tokenizer
    splits = [read_documents(path, tokenizer) for path in (train, validation)]
    settings.start_embeddings(started.model, splits[0], "masked")
    task = Masked(started.model, tokenizer, splits[0], splits[1], settings, started.longest)
    if not settings.next_sentence and not (initial and initial.predicts_next_sentences):
        task.about = text.UNTRAINED_POOLER
    return task
