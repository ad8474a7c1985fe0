"""A registered version, exported, once it answers the test records as well as before.

``export`` writes a folder for somebody; ``exports_of`` tells a review how a candidate does as the
row of ``params.yaml`` wants it exported.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files, paths
from tasks.errors import BadInput
from tasks.export import predict
from tasks.export.comparison import Answers, Classes, Exported, Registered, write_compared
from tasks.export.network import WIDE_CONFIG, require_packages
from tasks.heads import _evidence as evidence
from tasks.inputs.tokenizer import TOKENIZER
from tasks.metrics.predictions import Labelled, read_labelled, read_predictions
from tasks.metrics.scores import Scored
from tasks.models.model import WIDE, description
from tasks.progress import say
from tasks.promotion.review.subject import corpus_of
from tasks.promotion.versions import FetchedVersion, fetch
from tasks.tracking.audit.aliases import CANDIDATE, CHAMPION
from tasks.tracking.audit.log import aliases_of, require_registered
from tasks.tracking.registry.version import PREDICTIONS, RegisteredVersion, read_version
from tasks.tracking.registry.version_writer import attach
from tasks.tracking.store import opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.promotion.settings import ExportSettings
    from tasks.tracking.store import MlflowClient

NEEDED = {"README.md", predict.ABOUT, predict.GRAPH, "predict.py"}
"""The files of each exported model."""
MORE = {TOKENIZER, WIDE, WIDE_CONFIG, f"{predict.GRAPH}.data", "__pycache__"}
"""What some have besides; bytecode comes of importing one."""
README = """\
# {title}, as ONNX ({precision})

{sentence}

    pip install {packages}
    python predict.py {example}

`predict.py` says how to use it from Python; `model.json` has the labels, `model.onnx` the graph.
"""


def export(
    model: str, version: int | None, folder: Path | None, *, int8: bool
) -> tuple[Path, Exported]:
    """Write a registered version as ONNX, unless the test records tell that it is worse.

    Args:
        model: the registered model, a row of ``models``.
        version: its number; by default the champion, or the candidate where there is none.
        folder: what is written, or replaced; by default one in ``.downstream/exports``.
        int8: with weights of 8 bits.

    Returns:
        The folder, and how the exported model does. The latter is kept with the version too.

    Raises:
        BadInput: it is significantly behind the registered one; or there is no such version; or
            its test records are not here; or its architecture, or its head, cannot be written as
            ONNX.
        DownstreamError: a package is missing.
        Unreachable: the store is away.
    """
    require_packages()
    precision = "int8" if int8 else "fp32"
    corpus = corpus_of(model)
    with opened() as client, tempfile.TemporaryDirectory() as temporary:
        require_registered(client, model)
        chosen = _choose(client, model, version)
        fetched = fetch(client, chosen, Path(temporary))
        known = _known(fetched, corpus)
        target = folder or paths.STATE / "exports" / f"{model}-{chosen.number}-{precision}"
        if target.exists() and not _was_exported(target):
            raise BadInput(
                f"--output: {target} exists, and is not what an export has written: name another"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as staging:
            written = Path(staging) / "model"
            exported = write_compared(_registered(fetched), known, written, int8=int8)
            if exported.is_behind:
                raise BadInput(
                    f"{exported.title}: not exported, since {precision} is behind it: "
                    f"{exported.sentence}"
                )
            _write_readme(written, exported)
            files.replace_folder(written, target)
        keep(client, chosen, asdict(exported))
    return target, exported


def exports_of(
    fetched: FetchedVersion, known: Classes | Answers, settings: ExportSettings
) -> tuple[list[Exported], list[str]]:
    """Export a version as its row wants it, compare, and keep the figures alone.

    Args:
        fetched: the version.
        known: test records, and what it says about them.
        settings: the precisions, and what may be lost.

    Returns:
        How each does, and the gates that are missed, one sentence each.

    Raises:
        DownstreamError: a package is missing.
    """
    require_packages()
    found, missed = [], []
    for precision in settings.precisions:
        with tempfile.TemporaryDirectory(prefix="downstream-export-") as temporary:
            written = Path(temporary) / "model"
            try:
                exported = write_compared(
                    _registered(fetched), known, written, int8=precision == "int8"
                )
            except BadInput as error:
                missed.append(f"it cannot be exported as {precision}: {error}")
                continue
        found.append(exported)
        if not -exported.better_by <= settings.most_lost + 1e-9:
            missed.append(
                f"as {precision}, {exported.metric} is {exported.both}: "
                f"{-exported.better_by:.4g} lost, above the limit of {settings.most_lost:g}"
            )
    return found, missed


def keep(client: MlflowClient, version: RegisteredVersion, exported: Mapping[str, Any]) -> None:
    """Keep with a version's evaluation how it does when it is exported.

    Args:
        client: the open store.
        version: which one.
        exported: an ``Exported`` as JSON has it; an earlier one of that precision is replaced.
    """
    attach(client, version, f"export/onnx-{exported['precision']}.json", exported)


def _registered(fetched: FetchedVersion) -> Registered:
    return Registered(fetched.version.model, fetched.version.number, fetched.model)


def _choose(client: MlflowClient, model: str, version: int | None) -> RegisteredVersion:
    if version is not None:
        return read_version(client, model, version)
    aliases = aliases_of(client, model)
    for alias in (CHAMPION, CANDIDATE):
        if alias in aliases:
            say(f"{model}: version {aliases[alias]}, the {alias}")
            return read_version(client, model, aliases[alias])
    raise BadInput(f"{model} has neither a champion nor a candidate: name a --version")


def _known(fetched: FetchedVersion, corpus: str) -> Classes | Answers:
    """Return the test records of today that the version was evaluated on, and what it said then."""
    about, recorded = description(fetched.model), fetched.evidence / PREDICTIONS
    if "head" in about:
        of_head = evidence.read_test(paths.split(corpus, "test"), about["head"])
        given = evidence.read_predictions(recorded, of_head)
        return Answers(of_head, about["labels"], given)
    then = read_predictions(recorded)
    test = read_labelled(paths.split(corpus, "test"))
    row_of = {name: row for row, name in enumerate(then.ids)}
    known = [index for index, name in enumerate(test.ids) if name in row_of]
    if not known:
        raise BadInput(
            f"{fetched.version.title}: none of the {len(then.ids)} records that it was evaluated "
            f"on lies in {paths.split(corpus, 'test')}: `dvc pull`, of its own commit if the data "
            "has changed since"
        )
    rows = np.array([row_of[test.ids[index]] for index in known])
    kept = Labelled(
        modality=test.modality,
        ids=[test.ids[index] for index in known],
        contents=[test.contents[index] for index in known],
        labels=[test.labels[index] for index in known],
        num_unlabelled=0,
    )
    scored = then.scored
    of_rows = Scored(scored.true[rows], scored.predicted[rows], scored.scores[rows])
    return Classes(kept, then.labels, of_rows)


def _was_exported(folder: Path) -> bool:
    """Tell whether all that a folder holds is of an exported model."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return NEEDED <= names <= NEEDED | MORE


def _write_readme(folder: Path, exported: Exported) -> None:
    packages = ["onnxruntime", "numpy"]
    example = '"a text"'
    if not (folder / TOKENIZER).exists():
        packages.append("pillow")
        example = "image.png"
    else:
        packages.append("tokenizers")
        if (folder / WIDE_CONFIG).exists():
            packages += ["scikit-learn", "safetensors"]
        if files.read_json(folder / predict.ABOUT).get("head") == "pair":
            example = '"a text" "and another one"'
    text = README.format(
        title=exported.title,
        precision=exported.precision,
        sentence=exported.sentence,
        packages=" ".join(packages),
        example=example,
    )
    files.write_text(folder / "README.md", text)
