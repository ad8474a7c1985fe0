"""A registered version, exported, once it answers the test records as well as before.

What is compared is what leaves: the folder that is written, run by the file that lies in it.
"""

from __future__ import annotations

import runpy
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files, paths
from tasks.errors import BadInput
from tasks.export import predict
from tasks.export.network import WIDE_CONFIG, require_packages, write_network
from tasks.inputs.tokenizer import TOKENIZER
from tasks.metrics.predictions import Labelled, read_labelled, read_predictions
from tasks.metrics.scores import Scored, once_each
from tasks.models.model import WIDE, description
from tasks.progress import say
from tasks.promotion.comparison.comparison import disagree
from tasks.promotion.comparison.serving import milliseconds, size_of
from tasks.promotion.review.subject import corpus_of
from tasks.promotion.versions import FetchedVersion, fetch
from tasks.tracking.audit.aliases import CANDIDATE, CHAMPION
from tasks.tracking.audit.log import aliases_of, require_registered
from tasks.tracking.registry.version import PREDICTIONS, RegisteredVersion, read_version
from tasks.tracking.registry.version_writer import attach
from tasks.tracking.store import opened

if TYPE_CHECKING:
    from tasks.tracking.store import MlflowClient

ALPHA = 0.05
NUM_TIMED = 50
ACCURACY = "accuracy"
SAME = 1e-3
"""Below it, two answers of a head are one: a number differs by so much, or no token does."""
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


@dataclass(frozen=True)
class Exported:
    """How the exported model does beside the registered one, on the same test records.

    Attributes:
        model: the registered model.
        version: its number.
        precision: ``fp32`` or ``int8``.
        records: how many were compared.
        same_answers: the share that got the same label from both; of a head, the same answer.
        metric: the one that decides.
        value: of the exported model.
        registered_value: of the registered one.
        better_by: how much better the exported model is; below zero, it is worse.
        p_value: of McNemar's exact test of the two accuracies; of a head, of the paired
            randomisation test.
        milliseconds: the median for one record, on the machine that exported.
        registered_milliseconds: of the registered one, by PyTorch.
        size_bytes: of what is exported.
        registered_size_bytes: of the registered model's files.
    """

    model: str
    version: int
    precision: str
    records: int
    same_answers: float
    metric: str
    value: float
    registered_value: float
    better_by: float
    p_value: float
    milliseconds: float
    registered_milliseconds: float
    size_bytes: int
    registered_size_bytes: int

    @property
    def title(self) -> str:
        """How a person knows it."""
        return f"{self.model} version {self.version}"

    @property
    def is_behind(self) -> bool:
        """Whether the test records tell that it is worse."""
        return self.better_by < 0 and self.p_value < ALPHA

    @property
    def sentence(self) -> str:
        """What was found."""
        of_classes = self.metric == ACCURACY
        what, test = ("label", "McNemar") if of_classes else ("answer", "paired randomisation")
        both = (
            f"{100 * self.value:.2f} beside {100 * self.registered_value:.2f} %"
            if of_classes
            else f"{self.value:.4f} beside {self.registered_value:.4f}"
        )
        return (
            f"The same {what} as the registered model on {100 * self.same_answers:.2f} % of "
            f"{self.records:,} test records; {self.metric.replace('_', ' ')} {both} "
            f"({test} p {self.p_value:.2g})."
        )


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
        head = description(fetched.model).get("head")
        if head is not None and head not in predict.HEADS:
            raise BadInput(
                f"{chosen.title} has the head {head}, which is not exported: classification, "
                f"{', '.join(predict.HEADS)} are"
            )
        recorded = _recorded(fetched, corpus) if head is None else None
        target = folder or paths.STATE / "exports" / f"{model}-{chosen.number}-{precision}"
        if target.exists() and not _was_exported(target):
            raise BadInput(
                f"--output: {target} exists, and is not what an export has written: name another"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as staging:
            written = Path(staging) / "model"
            say(f"{chosen.title}: writing the graph")
            write_network(fetched.model, written, int8=int8)
            if recorded is not None:
                exported = _compare(fetched, written, recorded, precision)
            else:
                exported = _compare_head(fetched, written, corpus, precision)
            if exported.is_behind:
                raise BadInput(
                    f"{exported.title}: not exported, since {precision} is behind it: "
                    f"{exported.sentence}"
                )
            _write_readme(written, exported)
            files.replace_folder(written, target)
        attach(client, chosen, f"export/onnx-{precision}.json", asdict(exported))
    return target, exported


def _choose(client: MlflowClient, model: str, version: int | None) -> RegisteredVersion:
    if version is not None:
        return read_version(client, model, version)
    aliases = aliases_of(client, model)
    for alias in (CHAMPION, CANDIDATE):
        if alias in aliases:
            say(f"{model}: version {aliases[alias]}, the {alias}")
            return read_version(client, model, aliases[alias])
    raise BadInput(f"{model} has neither a champion nor a candidate: name a --version")


@dataclass(frozen=True)
class _Recorded:
    """Test records, and what the registered version said about them when it was evaluated."""

    test: Labelled
    labels: list[str]
    """The classes, in the order of the scores."""
    scored: Scored


def _recorded(fetched: FetchedVersion, corpus: str) -> _Recorded:
    """Return the test records of today that the version was evaluated on, and what it said then."""
    then = read_predictions(fetched.evidence / PREDICTIONS)
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
    return _Recorded(kept, then.labels, of_rows)


def _compare(
    fetched: FetchedVersion, written: Path, recorded: _Recorded, precision: str
) -> Exported:
    from tasks.models.classifier import load_classifier

    version, test, registered = fetched.version, recorded.test, recorded.scored
    mine = _model_of(written)
    say(f"{version.title}: {len(test.ids):,} test records are scored by ONNX Runtime")
    scores = np.asarray(mine.scores(test.contents), dtype=np.float64)
    if not np.isfinite(scores).all():
        raise BadInput(f"{version.title}: as {precision} it gives scores that are not numbers")
    index_of = np.array([recorded.labels.index(label) for label in mine.labels])
    ours = Scored(registered.true, index_of[scores.argmax(axis=1)], scores)
    timed = test.contents[:NUM_TIMED]
    return Exported(
        model=version.model,
        version=version.number,
        precision=precision,
        records=len(test.ids),
        same_answers=float((ours.predicted == registered.predicted).mean()),
        metric=ACCURACY,
        value=float(ours.correct.mean()),
        registered_value=float(registered.correct.mean()),
        better_by=float(ours.correct.mean() - registered.correct.mean()),
        p_value=disagree(ours, registered, ALPHA)["p_value"],
        milliseconds=_median(mine.scores, timed),
        registered_milliseconds=_median(load_classifier(fetched.model).scores, timed),
        size_bytes=size_of(written),
        registered_size_bytes=size_of(fetched.model),
    )


def _compare_head(fetched: FetchedVersion, written: Path, corpus: str, precision: str) -> Exported:
    from tasks.heads import _evidence as evidence
    from tasks.heads._generator import HEAD as GENERATION
    from tasks.heads._generator import OUTPUT
    from tasks.heads._model import load_predictor

    version, about = fetched.version, description(fetched.model)
    test = evidence.read_test(paths.split(corpus, "test"), about["head"])
    registered = evidence.read_predictions(fetched.evidence / PREDICTIONS, test)
    mine = _model_of(written)
    say(f"{version.title}: {len(test):,} test records are answered by ONNX Runtime")
    is_written = about["head"] == GENERATION
    asked = [one["text"] for one in test.contents] if is_written else test.contents
    answers = mine.answers(asked)
    if is_written:  # how likely the references are to it, a response does not tell
        answers = [{OUTPUT: response, "nats": None, "tokens": None} for response in answers]
    metric, function = next(iter(test.head.measures(about["labels"]).items()))
    value, before = (
        float(
            function(once_each(len(test)), test.head.prepare(test.true, given, about["labels"]))[0]
        )
        for given in (answers, registered)
    )
    if not np.isfinite(value):
        raise BadInput(f"{version.title}: as {precision} it gives answers that are not numbers")
    better_by, p_value = evidence.difference(test, answers, registered, about["labels"])
    same = (
        np.array([one[OUTPUT] == two[OUTPUT] for one, two in zip(answers, registered, strict=True)])
        if is_written
        else test.head.errors(registered, answers) < SAME
    )
    timed = asked[:NUM_TIMED]
    return Exported(
        model=version.model,
        version=version.number,
        precision=precision,
        records=len(test),
        same_answers=float(same.mean()),
        metric=metric,
        value=value,
        registered_value=before,
        better_by=better_by,
        p_value=p_value,
        milliseconds=_median(mine.answers, timed),
        registered_milliseconds=_median(load_predictor(fetched.model).served, timed),
        size_bytes=size_of(written),
        registered_size_bytes=size_of(fetched.model),
    )


def _median(score: Callable[[list[Any]], Any], contents: Sequence[Any]) -> float:
    return float(np.median(milliseconds(score, contents)))


def _model_of(folder: Path) -> Any:
    """Return an exported model, by its own ``predict.py``."""
    # Not imported: bytecode would be left in the folder.
    return runpy.run_path(str(folder / "predict.py"))["load"](folder)


def _was_exported(folder: Path) -> bool:
    """Tell whether all that a folder holds is of an exported model."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return NEEDED <= names <= NEEDED | MORE


def _example(folder: Path) -> str:
    is_pair = files.read_json(folder / predict.ABOUT).get("head") == "pair"
    return '"a text" "and another one"' if is_pair else '"a text"'


def _write_readme(folder: Path, exported: Exported) -> None:
    packages = ["onnxruntime", "numpy"]
    is_text = (folder / TOKENIZER).exists()
    if not is_text:
        packages.append("pillow")
    else:
        packages.append("tokenizers")
        if (folder / WIDE_CONFIG).exists():
            packages += ["scikit-learn", "safetensors"]
    text = README.format(
        title=exported.title,
        precision=exported.precision,
        sentence=exported.sentence,
        packages=" ".join(packages),
        example=_example(folder) if is_text else "image.png",
    )
    files.write_text(folder / "README.md", text)
