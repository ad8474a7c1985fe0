"""A model as an ONNX graph (https://onnx.ai): inputs in, the probability of each label out.

Of a head, its logits: of regression one a text or those of K ranges, of tagging K a piece; of
generation those of the next token, and the keys and values of all that was read, so that nothing is
read twice.

Dimensions: N records, T tokens, S tokens that were read before, C H W an image, K labels, V tokens
of the vocabulary, L layers, A attention heads, D features of each.
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
from tasks.inputs.tokenizer import (
    PADDING,
    TOKENIZER,
    TOKENIZER_CONFIG,
    UNKNOWN,
    load_tokenizer,
)
from tasks.models.model import WIDE, description, load_model
from tasks.models.wide import CONFIG as WIDE_CONFIG

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OUTPUT, LOGITS, PRESENT = "probabilities", "logits", "present"
GENERATION = "generation"


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
    if head is not None and head not in predict.HEADS:
        raise BadInput(
            f"the head {head} is not exported: classification, {', '.join(predict.HEADS)} are"
        )
    target.mkdir(parents=True, exist_ok=True)
    outputs = [OUTPUT]
    if head is not None:
        from tasks.heads._model import load_predictor

        model: Any = load_predictor(folder).model
        model.module.to("cpu")
        about = _copy_tokenizer(folder, target) | {"head": head, "facts": model.facts}
        about["labels"] = model.outputs
        if head == GENERATION:
            module, inputs, more = _writing_module(model)
            about |= more
            outputs = [LOGITS, PRESENT]
        else:
            module, inputs = _head_module(model)
            outputs = [LOGITS]
    else:
        model = load_model(folder)
        about = {"labels": model.labels}
        if model.modality == "text":
            about |= _copy_tokenizer(folder, target)
            inputs = _token_inputs()
            if (folder / WIDE).exists():
                inputs |= _copy_wide(folder, target, len(model.labels))
            module = _text_module(getattr(model, "deep", model))
        else:
            inputs, more = _image_inputs(model)
            about |= more
            module = _image_module(model)
    _write_graph(module, inputs, about.get("tokens"), target / predict.GRAPH, outputs)
    if int8:
        _quantise(target / predict.GRAPH)
    about |= {"modality": model.modality, "inputs": list(inputs)}
    files.write_json(target / predict.ABOUT, about)
    files.write_text(target / "predict.py", Path(predict.__file__).read_text(encoding="utf-8"))


def _copy_tokenizer(folder: Path, target: Path) -> dict[str, Any]:
    """Copy a model's tokenizer; return what ``predict.py`` has to know beside it."""
    tokenizer = load_tokenizer(folder)
    files.write_text(target / TOKENIZER, (folder / TOKENIZER).read_text(encoding="utf-8"))
    return {
        "tokens": files.read_json(folder / TOKENIZER_CONFIG)["model_max_length"],
        "padding": tokenizer.token_to_id(PADDING) or 0,
        "empty": tokenizer.token_to_id(UNKNOWN) or 0,
    }


def _copy_wide(folder: Path, target: Path, num_labels: int) -> dict[str, Tensor]:
    """Copy the n-grams of a model; return an example of the scores that they give."""
    import torch

    for name in (WIDE, WIDE_CONFIG):
        files.write_bytes(target / name, (folder / name).read_bytes())
    return {predict.WIDE_SCORES: torch.zeros(3, num_labels)}


def _token_inputs() -> dict[str, Tensor]:
    import torch

    return {name: torch.ones(3, 11, dtype=torch.int64) for name in predict.TOKEN_INPUTS}


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


def _head_module(model: Any) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a head's graph, and an example of each input."""
    import torch
    from torch import nn

    class Head(nn.Module):
        """Tokens to the logits of a text, or of each of its pieces."""

        def __init__(self) -> None:
            super().__init__()
            self.parts = model.module

        def forward(
            self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None
        ) -> Tensor:
            """Return N 1, N K, or N T K."""
            batch = {"input_ids": input_ids, "attention_mask": attention_mask}
            if model.name == "tagging":
                logits: Tensor = model.module["head"](model.states(batch))
            elif token_type_ids is not None:
                logits = model.logits({**batch, predict.SEGMENTS: token_type_ids})
            else:
                logits = model.logits(batch)
            return logits.to(torch.float32)

    inputs = _token_inputs()
    if model.name != "pair":
        return Head(), inputs
    # The exporter drops it again where the encoder knows no segments.
    inputs[predict.SEGMENTS] = torch.zeros(3, 11, dtype=torch.int64)
    return Head(), inputs


def _writing_module(model: Any) -> tuple[nn.Module, dict[str, Tensor], dict[str, Any]]:
    """Return the same of a model that writes, and what ``predict.py`` has to know."""
    import torch
    from torch import nn
    from transformers import DynamicCache

    class Writing(nn.Module):
        """Some more tokens, and what was read before, to the logits of the next one."""

        def __init__(self) -> None:
            super().__init__()
            self.parts = model.module

        def forward(
            self,
            input_ids: Tensor,
            position_ids: Tensor,
            attended_before: Tensor,
            attended: Tensor,
            past: Tensor,
        ) -> tuple[Tensor, Tensor]:
            """Return N V, and the keys and values of all tokens, L 2 N A S+T D.

            Args:
                input_ids: N T.
                position_ids: of each in its record, N T.
                attended_before: which of the tokens read before each one sees, N T S.
                attended: which of the new ones, N T T.
                past: keys and values of those read before, L 2 N A S D.
            """
            cache = DynamicCache(config=model.encoder.config)
            for number in range(past.shape[0]):
                cache.update(past[number, 0], past[number, 1], number)
            output = model.encoder(
                input_ids=input_ids,
                position_ids=position_ids,
                attention_mask=model.mask(torch.cat([attended_before, attended], -1)),
                past_key_values=cache,
                use_cache=True,
            )
            layers = output.past_key_values.layers
            present = torch.stack([torch.stack([one.keys, one.values]) for one in layers])
            return model.scores(output.last_hidden_state[:, -1]).float(), present

    config = model.encoder.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    features = config.hidden_size // config.num_attention_heads
    cache = [config.num_hidden_layers, heads, features]
    examples = (
        torch.ones(3, 5, dtype=torch.int64),
        torch.zeros(3, 5, dtype=torch.int64),
        torch.ones(3, 5, 7, dtype=torch.bool),
        torch.ones(3, 5, 5, dtype=torch.bool),
        torch.zeros(cache[0], 2, 3, heads, 7, features),
    )
    inputs = dict(zip(predict.READ_INPUTS, examples, strict=True))
    return Writing(), inputs, {"cache": cache, "never_written": model.writer.never_written.tolist()}


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
    module: nn.Module,
    inputs: dict[str, Tensor],
    longest: int | None,
    path: Path,
    outputs: list[str],
) -> None:
    """Write a graph that takes any number of records, and texts of any length.

    Args:
        module: what is written.
        inputs: an example of each, by name.
        longest: tokens of the longest text that is read; None of images.
        path: the file.
        outputs: what it calls what it gives.

    Raises:
        BadInput: ONNX lacks an operation, or its length would be fixed.
    """
    import torch

    num_records = torch.export.Dim("records")
    # Below two a length would be traced as fixed. One token that follows others, and none before,
    # come out right all the same: what is written is compared before it leaves.
    num_tokens, num_before = (
        torch.export.Dim(name, min=2, max=longest) for name in ("tokens", "before")
    )
    of_tokens = {0: num_records, 1: num_tokens}
    axes_of = {
        **dict.fromkeys((*predict.TOKEN_INPUTS, predict.SEGMENTS, "position_ids"), of_tokens),
        "attended_before": {**of_tokens, 2: num_before},
        "attended": {**of_tokens, 2: num_tokens},
        "past": {2: num_records, 4: num_before},
    }
    axes = tuple(axes_of.get(name, {0: num_records}) for name in inputs)
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
                traced, dynamo=True, input_names=list(inputs), output_names=outputs, verbose=False
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
