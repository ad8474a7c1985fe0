"""The command ``downstream export``."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flows.terminal import console, size, table
from tasks.progress import say


def export(
    model: Annotated[str, Parameter(help="A row of models: the registered model's name.")],
    *,
    to: Annotated[Literal["onnx"], Parameter(help="The format.")] = "onnx",
    int8: Annotated[
        bool,
        Parameter(
            help="Keep the weights of matrix products as integers of 8 bits.",
            negative="",
            show_default=False,
        ),
    ] = False,
    version: Annotated[
        int | None,
        Parameter(help="Its number; by default the champion's, or else the candidate's."),
    ] = None,
    output: Annotated[
        Path | None,
        Parameter(help="The folder to write; by default one in .downstream/exports."),
    ] = None,
) -> int:
    """Write a registered version for ONNX Runtime, with the file that runs it.

    Reads the version's files from MLflow, and the corpus' test records: the exported model labels
    them, and is written only if McNemar's test does not tell that it is worse. How it does is kept
    with the version's evaluation in MLflow.
    """
    from tasks.promotion.exports import export as write

    assert to == "onnx"  # noqa: S101 - there is one format yet
    folder, found = write(model, version, output, int8=int8)
    say(found.sentence)
    shown = table("", "size", "one record", right=("size", "one record"))
    for name, num_bytes, milliseconds in (
        ("registered, PyTorch", found.registered_size_bytes, found.registered_milliseconds),
        (f"exported, {found.precision}", found.size_bytes, found.milliseconds),
    ):
        shown.add_row(name, size(num_bytes), f"{milliseconds:.2f} ms")
    console().print(shown)
    console().print(f"Written to {folder}")
    return 0
