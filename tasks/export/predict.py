"""Answer with the exported model in this folder: by ONNX Runtime, without PyTorch.

    python predict.py "a text" "another one"
    python predict.py image.png

    from predict import load
    load(".").scores(["a text"])  # of classes: as model.json names no head
    load(".").answers(["a text"])  # of a head: multilabel, regression or generation
    load(".").answers(["a text", ["or", "its", "tokens"]])  # tagging
    load(".").answers([("a text", "and another one")])  # pair

Needs onnxruntime and numpy; for texts also tokenizers, and scikit-learn and safetensors where there
is a ``wide.json``; for images Pillow. It is copied beside the model as it is, so it imports nothing
of the project that wrote it.

Dimensions: N records, T tokens (of tagging, pieces), S tokens that were read before, K labels,
V tokens of the vocabulary, L layers, A attention heads, D features of each.
"""

import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

GRAPH, ABOUT = "model.onnx", "model.json"
TOKEN_INPUTS, SEGMENTS = ("input_ids", "attention_mask"), "token_type_ids"
READ_INPUTS = ("input_ids", "position_ids", "attended_before", "attended", "past")
"""Of a model that writes."""
WIDE_SCORES, IMAGES = "wide_scores", "images"
BATCH_SIZE = 64


class Exported:
    """The model in a folder.

    Attributes:
        labels: the names of the classes or tags, in the order of the graph's outputs.
        head: what is predicted; None of classes.
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
        self.head: str | None = self._about.get("head")
        self._session = onnxruntime.InferenceSession(
            self._folder / GRAPH, providers=["CPUExecutionProvider"]
        )
        if self._about["modality"] == "text":
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(self._folder / "tokenizer.json"))
            self._tokenizer.no_padding()
            self._tokenizer.enable_truncation(self._about["tokens"])

    def _run(
        self, ids: Sequence[list[int]], segments: Sequence[list[int]] = ()
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """Yield batches of sequences of like length: which, and what the graph gives for them."""
        for chosen, inputs in self._batches(ids):
            if any(each.name == SEGMENTS for each in self._session.get_inputs()):
                inputs[SEGMENTS] = np.zeros_like(inputs[TOKEN_INPUTS[0]])
                for row, index in enumerate(chosen):
                    inputs[SEGMENTS][row, : len(segments[index])] = segments[index]
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
        for chosen, outputs in self._run(self._ids_of(records)):
            values[chosen] = self._values(outputs.astype(np.float64))
        return [float(value) for value in values]

    def _values(self, outputs: np.ndarray) -> Any:
        """Return the values that a batch's outputs stand for: standardised, or of ranges."""
        facts = self._about["facts"]
        if "distribution" not in facts:
            return outputs[:, 0] * facts["deviation"] + facts["mean"]
        shares = _softmax(outputs)
        values = np.array(facts["values"])
        if facts["distribution"] == "mean":
            return shares @ values
        return values[(np.cumsum(shares, axis=1)[:, :-1] < 0.5).sum(axis=1)]


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


class Multilabel(Exported):
    """Any number of labels a text."""

    def answers(self, records: Sequence[str]) -> list[dict[str, Any]]:
        """Return of each text its ``labels``, and ``scores``, a ``label`` and ``score`` each."""
        answers: list[dict[str, Any]] = [{}] * len(records)
        threshold = self._about["facts"]["threshold"]
        for chosen, outputs in self._run(self._ids_of(records)):
            scores = 1 / (1 + np.exp(-outputs.astype(np.float64)))
            for index, row in zip(chosen, scores.tolist(), strict=True):
                scored = list(zip(self.labels, row, strict=True))
                answers[index] = {
                    "labels": [label for label, score in scored if score > threshold],
                    "scores": [{"label": label, "score": score} for label, score in scored],
                }
        return answers


class PairClassifier(Exported):
    """One class of two texts."""

    def __init__(self, folder: Any) -> None:
        """Load it.

        Args:
            folder: with ``model.onnx`` and what lies beside it.
        """
        super().__init__(folder)
        self._tokenizer.encode_special_tokens = True  # such as "[SEP]" in a text: plain text

    def answers(self, records: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """Return of each pair its ``label``, and ``scores``, a ``label`` and ``score`` each."""
        # A tokenizer that adds no token of its own would run the one text into the other.
        adds_tokens = self._tokenizer.num_special_tokens_to_add(is_pair=True)
        between = "" if adds_tokens else "\n"
        pairs = [(text, f"{between}{other}") for text, other in records]
        encodings = self._tokenizer.encode_batch(pairs)
        ids = [encoding.ids or [self._about["empty"]] for encoding in encodings]
        answers: list[dict[str, Any]] = [{}] * len(records)
        for chosen, outputs in self._run(ids, [encoding.type_ids for encoding in encodings]):
            scores = _softmax(outputs.astype(np.float64))
            for index, row in zip(chosen, scores.tolist(), strict=True):
                scored = zip(self.labels, row, strict=True)
                answers[index] = {
                    "label": self.labels[int(np.argmax(row))],
                    "scores": [{"label": label, "score": score} for label, score in scored],
                }
        return answers


class Generator(Exported):
    """A response to each prompt: of the tokens that may follow, always the likeliest one."""

    def __init__(self, folder: Any) -> None:
        """Load it.

        Args:
            folder: with ``model.onnx`` and what lies beside it.
        """
        super().__init__(folder)
        self._tokenizer.no_truncation()
        self._tokenizer.encode_special_tokens = True  # such as "[SEP]" in a prompt: plain text
        template = self._about["facts"]["template"]
        self._start, self._turn, self._end = (
            self._marker(template[name]) for name in ("start", "turn", "end")
        )

    def _marker(self, text: str) -> list[int]:
        known = self._tokenizer.token_to_id(text)
        return self._encoded([text])[0] if known is None else [known]

    def _encoded(self, texts: Sequence[str]) -> list[list[int]]:
        encoded = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encoded]

    def answers(self, records: Sequence[str], max_tokens: int | None = None) -> list[str]:
        """Return the response to each prompt.

        Args:
            records: the prompts.
            max_tokens: of a response; by default as many as the longest that was trained on.
        """
        longest = self._about["tokens"]
        most = self._about["facts"]["max_tokens"] if max_tokens is None else max_tokens
        if most >= longest:
            raise ValueError(f"max_tokens is {most}, but all are {longest} at most: lower it")
        # A prompt leaves half of all tokens to its response, and of a long one the end is read.
        read = max(0, longest - min(most, longest // 2) - len(self._start) - len(self._turn))
        prompts = [
            [*self._start, *ids[max(0, len(ids) - read) :], *self._turn]
            for ids in self._encoded(records)
        ]
        responses = [""] * len(records)
        order = sorted(range(len(records)), key=lambda index: len(prompts[index]))
        for start in range(0, len(order), BATCH_SIZE):
            chosen = order[start : start + BATCH_SIZE]
            written = self._written([prompts[index] for index in chosen], most)
            for index, ids in zip(chosen, written, strict=True):
                responses[index] = self._tokenizer.decode(ids, skip_special_tokens=True)
        return responses

    def _written(self, prompts: list[list[int]], most: int) -> list[list[int]]:
        """Return the tokens that follow each prompt; padding stands in front of them."""
        width, longest = max(map(len, prompts)), self._about["tokens"]
        new = np.zeros((len(prompts), width), dtype=np.int64)
        is_text = np.zeros(new.shape, dtype=bool)
        for row, prompt in enumerate(prompts):
            new[row, width - len(prompt) :] = prompt
            is_text[row, width - len(prompt) :] = True
        room = [min(most, longest - len(prompt)) for prompt in prompts]
        is_over = np.array([each < 1 for each in room])
        written: list[list[int]] = [[] for _ in prompts]
        layers, heads, features = self._about["cache"]
        past = np.zeros((layers, 2, len(prompts), heads, 0, features), dtype=np.float32)
        while not is_over.all():
            logits, past = self._session.run(None, self._read_inputs(new, is_text, past))
            logits[:, self._about["never_written"]] = -np.inf
            chosen = logits.argmax(axis=1)
            for row, token in enumerate(chosen.tolist()):
                if is_over[row]:
                    continue
                if token != self._end[0]:
                    written[row].append(token)
                is_over[row] = token == self._end[0] or len(written[row]) >= room[row]
            new = chosen[:, None]
            is_text = np.column_stack([is_text, np.ones(len(chosen), dtype=bool)])
        return written

    def _read_inputs(self, new: np.ndarray, is_text: np.ndarray, past: np.ndarray) -> Any:
        """Return what the graph takes to read more tokens.

        Args:
            new: the tokens, N T.
            is_text: which of all tokens, those read before among them, are no padding, N S+T.
            past: keys and values of those read before, L 2 N A S D.
        """
        num_new = new.shape[1]
        first = is_text.shape[1] - num_new
        position = (is_text.cumsum(axis=1) - 1).clip(0, self._about["tokens"] - 1)
        attended = np.tri(num_new, dtype=bool)[None] & is_text[:, None, first:]
        attended |= np.eye(num_new, dtype=bool)  # padding sees itself: a softmax of nothing is none
        before = np.repeat(is_text[:, None, :first], num_new, axis=1)
        given = (new, position[:, first:], before, attended, past)
        return dict(zip(READ_INPUTS, given, strict=True))


def _softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities of each row."""
    exponents = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: np.ndarray = exponents / exponents.sum(axis=1, keepdims=True)
    return shares


HEADS = {
    "multilabel": Multilabel,
    "regression": Regressor,
    "tagging": Tagger,
    "pair": PairClassifier,
    "generation": Generator,
}


def load(folder: Any) -> Any:
    """Return the model in a folder, by what it answers."""
    head = json.loads((Path(folder) / ABOUT).read_text(encoding="utf-8")).get("head")
    return Classifier(folder) if head is None else HEADS[head](folder)


def main() -> None:
    """Print the answer to each record of the command line; of classes, its probability too."""
    given = sys.argv[1:]
    model = load(Path(__file__).parent)
    if isinstance(model, PairClassifier):
        if len(given) % 2:
            sys.exit(f"expected two texts for each pair, found {len(given)} texts")
        pairs = list(zip(given[::2], given[1::2], strict=True))
        for pair, answer in zip(pairs, model.answers(pairs), strict=True):
            print(f"{answer['label']}\t{' / '.join(pair)}")  # noqa: T201
    elif not isinstance(model, Classifier):
        for record, answer in zip(given, model.answers(given), strict=True):
            print(f"{_shown(answer)}\t{record}")  # noqa: T201
    else:
        is_text = model._about["modality"] == "text"
        records = given if is_text else [Path(each).read_bytes() for each in given]
        for record, scores in zip(given, model.scores(records), strict=True):
            best = int(scores.argmax())
            print(f"{model.labels[best]}\t{scores[best]:.3f}\t{record}")  # noqa: T201


def _shown(answer: Any) -> str:
    if isinstance(answer, float):
        return f"{answer:.3f}"
    if isinstance(answer, dict):
        return ", ".join(answer["labels"]) or "no label"
    return answer if isinstance(answer, str) else " ".join(answer)


if __name__ == "__main__":
    main()
