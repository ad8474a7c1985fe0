"""A model as an ONNX graph (https://onnx.ai): inputs in, the probability of each label out.

Of a head, its logits: of regression one a text, of tagging K a piece.

Dimensions: N records, T tokens, C H W an image, K labels.
"""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.contracts import files
from tasks.errors import BadInput, DownstreamError
from tasks.export import predict
from tasks.inputs.tokenizer import PADDING, TOKENIZER, TOKENIZER_CONFIG, UNKNOWN
from tasks.models.model import WIDE, description, load_model
from tasks.models.wide import CONFIG as WIDE_CONFIG

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OUTPUT, LOGITS = "probabilities", "logits"
HEADS = ("regression", "tagging")
"""Those that are written; ``predict`` knows how each answers."""


def require_packages() -> None:
    """Check that what writes a graph and what runs it are installed.

    Raises:
        DownstreamError: they are not.
    """
    for name in PACKAGES:
        if find_spec(name) is None:
            raise DownstreamError(
                f"export needs the package {name}: pip install {' '.join(PACKAGES)}"
            )


def write_network(folder: Path, target: Path, *, int8: bool = False) -> None:
    """Write ``model.onnx``, ``model.json``, ``predict.py`` and what that turns records with.

    Args:
        folder: of a finetuned model.
        target: an empty folder.
        int8: keep the weights of matrix products as integers of 8 bits, and round what they are
            multiplied with as it comes (dynamic quantisation, by ONNX Runtime).

    Raises:
        BadInput: ONNX lacks an operation of the architecture.
    """
    head = description(folder).get("head")
    if head is not None:
        model, kept = _load_head(folder)
    else:
        model, kept = load_model(folder), {}
    target.mkdir(parents=True, exist_ok=True)
    if head is not None:
        inputs, about = _text_inputs(model.inner, folder, target)
        module = _head_module(model)
    elif model.modality == "text":
        inputs, about = _text_inputs(model, folder, target)
        module = _text_module(getattr(model, "deep", model))
    else:
        inputs, about = _image_inputs(model)
        module = _image_module(model)
    output = OUTPUT if head is None else LOGITS
    _write_graph(module, inputs, about.get("tokens"), target / predict.GRAPH, output)
    if int8:
        _quantise(target / predict.GRAPH)
    labels = model.labels if head is None else model.outputs
    about |= {"labels": labels, "modality": model.modality, "inputs": list(inputs), **kept}
    files.write_json(target / predict.ABOUT, about)
    files.write_text(target / "predict.py", Path(predict.__file__).read_text(encoding="utf-8"))


def _load_head(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return the model of a head, and what ``predict.py`` has to know of it."""
    from tasks.heads._model import load_predictor

    model = load_predictor(folder).model
    model.module.to("cpu")
    return model, {"head": model.name, "facts": model.facts}


def _text_inputs(
    model: Any, folder: Path, target: Path
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return an example of each input, and what ``predict.py`` has to know; copy its files."""
    import torch

    example = {name: torch.ones(3, 11, dtype=torch.int64) for name in predict.TOKEN_INPUTS}
    if (folder / WIDE).exists():
        example[predict.WIDE_SCORES] = torch.zeros(3, len(model.labels))
        for name in (WIDE, WIDE_CONFIG):
            files.write_bytes(target / name, (folder / name).read_bytes())
    files.write_text(target / TOKENIZER, (folder / TOKENIZER).read_text(encoding="utf-8"))
    tokenizer = model.tokenizer
    return example, {
        "tokens": files.read_json(folder / TOKENIZER_CONFIG)["model_max_length"],
        "padding": tokenizer.token_to_id(PADDING) or 0,
        "empty": tokenizer.token_to_id(UNKNOWN) or 0,
    }


def _image_inputs(model: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    import torch

    shape = model.traits.shape
    return {predict.IMAGES: torch.zeros(3, *shape)}, {"shape": list(shape)}


def _text_module(model: Any) -> nn.Module:
    import torch
    from torch import nn

    class Texts(nn.Module):
        """Tokens, and perhaps scores of n-grams, to probabilities."""

        def __init__(self) -> None:
            super().__init__()
            self.parts = model.module

        def forward(
            self, input_ids: Tensor, attention_mask: Tensor, wide_scores: Tensor | None = None
        ) -> Tensor:
            """Return N K."""
            logits = model.logits({"input_ids": input_ids, "attention_mask": attention_mask})
            if wide_scores is not None:
                logits = logits.float() + wide_scores
            return torch.softmax(logits.float(), dim=-1)

    return Texts()


def _head_module(model: Any) -> nn.Module:
    import torch
    from torch import nn

    class Head(nn.Module):
        """Tokens to the logits of a text, or of each of its pieces."""

        def __init__(self) -> None:
            super().__init__()
            self.parts = model.module

        def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
            """Return N 1, or N T K."""
            batch = {"input_ids": input_ids, "attention_mask": attention_mask}
            if model.name == "tagging":
                logits: Tensor = model.module["head"](model.states(batch))
            else:
                logits = model.logits(batch)
            return logits.to(torch.float32)

    return Head()


def _image_module(model: Any) -> nn.Module:
    import torch
    from torch import nn

    class Images(nn.Module):
        """Pixels to probabilities."""

        def __init__(self) -> None:
            super().__init__()
            self.parts = model.module

        def forward(self, images: Tensor) -> Tensor:
            """Return N K."""
            return torch.softmax(model.logits({"images": images}).float(), dim=-1)

    return Images()


def _write_graph(
    module: nn.Module, inputs: dict[str, Tensor], longest: int | None, path: Path, output: str
) -> None:
    """Write a graph that takes any number of records, and texts of any length.

    Args:
        module: what is written.
        inputs: an example of each, by name.
        longest: tokens of the longest text that is read; None of images.
        path: the file.
        output: what it calls what it gives.

    Raises:
        BadInput: ONNX lacks an operation, or its length would be fixed.
    """
    import torch

    num_records = torch.export.Dim("records")
    num_tokens = torch.export.Dim("tokens", min=2, max=longest)
    axes = tuple(
        {0: num_records, 1: num_tokens} if name in predict.TOKEN_INPUTS else {0: num_records}
        for name in inputs
    )
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    # It tells of each of its steps on stdout, and warns of names of axes that it drops.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            # By itself the exporter fixes a length that it cannot keep open, and says nothing.
            traced = torch.export.export(
                module.eval(), tuple(inputs.values()), dynamic_shapes=axes, strict=False
            )
            program = torch.onnx.export(
                traced, dynamo=True, input_names=list(inputs), output_names=[output], verbose=False
            )
        except RuntimeError as error:
            raise BadInput(
                "the model's architecture cannot be written as ONNX for any number of records and "
                f"tokens ({type(error).__name__}): serve the registered model with MLflow"
            ) from error
        finally:
            logger.setLevel(before)
    assert program is not None  # noqa: S101 - it is with dynamo
    program.save(str(path))


def _quantise(path: Path) -> None:
    """Replace a graph by one with weights of 8 bits."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory(dir=path.parent) as temporary:
        smaller = Path(temporary) / path.name
        logging.disable(logging.WARNING)  # it recommends a step that is for other graphs
        try:
            quantize_dynamic(path, smaller, weight_type=QuantType.QInt8, per_channel=True)
        finally:
            logging.disable(logging.NOTSET)
        smaller.replace(path)
