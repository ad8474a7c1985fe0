"""Wide and deep (Cheng et al., 2016): a linear model of a text's n-grams beside the deep one.

::

    text -> tokens  -> encoder, head         -> logits, K  -+
                                                            +-> logits of the classifier
    text -> n-grams -> TF-IDF, linear scores -> scores, K  -+

The n-grams are of words, of characters, or both: two linear models, whose scores are added.

Beside the files of the deep part, a model's folder holds ``wide.json`` (which n-grams there are)
and ``wide.safetensors`` (their inverse document frequencies, their weight for each class, and the
biases). The text is cut into n-grams by scikit-learn, here and where the weights were fitted.

Imported for models that have a wide part alone, so that a change here makes no other row stale.

Dimensions: N texts, F n-grams, K labels.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files, records
from tasks.models.model import WIDE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from jaxtyping import Float, Int
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from tasks.contracts.records import Modality
    from tasks.models.text import TextModel

CONFIG = "wide.json"
SCORES = "wide_scores"
"""What a batch calls the wide part's scores."""
KIND_TENSORS = ("frequencies", "weights", "biases")
TEXTS_AT_ONCE = 1024


@dataclass(frozen=True)
class Ngrams:
    """What a text is cut into.

    Attributes:
        analyzer: ``word``, or ``char``: characters, across the borders of words, for scripts
            without spaces.
        shortest: words or characters of the shortest n-gram.
        longest: of the longest.
    """

    analyzer: str
    shortest: int
    longest: int

    def options(self) -> dict[str, Any]:
        """Return what scikit-learn's vectorizers call it."""
        return {"analyzer": self.analyzer, "ngram_range": (self.shortest, self.longest)}


class NgramScores:
    """Linear scores of the n-grams of a text, of one kind."""

    def __init__(
        self,
        ngrams: Ngrams,
        vocabulary: Sequence[str],
        frequencies: Float[np.ndarray, " F"],
        weights: Float[np.ndarray, "F K"],
        biases: Float[np.ndarray, " K"],
    ) -> None:
        """Take what was fitted.

        Args:
            ngrams: what texts are cut into.
            vocabulary: the n-grams that have a weight, F; others are not seen.
            frequencies: their inverse document frequencies.
            weights: float32.
            biases: float32.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._ngrams = ngrams
        self._vocabulary = list(vocabulary)
        self._frequencies = frequencies
        self._weights = weights
        self._biases = biases
        self._vectorizer = TfidfVectorizer(
            vocabulary=self._vocabulary, sublinear_tf=True, **ngrams.options()
        )
        self._vectorizer.idf_ = frequencies

    def scores(self, texts: Sequence[str]) -> Float[np.ndarray, "N K"]:
        """Return the scores, float32."""
        features = self._vectorizer.transform(texts)
        return linear_scores(features, self._weights, self._biases)

    def word_scores(self, text: str, target: int) -> Float[np.ndarray, " C"]:
        """Return what each of a text's C characters adds to the score of a class.

        An n-gram's share is spread evenly over its characters; the bias belongs to none.

        Args:
            text: a record.
            target: the class, as a position in the labels.
        """
        spread = np.zeros(len(text))
        features = self._vectorizer.transform([text])
        values = dict(zip(features.indices.tolist(), features.data.tolist(), strict=True))
        places: dict[int, list[tuple[int, int]]] = {}
        for ngram, start, end in self._places(text):
            column = self._vectorizer.vocabulary_.get(ngram)
            if column is not None:
                places.setdefault(column, []).append((start, end))
        for column, found in places.items():
            each = values[column] * float(self._weights[column, target]) / len(found)
            for start, end in found:
                spread[start:end] += each / (end - start)
        return spread

    def _places(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Yield each n-gram of a text, and where it begins and ends there."""
        # Some letters are two when they are small: what is found there is led back to the text.
        origins = list(chain.from_iterable([n] * len(c.lower()) for n, c in enumerate(text)))
        lower = text.lower()
        if self._ngrams.analyzer == "word":
            found = re.finditer(self._vectorizer.token_pattern, lower)
            units = [(word.group(), word.start(), word.end()) for word in found]
            joint = " "
        else:
            # scikit-learn makes one space of several.
            found = re.finditer(r"\s\s+|.", lower, re.DOTALL)
            units = [
                (" " if len(one.group()) > 1 else one.group(), one.start(), one.end())
                for one in found
            ]
            joint = ""
        for size in range(self._ngrams.shortest, self._ngrams.longest + 1):
            for first in range(len(units) - size + 1):
                some = units[first : first + size]
                start, end = origins[some[0][1]], origins[some[-1][2] - 1] + 1
                yield joint.join(unit for unit, _, _ in some), start, end

    @property
    def description(self) -> dict[str, Any]:
        """The n-grams, as JSON."""
        return {**asdict(self._ngrams), "ngrams": self._vocabulary}

    @property
    def tensors(self) -> dict[str, np.ndarray]:
        """What was fitted, by the name in the file."""
        return {
            "frequencies": np.ascontiguousarray(self._frequencies),
            "weights": np.ascontiguousarray(self._weights),
            "biases": np.ascontiguousarray(self._biases),
        }

    @classmethod
    def of(cls, about: dict[str, Any], tensors: dict[str, np.ndarray]) -> NgramScores:
        """Return what ``description`` and ``tensors`` were taken from."""
        ngrams = Ngrams(about["analyzer"], about["shortest"], about["longest"])
        fitted = (tensors[name] for name in KIND_TENSORS)
        return cls(ngrams, about["ngrams"], *fitted)


class WidePart:
    """The scores of a text's n-grams of every kind, added."""

    def __init__(self, kinds: Sequence[NgramScores]) -> None:
        """Take the n-grams of words, of characters, or both."""
        self.kinds = list(kinds)

    def scores(self, texts: Sequence[str]) -> Float[np.ndarray, "N K"]:
        """Return what is added to the deep part's logits, float32."""
        return added(kind.scores(texts) for kind in self.kinds)

    def word_scores(self, text: str, target: int) -> Float[np.ndarray, " C"]:
        """Return what each of a text's C characters adds to the score of a class.

        Args:
            text: a record.
            target: the class, as a position in the labels.
        """
        return added(kind.word_scores(text, target) for kind in self.kinds)

    def save(self, folder: Path) -> None:
        """Write both files."""
        from safetensors.numpy import save_file

        if len(self.kinds) == 1:  # as it was when there was no other form
            files.write_json(folder / CONFIG, self.kinds[0].description)
            save_file(self.kinds[0].tensors, folder / WIDE)
            return
        files.write_json(folder / CONFIG, {"kinds": [kind.description for kind in self.kinds]})
        named = {
            f"{number}.{name}": tensor
            for number, kind in enumerate(self.kinds)
            for name, tensor in kind.tensors.items()
        }
        save_file(named, folder / WIDE)

    @classmethod
    def load(cls, folder: Path) -> WidePart:
        """Return the wide part of the model in a folder."""
        from safetensors.numpy import load_file

        about, tensors = files.read_json(folder / CONFIG), load_file(folder / WIDE)
        if "kinds" not in about:
            return cls([NgramScores.of(about, tensors)])
        return cls(
            [
                NgramScores.of(kind, {name: tensors[f"{number}.{name}"] for name in KIND_TENSORS})
                for number, kind in enumerate(about["kinds"])
            ]
        )


def added(parts: Iterable[np.ndarray]) -> np.ndarray:
    """Return the sum of arrays of one shape; of a single one, itself."""
    first, *others = parts
    for other in others:
        first = first + other
    return first


def linear_scores(
    features: Any, weights: Float[np.ndarray, "F K"], biases: Float[np.ndarray, " K"]
) -> Float[np.ndarray, "N K"]:
    """Return the scores of sparse features, N F; float32."""
    scores: np.ndarray = features @ weights.astype(np.float64) + biases
    return scores.astype(np.float32)


class WideInputs:
    """Inputs of the deep part, and beside each the scores of the wide one.

    Attributes:
        lengths: the cost of each.
    """

    def __init__(self, deep: Any, scores: Float[np.ndarray, "N K"]) -> None:
        """Join both.

        Args:
            deep: the inputs of the deep part.
            scores: of the wide part, float32.
        """
        self._deep = deep
        self._scores = scores
        self.lengths: np.ndarray = deep.lengths

    @property
    def padding_token(self) -> int:
        """What stands behind shorter texts."""
        padding: int = self._deep.padding_token
        return padding

    def batch(self, indices: Int[np.ndarray, " N"]) -> dict[str, Tensor]:
        """Return the deep part's tensors, and ``wide_scores``, N K."""
        import torch

        scores = torch.from_numpy(self._scores[np.asarray(indices)])
        return {**self._deep.batch(indices), SCORES: scores}


def joined_logits(deep: Any, batch: dict[str, Tensor]) -> Float[Tensor, "N K"]:
    """Return the logits of a batch made by ``WideInputs``.

    Args:
        deep: what gives the deep part's logits.
        batch: with ``wide_scores``.
    """
    logits: Tensor = deep.logits(batch).float() + batch[SCORES]
    return logits


class WideTextModel:
    """A finished classifier of texts with both parts; used as a ``TextModel`` is.

    Attributes:
        modality: ``text``.
        labels: the class names, in the order of the logits.
        deep: the deep part.
        wide: the wide one.
    """

    modality: Modality = "text"

    def __init__(self, deep: TextModel, wide: WidePart) -> None:
        self.labels = deep.labels
        self.deep = deep
        self.wide = wide

    @property
    def module(self) -> nn.ModuleDict:
        """The deep part's modules."""
        return self.deep.module

    @property
    def encoder(self) -> nn.Module:
        """The backbone."""
        return self.deep.encoder

    @property
    def tokenizer(self) -> Tokenizer:
        """Cuts texts to the longest that the deep part was trained with."""
        return self.deep.tokenizer

    def inputs(self, contents: Sequence[str]) -> WideInputs:
        """Tokenise texts, and score their n-grams."""
        return WideInputs(self.deep.inputs(contents), self.wide.scores(contents))

    def read_inputs(self, splits: Sequence[Path]) -> WideInputs:
        """Do so with the texts of whole splits, one after the other."""
        scores = [
            self.wide.scores(batch.column("text").slice(start, TEXTS_AT_ONCE).to_pylist())
            for path in splits
            for batch in records.read_batches(path)
            for start in range(0, batch.num_rows, TEXTS_AT_ONCE)
        ]
        return WideInputs(self.deep.read_inputs(splits), np.concatenate(scores))

    def logits(self, batch: dict[str, Tensor]) -> Float[Tensor, "N K"]:
        """Return the logits of a batch made by ``WideInputs``."""
        return joined_logits(self.deep, batch)


def with_wide_part(deep: TextModel, folder: Path) -> WideTextModel:
    """Return the classifier in a folder whose deep part was loaded."""
    return WideTextModel(deep, WidePart.load(folder))
