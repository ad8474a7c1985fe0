"""Which words or pixels of a record speak for the class that a classifier gives it.

Words: integrated gradients over the token embeddings (Sundararajan et al., 2017), from the same
text with every token replaced by padding; where there is a wide part, with what its n-grams add to
the same logit. Pixels: saliency, the size of the gradient (Simonyan et
al., 2014). Both by captum, in fp32, without anything random.

Dimensions: T tokens, E features of an embedding, C channels, H rows, W columns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tasks.models.classifier import Classifier
    from tasks.models.image import ImageModel
    from tasks.models.text import TextModel

INTEGRATION_STEPS = 16
DIGITS = 2
WORD = re.compile(r"\S+\s*|\s+")
Word = tuple[int, int, float]
"""Where a word begins, where the next one does, and its weight."""


@dataclass(frozen=True)
class Piece:
    """A word of a text with what follows it up to the next one."""

    text: str
    weight: float
    """How far it speaks for the class: from -1, against, to 1; the strongest piece has -1 or 1."""


def word_weights(classifier: Classifier, text: str, target: int) -> list[Piece]:
    """Return the words that the model has seen, in order; together they are the text's beginning.

    Args:
        classifier: a text classifier.
        text: a record.
        target: the class, as a position in the classifier's labels.

    Returns:
        Nothing where the text has no token, or the model no embedding of single tokens.
    """
    import torch

    model = cast("TextModel", classifier.model)
    embedding = _embedding(model.encoder)
    inputs = model.inputs([text])
    batch = {k: value.to(classifier.device) for k, value in inputs.batch(np.array([0])).items()}
    encoding = model.tokenizer.encode(text)
    if embedding is None or encoding.ids != batch["input_ids"][0].tolist():
        return []
    is_special = torch.tensor(encoding.special_tokens_mask, device=classifier.device) > 0
    baseline = torch.where(is_special, batch["input_ids"], inputs.padding_token)
    weights = _integrated_gradients(model, embedding, batch, baseline, target)
    words = _words(text, encoding, weights)
    wide = getattr(classifier.model, "wide", None)
    if wide is not None:
        words = _with_wide_part(words, text, wide.word_scores(text, target))
    return _pieces(text, words)


def _embedding(encoder: nn.Module) -> nn.Module | None:
    from torch import nn

    layers = (layer for layer in encoder.modules() if isinstance(layer, nn.Embedding))
    try:
        embedding: nn.Module = encoder.get_input_embeddings()  # type: ignore[operator]
        return embedding
    except AttributeError:
        return next(layers, None)


def _integrated_gradients(
    model: TextModel,
    embedding: nn.Module,
    batch: dict[str, Tensor],
    baseline: Tensor,
    target: int,
) -> np.ndarray:
    """Return one weight a token, T."""
    import torch
    from captum.attr import LayerIntegratedGradients

    others = [name for name in batch if name != "input_ids"]

    def logits(input_ids: Tensor, *rest: Tensor) -> Tensor:
        inputs = {"input_ids": input_ids, **dict(zip(others, rest, strict=True))}
        return model.logits(inputs).float()

    # cuDNN has no backward pass for recurrent layers outside training.
    with torch.backends.cudnn.flags(enabled=False):
        per_feature: Any = LayerIntegratedGradients(logits, embedding).attribute(
            batch["input_ids"],
            baselines=baseline,
            target=target,
            additional_forward_args=tuple(batch[name] for name in others),
            n_steps=INTEGRATION_STEPS,
        )
    weights: np.ndarray = per_feature.detach().sum(dim=-1)[0].cpu().numpy()
    return weights


def _words(text: str, encoding: Any, weights: np.ndarray) -> list[Word]:
    """Add up the tokens of each word; each has the text up to the next one.

    Args:
        text: the record.
        encoding: of it.
        weights: one a token.
    """
    starts: list[int] = []
    sums: list[float] = []
    previous, end = None, 0
    for word, (start, stop), weight in zip(
        encoding.word_ids, encoding.offsets, weights.tolist(), strict=True
    ):
        if word is None:
            continue
        if word != previous:
            starts.append(start)
            sums.append(0.0)
        sums[-1] += weight
        previous, end = word, stop
    if not starts:
        return []
    # The blanks that a token of byte-level BPE begins with are the end of the word before.
    begun = [begin + _num_blanks(text[begin:stop]) for begin, stop in pairwise([*starts, end])]
    starts = [starts[0], *begun[1:]]
    return list(zip(starts, [*starts[1:], end], sums, strict=True))


def _num_blanks(word: str) -> int:
    """Return how many characters stand before a word; 0 if it is nothing but blanks."""
    return len(word) - len(word.lstrip()) if word.strip() else 0


def _with_wide_part(words: list[Word], text: str, scores: np.ndarray) -> list[Word]:
    """Add what the wide part says of each character: both are shares of the same logit.

    It sees the whole text: the words behind the last token that the deep part sees are added.
    """
    end = words[-1][1] if words else 0
    behind = ((found.start(), found.end(), 0.0) for found in WORD.finditer(text, end))
    return [
        (start, stop, weight + scores[start:stop].sum())
        for start, stop, weight in (*words, *behind)
    ]


def _pieces(text: str, words: list[Word]) -> list[Piece]:
    """Return the words with their weights as shares of the strongest one's."""
    largest = max((abs(float(weight)) for _, _, weight in words), default=0.0) or 1.0
    return [
        Piece(text[start:stop], round(float(weight) / largest, DIGITS) + 0.0)
        for start, stop, weight in words
    ]


def pixel_weights(
    classifier: Classifier, image: bytes, target: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the image as the model sees it, and how much each pixel matters.

    Args:
        classifier: an image classifier.
        image: an encoded image.
        target: the class, as a position in the classifier's labels.

    Returns:
        Pixels, C H W, uint8; and weights from 0 to 1, H W, of which the largest is 1.
    """
    from captum.attr import Saliency

    model = cast("ImageModel", classifier.model)
    batch = model.inputs([image]).batch(np.array([0]))
    # captum asks for leaves that want gradients, and warns where it has to make them so.
    pixels = batch["images"].to(classifier.device).requires_grad_()

    def logits(images: Tensor) -> Tensor:
        return model.logits({"images": images}).float()

    gradient = Saliency(logits).attribute(pixels, target=target)
    weights = gradient.detach()[0].amax(dim=0).cpu().numpy().astype(np.float64)
    shown = np.round(pixels.detach()[0].cpu().numpy() * 255).astype(np.uint8)
    return shown, weights / (weights.max() or 1.0)
