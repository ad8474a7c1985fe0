"""Causal language modelling: each token from those before it (Radford et al., 2018, 2019).

The training texts stand end to end, a separator before, between and behind them::

    | text 0 | text 1 | ... | text n |
    [ window 0   ][ window 1   ][ ...

An example is a window of this stream; its targets are the same tokens, moved on by one. In an epoch
every token but the first is a target once.

With ``tokenizer: bytes`` the stream holds every byte of the texts: blanks, line ends and case too.

Dimensions: N examples, T tokens, V tokens of the vocabulary.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from tasks.contracts import files
from tasks.contracts import settings as contract
from tasks.inputs import token_cache as cache
from tasks.inputs import tokenising
from tasks.inputs import tokenizer as tokenizers_of_ours
from tasks.inputs.documents import Stream
from tasks.inputs.tokenising import read_documents, read_whole_documents
from tasks.inputs.tokenizer import (
    SPECIAL_TOKENS,
    add_no_special_tokens,
    id_in,
    save_tokenizer,
)
from tasks.models import text
from tasks.objectives._texts import separator_of, start
from tasks.training.evaluation import evaluate_sums, slices
from tasks.training.task import Batch, ExampleRandom, Task

if TYPE_CHECKING:
    from types import ModuleType

    from jaxtyping import Float
    from tokenizers import Tokenizer
    from torch import Tensor

    from tasks.inputs.documents import Documents
    from tasks.models.initial.kinds import InitialText

CONTEXT = text.CAUSAL
VALIDATION_BATCH_SIZE = 16
TEXTS_AT_ONCE = 1000
BYTES = "bytes.json"
NO_TARGET = -100
"""What torch's cross entropy passes over."""
FEWEST_BYTE_TOKENS = len(SPECIAL_TOKENS) + 256


class Settings(contract.Settings):
    """What a language model is shown at once."""

    vocabulary_size: int = Field(8000, ge=32, description="most tokens of the tokenizer")
    tokens: int = Field(128, ge=2, description="tokens of a window")
    tokenizer: Literal["bytes"] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="bytes: byte-level BPE, which keeps case, blanks and every character; null: "
        "WordPiece",
    )
    tokenizer_sample: int | None = Field(
        None,
        ge=1,
        json_schema_extra=contract.NEUTRAL,
        description="tokenizer: bytes learns from so many bytes of the training texts at most; "
        "null: 10,000,000",
    )

    fused_loss: Literal[True] | None = Field(
        None,
        json_schema_extra=contract.NEUTRAL,
        description="true: never hold all logits of a batch while training: less memory on a GPU",
    )

    def modules(self) -> list[str]:
        """Return what is only used by byte-level BPE, and by the loss in pieces."""
        by_bytes = ["tasks.inputs.byte_pairs", "tasks.objectives._fresh"]
        fused = ["tasks.objectives._fused_loss"] if self.fused_loss else []
        return [*(by_bytes if self.tokenizer == "bytes" else []), *fused]

    @model_validator(mode="after")
    def _the_vocabulary_holds_all_bytes(self) -> Self:
        if self.tokenizer is None and self.tokenizer_sample is not None:
            raise ValueError("tokenizer_sample is of tokenizer: bytes: set that, or drop it")
        if self.tokenizer == "bytes" and self.vocabulary_size < FEWEST_BYTE_TOKENS:
            raise ValueError(
                f"vocabulary_size is {self.vocabulary_size}, but tokenizer: bytes needs "
                f"{FEWEST_BYTE_TOKENS} tokens for bytes alone: raise it"
            )
        return self


class Causal(Task):
    """The task: windows of a stream of tokens, and the cross entropy of each next token."""

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        train: Documents,
        validation: tuple[Documents, int],
        settings: Settings,
        longest: int,
    ) -> None:
        """Take a model and its texts.

        Args:
            model: gives ``logits``, N T V, of ``input_ids``, N T.
            tokenizer: of both splits.
            train: the training texts.
            validation: the validation texts, and the bytes that their tokens stand for.
            settings: the row's.
            longest: the longest sequence that the model will know.
        """
        self.model = model
        self._tokenizer = tokenizer
        self._separator = separator_of(tokenizer)
        separator = id_in(tokenizer, self._separator)
        self._train = Stream(train, separator)
        self._validation = Stream(validation[0], separator)
        self._validation_bytes = validation[1]
        self._window = settings.tokens
        self._fused = settings.fused_loss
        # A published GPT-2 would note keys and values for a next token that never comes.
        self._options = {"use_cache": False} if hasattr(model.config, "use_cache") else {}
        self._longest = longest
        self.lengths = np.full(self._num_windows(self._train), self._window)
        self.lengths[-1] = len(self._train) - 1 - self._window * (len(self.lengths) - 1)

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:  # noqa: ARG002
        """Return some windows of the training texts; nothing about them is random."""
        return self._windows(self._train, indices)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean cross entropy of the next tokens."""
        if self._fused:
            from tasks.objectives._fused_loss import fused_cross_entropy

            ids, targets = batch["input_ids"], batch["targets"]
            total = fused_cross_entropy(self.model, ids, targets, NO_TARGET, **self._options)
            return total / batch["counts"][0]
        return self._cross_entropy(batch) / batch["counts"][0]

    def validate(self) -> dict[str, float]:
        """Return loss, perplexity and bits per byte on the validation texts.

        Bits per byte are those of all tokens, separators included, over the bytes of UTF-8 that the
        tokens stand for, so that models with other tokenizers compare. ``unigram_…`` is the figure
        of always guessing by the training texts' token frequencies.
        """
        unigram = self._train.unigram_log_probabilities(self._tokenizer.get_vocab_size())

        def sums(batch: Batch) -> dict[str, float]:
            targets = batch["targets"].cpu().numpy()
            unigram_nats = -float(unigram[targets[targets != NO_TARGET]].sum())
            return {"nats": float(self._cross_entropy(batch)), "unigram_nats": unigram_nats}

        windows = np.arange(self._num_windows(self._validation))
        batches = (
            self._windows(self._validation, chosen)
            for chosen in slices(windows, VALIDATION_BATCH_SIZE)
        )
        totals = evaluate_sums(self.model, batches, sums)
        nats, unigram_nats = totals["nats"], totals["unigram_nats"]
        tokens, num_bytes = max(len(self._validation) - 1, 1), max(self._validation_bytes, 1)
        return {
            "loss": nats / tokens,
            "perplexity": float(np.exp(nats / tokens)),
            "unigram_perplexity": float(np.exp(unigram_nats / tokens)),
            "bits_per_byte": nats / float(np.log(2)) / num_bytes,
            "unigram_bits_per_byte": unigram_nats / float(np.log(2)) / num_bytes,
        }

    def save(self, folder: Path) -> None:
        """Write the model and its tokenizer, which sets a separator before a text, as here.

        None behind: at it a language model forgets the text, and a classifier is to see its end.
        """
        from tokenizers import processors

        special = [(self._separator, id_in(self._tokenizer, self._separator))]
        self._tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{self._separator} $A",
            pair=f"{self._separator} $A {self._separator} $B:1",
            special_tokens=special,
        )
        text.save(self.model, folder)
        save_tokenizer(self._tokenizer, folder, self._longest)

    def _cross_entropy(self, batch: Batch) -> Float[Tensor, ""]:
        """Return the summed cross entropy of a batch."""
        from torch.nn.functional import cross_entropy

        logits = self.model(input_ids=batch["input_ids"], **self._options).logits.flatten(0, 1)
        return cross_entropy(
            logits.float(), batch["targets"].flatten(), reduction="sum", ignore_index=NO_TARGET
        )

    def _num_windows(self, stream: Stream) -> int:
        return -(-(len(stream) - 1) // self._window)

    def _windows(self, stream: Stream, indices: np.ndarray) -> Batch:
        """Return windows of a stream; the last one is filled up behind, where no token sees it."""
        import torch

        starts = indices * self._window
        end = len(stream) - 1
        longest = min(self._window, end - int(starts.min()))
        positions = starts[:, None] + np.arange(longest + 1)
        tokens = stream.tokens(np.minimum(positions, end))
        is_target = positions[:, 1:] <= end
        arrays = {
            "input_ids": tokens[:, :-1],
            "targets": np.where(is_target, tokens[:, 1:], NO_TARGET),
        }
        batch = {name: torch.from_numpy(value) for name, value in arrays.items()}
        return {**batch, "counts": torch.tensor([float(is_target.sum())])}


def prepare(
    architecture: ModuleType,
    architecture_settings: Any,
    settings: Settings,
    train: Path,
    validation: Path,
    initial: InitialText | None = None,
) -> Causal:
    """Train the tokenizer, tokenise both splits and build the model; or take those of ``initial``.

    Args:
        architecture: the architecture's module.
        architecture_settings: its sizes; not used with ``initial``.
        settings: the row's.
        train: the training split.
        validation: the validation split.
        initial: the model to start from.

    Raises:
        BadSettings: the architecture is not causal.
        BadInput: the corpus holds images, or does not support the vocabulary that is asked for; or
            the model has fewer positions than a window.
    """
    if settings.tokenizer == "bytes":
        from tasks.inputs.byte_pairs import corpus_byte_tokenizer
        from tasks.objectives._fresh import FreshText

        trained = partial(corpus_byte_tokenizer, train, settings, "causal")
        initial = FreshText(trained, architecture, architecture_settings)
    started = start(
        "causal", CONTEXT, architecture, architecture_settings, settings, train, initial
    )
    tokenizer = started.tokenizer
    read = read_whole if is_lossless(tokenizer) else read_documents
    documents, held_out = (read(path, tokenizer) for path in (train, validation))
    predicted = held_out, known_bytes_of(validation, held_out, tokenizer)
    return Causal(started.model, tokenizer, documents, predicted, settings, started.longest)


def is_lossless(tokenizer: Tokenizer) -> bool:
    """Tell whether every text comes back from its tokens: bytes, none of them a special token."""
    from tokenizers import decoders
    from tokenizers.pre_tokenizers import ByteLevel

    before: Any = tokenizer.pre_tokenizer
    by_bytes = isinstance(before, ByteLevel) and isinstance(tokenizer.decoder, decoders.ByteLevel)
    if not by_bytes or before.add_prefix_space or tokenizer.normalizer is not None:
        return False
    has_all = all(tokenizer.token_to_id(byte) is not None for byte in ByteLevel.alphabet())
    return has_all and not tokenizer.get_added_tokens_decoder()


def read_whole(path: Path, tokenizer: Tokenizer) -> Documents:
    """Return a split's texts with all that stands between their sentences.

    Args:
        path: the split.
        tokenizer: one that is lossless; the special tokens that it sets are left out.
    """
    bare = tokenizer.from_str(tokenizer.to_str())
    add_no_special_tokens(bare)
    return read_whole_documents(path, bare)


def known_bytes_of(path: Path, documents: Documents, tokenizer: Tokenizer) -> int:
    """Return ``bytes_of`` the texts of a split, which is worked out once."""
    from tokenizers import __version__

    def write(folder: Path) -> None:
        files.write_json(folder / BYTES, bytes_of(documents, tokenizer))

    code = [files.sha256(Path(str(module.__file__))) for module in (tokenising, tokenizers_of_ours)]
    made_by = *code, files.sha256(Path(__file__)), __version__
    key = cache.key_of("bytes of tokens", cache.known_sha256(path), tokenizer.to_str(), *made_by)
    known: int = files.read_json(cache.cached(key, write) / BYTES)
    return known


def bytes_of(documents: Documents, tokenizer: Tokenizer) -> int:
    """Return the bytes of UTF-8 of what the tokens of some texts stand for.

    Not those of the texts: what a tokenizer drops (case, accents, space, a character it does not
    know) is not predicted, and would count as told for nothing.
    """
    total = 0
    for first in range(0, len(documents), TEXTS_AT_ONCE):
        bounds = documents.text_starts[first : first + TEXTS_AT_ONCE + 1]
        ids = [documents.tokens[i:j].tolist() for i, j in pairwise(bounds)]
        decoded = tokenizer.decode_batch(ids, skip_special_tokens=True)
        total += sum(len(text.encode()) for text in decoded)
    return total
