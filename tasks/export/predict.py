"""Answer with the exported model in this folder: by ONNX Runtime, without PyTorch.

    python predict.py "a text" "another one"
    python predict.py image.png

    from predict import Classifier, Regressor, Tagger  # as model.json has no head, or which
    Classifier(".").scores(["a text"])
    Regressor(".").answers(["a text"])
    Tagger(".").answers(["a text", ["or", "its", "tokens"]])

Needs onnxruntime and numpy; for texts also tokenizers, and scikit-learn and safetensors where there
is a ``wide.json``; for images Pillow. It is copied beside the model as it is, so it imports nothing
of the project that wrote it.

Dimensions: N records, T tokens (of tagging, pieces), K labels.
"""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

GRAPH, ABOUT = "model.onnx", "model.json"
TOKEN_INPUTS = ("input_ids", "attention_mask")
WIDE_SCORES, IMAGES = "wide_scores", "images"
BATCH_SIZE = 64


class Exported:
    """The model in a folder.

    Attributes:
        labels: the names of the classes or tags, in the order of the graph's outputs.
    """

    def __init__(self, folder: Any) -> None:
        """Load it.

        Args:
            folder: with ``model.onnx`` and what lies beside it.
        """
        import onnxruntime

        self._folder = Path(folder)
        self._about = json.loads((self._folder / ABOUT).read_text(encoding="utf-8"))
        self.labels: list[str] = self._about["labels"]
        self._session = onnxruntime.InferenceSession(
            self._folder / GRAPH, providers=["CPUExecutionProvider"]
        )
        if self._about["modality"] == "text":
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(self._about["tokens"])

    def _run(self, ids: Sequence[list[int]]) -> Iterator[tuple[list[int], np.ndarray]]:
        """Yield batches of sequences of like length: which, and what the graph gives for them."""
        for chosen, inputs in self._batches(ids):
            yield chosen, self._session.run(None, inputs)[0]

    def _batches(self, ids: Sequence[list[int]]) -> Iterator[tuple[list[int], dict[str, Any]]]:
        order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
        for start in range(0, len(order), BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            # The graph takes two tokens or more; what is masked counts for nothing.
            longest = max(2, *(len(ids[index]) for index in chosen))
            tokens = np.full((len(chosen), longest), self._about["padding"], dtype=np.int64)
            mask = np.zeros_like(tokens)
            for row, index in enumerate(chosen):
                tokens[row, : len(ids[index])] = ids[index]
                mask[row, : len(ids[index])] = 1
            yield chosen, dict(zip(TOKEN_INPUTS, (tokens, mask), strict=True))

    def _ids_of(self, texts: Sequence[str]) -> list[list[int]]:
        encoded = self._tokenizer.encode_batch_fast(list(texts))
        # A text in which no token is found is one unknown token.
        return [encoding.ids or [self._about["empty"]] for encoding in encoded]


class Classifier(Exported):
    """Classes of texts or images."""

    def __init__(self, folder: Any) -> None:
        """Load it.

        Args:
            folder: with ``model.onnx`` and what lies beside it.
        """
        super().__init__(folder)
        self._ngrams = list(self._read_ngrams())

    def scores(self, records: Sequence[Any]) -> np.ndarray:
        """Return the probability of each label, N K, float32, of texts or encoded images."""
        scores = np.zeros((len(records), len(self.labels)), dtype=np.float32)
        is_text = self._about["modality"] == "text"
        for chosen, inputs in self._texts(records) if is_text else self._images(records):
            scores[chosen] = self._session.run(None, inputs)[0]
        return scores

    def _texts(self, texts: Sequence[str]) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
        """Yield batches of texts of like length: which, and the inputs."""
        for chosen, inputs in self._batches(self._ids_of(texts)):
            if self._ngrams:
                inputs[WIDE_SCORES] = self._ngram_scores([texts[index] for index in chosen])
            yield chosen, inputs

    def _images(self, images: Sequence[bytes]) -> Iterator[tuple[list[int], dict[str, np.ndarray]]]:
        """Yield batches of images: which, and the inputs."""
        from PIL import Image

        channels, height, width = self._about["shape"]
        for start in range(0, len(images), BATCH_SIZE):
            pixels = []
            for encoded in images[start : start + BATCH_SIZE]:
                image = Image.open(io.BytesIO(encoded)).convert("L" if channels == 1 else "RGB")
                if image.size != (width, height):
                    image = image.resize((width, height))
                each = np.asarray(image, dtype=np.uint8)
                pixels.append(each[None] if each.ndim == 2 else each.transpose(2, 0, 1))
            batch = np.stack(pixels).astype(np.float32) / 255
            yield list(range(start, start + len(pixels))), {IMAGES: batch}

    def _read_ngrams(self) -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
        """Yield, of each kind of n-grams, what counts them, their weights and the biases."""
        path = self._folder / "wide.json"
        if not path.exists():
            return
        from safetensors.numpy import load_file
        from sklearn.feature_extraction.text import TfidfVectorizer

        about = json.loads(path.read_text(encoding="utf-8"))
        tensors = load_file(path.with_name("wide.safetensors"))
        for number, kind in enumerate(about.get("kinds", [about])):
            prefix = f"{number}." if "kinds" in about else ""
            vectorizer = TfidfVectorizer(
                vocabulary=kind["ngrams"],
                sublinear_tf=True,
                analyzer=kind["analyzer"],
                ngram_range=(kind["shortest"], kind["longest"]),
            )
            vectorizer.idf_ = tensors[f"{prefix}frequencies"]
            yield vectorizer, tensors[f"{prefix}weights"], tensors[f"{prefix}biases"]

    def _ngram_scores(self, texts: list[str]) -> np.ndarray:
        parts = [
            (vectorizer.transform(texts) @ weights.astype(np.float64) + biases).astype(np.float32)
            for vectorizer, weights, biases in self._ngrams
        ]
        return np.stack(parts).sum(axis=0, dtype=np.float32)


class Regressor(Exported):
    """A number a text."""

    def answers(self, records: Sequence[str]) -> list[float]:
        """Return the value of each text."""
        values = np.zeros(len(records))
        facts = self._about["facts"]
        for chosen, outputs in self._run(self._ids_of(records)):
            if "distribution" in facts:
                values[chosen] = self._of_distribution(outputs.astype(np.float64))
            else:
                values[chosen] = outputs[:, 0] * facts["deviation"] + facts["mean"]
        return [float(value) for value in values]

    def _of_distribution(self, logits: np.ndarray) -> np.ndarray:
        """Return the mean or the median of ranges of values, by their logits."""
        exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = exponents / exponents.sum(axis=1, keepdims=True)
        values = np.array(self._about["facts"]["values"])
        if self._about["facts"]["distribution"] == "mean":
            mean: np.ndarray = shares @ values
            return mean
        median: np.ndarray = values[(np.cumsum(shares, axis=1)[:, :-1] < 0.5).sum(axis=1)]
        return median


class Tagger(Exported):
    """A tag a token."""

    def answers(self, records: Sequence[Any]) -> list[list[str]]:
        """Return the tags of each record: a list of tokens, or a text, which is cut at its spaces.

        A token has the tag of its first piece; a long text is read in several windows.
        """
        contents = [each.split() if isinstance(each, str) else list(each) for each in records]
        answers = [[self._about["facts"]["usual"]] * len(tokens) for tokens in contents]
        windows: list[list[int]] = []
        pieces: list[tuple[int, list[tuple[int, int]]]] = []
        encodings = self._tokenizer.encode_batch([" ".join(tokens) for tokens in contents])
        for record, (tokens, encoding) in enumerate(zip(contents, encodings, strict=True)):
            begins = np.cumsum([0, *(len(token) + 1 for token in tokens)])
            seen = -1
            for window in [encoding, *encoding.overflowing]:
                firsts = []
                for position, (_, end) in enumerate(window.offsets):
                    if end == 0 or window.special_tokens_mask[position]:
                        continue
                    number = int(np.searchsorted(begins, end - 1, side="right")) - 1
                    if number > seen:
                        seen = number
                        firsts.append((position, number))
                windows.append(window.ids or [self._about["padding"]])
                pieces.append((record, firsts))
        for chosen, outputs in self._run(windows):
            for row, window_number in enumerate(chosen):
                record, firsts = pieces[window_number]
                for position, number in firsts:
                    answers[record][number] = self.labels[int(outputs[row, position].argmax())]
        return answers


def load(folder: Any) -> Any:
    """Return the model in a folder, by what it answers."""
    about = json.loads((Path(folder) / ABOUT).read_text(encoding="utf-8"))
    return {None: Classifier, "regression": Regressor, "tagging": Tagger}[about.get("head")](folder)


def main() -> None:
    """Print the answer to each record of the command line; of classes, its probability too."""
    given = sys.argv[1:]
    classifier = load(Path(__file__).parent)
    if not isinstance(classifier, Classifier):
        for record, answer in zip(given, classifier.answers(given), strict=True):
            shown = " ".join(answer) if isinstance(answer, list) else f"{answer:.3f}"
            print(f"{shown}\t{record}")  # noqa: T201
        return
    paths = [Path(each) for each in given]
    is_text = classifier._about["modality"] == "text"
    records = given if is_text else [path.read_bytes() for path in paths]
    for record, scores in zip(given, classifier.scores(records), strict=True):
        best = int(scores.argmax())
        print(f"{classifier.labels[best]}\t{scores[best]:.3f}\t{record}")  # noqa: T201


if __name__ == "__main__":
    main()
