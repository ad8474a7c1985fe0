"""The model that MLflow serves: raw records in, a table of labels and scores out.

MLflow copies this file beside the weights and runs it there, so it imports nothing of this project
but the package that was copied with it (see ``packaging``).

``predict`` takes texts (a ``str``, a list, a Series, a DataFrame with a column ``text``) or images
(encoded bytes, base64 text, uint8 arrays H W or H W C; one, a list, a Series, or a DataFrame with
a column ``image``); over HTTP ``{"inputs": […]}``, texts or images in base64. It returns a
DataFrame, one row a record: ``label``, ``score``, and the probability of each class as
``score_<class>``. A model with another head takes what that reads, texts or lists of tokens (a
column ``tokens``), or pairs of texts (columns ``text`` and ``text_b``, or lists of two), and
returns the head's own columns.
"""

import base64
import importlib
import io
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PythonModel, PythonModelContext


class Served:
    """What texts and images share."""

    modality: str
    further_columns: tuple[str, ...] = ()

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights with the code that was registered with them."""
        package = context.model_config["package"]
        classifier = importlib.import_module(f"{package}.models.classifier")
        self._classifier = classifier.load_classifier(Path(context.artifacts["model"]))
        # Made once: for one record, pandas' work on names takes longer than a small model's.
        self._columns = pd.Index(
            ["score", *(f"score_{label}" for label in self._classifier.labels)]
        )
        self._mistake = importlib.import_module(f"{package}.errors").DownstreamError

    def table(self, records: list[Any]) -> pd.DataFrame:
        """Return the label and the scores of each record."""
        labels = self._classifier.labels
        scores = np.zeros((0, len(labels)))
        try:
            if records:
                scores = self._classifier.scores(records)
        except self._mistake as mistake:
            # A server answers this with 400 and the text, and any other error with a traceback.
            raise MlflowException.invalid_parameter_value(str(mistake)) from None
        numbers = np.column_stack([scores.max(axis=1), scores]).astype(np.float64)
        answers = pd.DataFrame(numbers, columns=self._columns)
        answers.insert(0, "label", [labels[index] for index in scores.argmax(axis=1)])
        return answers

    def contents(self, given: Any) -> list[Any]:
        """Return the records of whatever was given; over HTTP that is the JSON of ``inputs``."""
        if not isinstance(given, (pd.DataFrame, dict)):
            return _as_list(given)
        for name in (self.modality, *self.further_columns, 0, "0"):
            if name in given:
                return _as_list(given[name])
        raise MlflowException.invalid_parameter_value(
            f"expected a column {self.modality!r}, found {list(given)!s:.80}"
        )


class ServedText(Served, PythonModel):
    """Texts."""

    modality = "text"

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002 - MLflow gives it
        """Return the label and the scores of each text."""
        texts = self.contents(model_input)
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                raise MlflowException.invalid_parameter_value(
                    f"record {number} is not a text but {text!r:.80}"
                )
            try:
                text.encode()
            except UnicodeEncodeError:
                raise MlflowException.invalid_parameter_value(
                    f"record {number}: half a surrogate pair is no text"
                ) from None
        return self.table(texts)


class ServedImage(Served, PythonModel):
    """Images."""

    modality = "image"

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002 - MLflow gives it
        """Return the label and the scores of each image."""
        images = self.contents(model_input)
        return self.table([encoded(number, image) for number, image in enumerate(images)])


class ServedHead(Served, PythonModel):
    """Texts, answered by another head than classification."""

    modality = "text"
    further_columns = ("tokens",)

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights with the code that was registered with them."""
        package = context.model_config["package"]
        models = importlib.import_module(f"{package}.heads._model")
        self._predictor = models.load_predictor(Path(context.artifacts["model"]))
        self._mistake = importlib.import_module(f"{package}.errors").DownstreamError

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame) -> pd.DataFrame:  # noqa: ARG002 - MLflow gives it
        """Return the head's answer to each record."""
        records = [_plain(record) for record in self.contents(model_input)]
        try:
            rows = self._predictor.served(records)
        except self._mistake as mistake:
            raise MlflowException.invalid_parameter_value(str(mistake)) from None
        columns = list(self._predictor.model.head.output_columns())
        return pd.DataFrame(rows, columns=columns)

    def contents(self, given: Any) -> list[Any]:
        """Return the records of whatever was given; of a head that reads several columns, rows."""
        names = getattr(self._predictor.model.head, "COLUMNS", None)
        if names is None or not isinstance(given, (pd.DataFrame, dict)):
            return super().contents(given)
        lacking = [name for name in names if name not in given]
        columns = [_as_list(given[name]) for name in names if name in given]
        if lacking or len({*map(len, columns)}) > 1:
            raise MlflowException.invalid_parameter_value(
                f"expected the columns {' and '.join(names)}, equally long, found "
                f"{list(given)!s:.80}"
            )
        return [list(record) for record in zip(*columns, strict=True)]


def _plain(record: Any) -> Any:
    """Return tokens that a table or an array holds as a list."""
    return record.tolist() if isinstance(record, np.ndarray) else record


def _as_list(given: Any) -> list[Any]:
    if isinstance(given, (list, tuple, pd.Series)):
        return list(given)
    if isinstance(given, np.ndarray) and given.ndim > 0:
        is_one = given.dtype.kind not in "OSU" and (
            given.ndim == 2 or (given.ndim == 3 and given.shape[-1] in (1, 3, 4))
        )
        return [given] if is_one else list(given)
    return [given]


def encoded(number: int, image: Any) -> bytes:
    """Return an image as encoded bytes."""
    from PIL import Image

    if isinstance(image, bytes):
        return image
    if isinstance(image, str):
        try:
            return base64.b64decode("".join(image.split()), validate=True)
        except ValueError:
            raise MlflowException.invalid_parameter_value(
                f"record {number} is a text, but not an image in base64"
            ) from None
    try:
        pixels = np.asarray(image)
        is_right = pixels.dtype == np.uint8 or (
            pixels.size and bool(np.isin(pixels, np.arange(256)).all())
        )
    except (TypeError, ValueError):  # rows of unlike lengths, values of unlike kinds
        is_right = False
    if not is_right:
        raise MlflowException.invalid_parameter_value(
            f"record {number}: pixels must be whole numbers from 0 to 255 (uint8)"
        )
    if pixels.ndim == 3 and pixels.shape[-1] == 1:
        pixels = pixels[:, :, 0]
    if pixels.ndim not in (2, 3):
        raise MlflowException.invalid_parameter_value(
            f"record {number}: expected an array H W or H W C, found the shape {pixels.shape}"
        )
    file = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(file, format="PNG")
    return file.getvalue()


config = mlflow.models.ModelConfig()
if "head" in config.to_dict():
    mlflow.models.set_model(ServedHead())
else:
    mlflow.models.set_model(ServedText() if config.get("modality") == "text" else ServedImage())
