"""A workspace with registered versions of one small model, which reviews are about."""

import hashlib
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml

from tasks.contracts import files, paths, records
from tasks.contracts.lock import md5_of
from tasks.fingerprint.rows import fingerprints
from tasks.fingerprint.syntax_hash import REMEMBERED
from tasks.promotion.review.subject import CODE_ROOT
from tests.classifiers import sample_texts, save_text_classifier

MODEL = CORPUS = "topics"
SIZES = {"layers": 1, "hidden_size": 32, "heads": 2, "positions": 64}
PARAMS: dict[str, Any] = {
    "seed": 0,
    "corpora": {CORPUS: {"collect": {}, "clean": {}, "split": {}, "validate": {}}},
    "backbones": {
        "bert": {
            "corpus": CORPUS,
            "pretrain": {
                "objective": "masked",
                "architecture": "bert",
                "bert": SIZES,
                "masked": {"tokens": 64, "vocabulary_size": 400},
            },
        }
    },
    "models": {
        MODEL: {
            "backbone": "bert",
            "corpus": CORPUS,
            "finetune": {},
            "evaluate": {},
            "register": {"review": {"bootstrap_samples": 100}},
        }
    },
}


def make_models(folder: Path) -> dict[str, Path]:
    """Return a poor model, and two good ones that differ little."""
    made = {}
    for name, num_steps in (("poor", 2), ("good", 40), ("other", 44)):
        made[name] = folder / name / "model"
        made[name].parent.mkdir(parents=True)
        save_text_classifier(made[name], "bert", SIZES, num_steps)
    return made


def enter(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Make a folder the current one, with the store that lies in it."""
    patch.chdir(folder)
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)


@cache
def remembered_code() -> str:
    """Return what any run leaves in its workspace: what is known of the text of each module."""
    fingerprints({**PARAMS, "corpora": {}}, CODE_ROOT)
    return REMEMBERED.read_text(encoding="utf-8")


@dataclass(frozen=True)
class Scene:
    """The current folder as a workspace."""

    models: dict[str, Path]

    def lay(self, register: dict[str, Any] | None = None) -> None:
        """Write parameters, test records and the verdict on the corpus."""
        self.configure(register or {})
        files.write_text(REMEMBERED, remembered_code())
        self.write_test_split()
        files.write_json(paths.gate(CORPUS), {"passed": True})

    def lay_reviewed(self) -> None:
        """Lay it with a champion, and a candidate that was compared with it and not decided on."""
        from tasks.promotion.review.decisions import decide
        from tasks.promotion.review.requests import request

        self.lay()
        self.register("poor")
        decide(request(MODEL), "approve", "to begin with", "Ann")
        self.register("good")
        request(MODEL)

    def configure(self, register: dict[str, Any]) -> None:
        """Write ``params.yaml`` with other settings of register."""
        params = {**PARAMS, "models": {MODEL: {**PARAMS["models"][MODEL]}}}
        default = PARAMS["models"][MODEL]["register"]
        review = {**default["review"], **register.get("review", {})}
        params["models"][MODEL]["register"] = {**default, **register, "review": review}
        files.write_text(paths.PARAMS, yaml.safe_dump(params))

    def write_test_split(self, without: int = 0) -> None:
        """Write the sample as test records, the first ones left out."""
        texts, labels = (column[without:] for column in sample_texts())
        ids = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        table = pa.table({"id": ids, "text": texts, "label": labels})
        table = table.cast(records.split_schema("text"))
        records.write_records(paths.split(CORPUS, "test"), table.schema, table.to_batches())

    def register(self, name: str, pin: str | None = None) -> None:
        """Evaluate and register a model, as far as reviews look at it.

        Args:
            name: which one.
            pin: what the corpus' remote source is pinned to; None without any.
        """
        from tasks.metrics.predictions import predict, read_labelled, write_predictions
        from tasks.promotion.review.subject import code_hash, settings_of, split_hash
        from tasks.register.settings import Settings
        from tasks.register.stage import run

        model = paths.finetuned(MODEL)
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(self.models[name], model)
        evidence = paths.stage_output("evaluate", MODEL)
        test = read_labelled(paths.split(CORPUS, "test"))
        found = predict(model, test)
        write_predictions(evidence / "predictions.parquet", test, found.labels, found.scored, {})
        accuracy = float(found.scored.correct.mean())
        files.write_json(evidence / "metrics.json", {"accuracy": accuracy, "n_test": len(test.ids)})
        files.write_text(evidence / "README.md", f"# {MODEL}\n\nA card.\n")
        files.write_text(evidence / "README.html", "<main>\n<h1>A card</h1>\n</main>\n")
        files.write_text(evidence / "plots" / "a.png", "a plot")
        deps = {
            str(paths.code("evaluate", MODEL)): code_hash(MODEL),
            str(paths.split(CORPUS, "test")): split_hash(CORPUS),
        }
        entry = {"deps": [{"path": path, "md5": md5} for path, md5 in deps.items()]}
        stages: dict[str, Any] = {f"evaluate@{MODEL}": entry}
        if pin is not None:
            files.write_json(paths.pin(CORPUS), {"hub:topics": {"sha256": pin}})
            sources, collected = paths.sources(CORPUS), paths.collected(CORPUS).as_posix()
            md5 = {"path": sources.as_posix(), "md5": md5_of(sources)}
            stages[f"collect@{CORPUS}"] = {
                "deps": [md5],
                "outs": [{"path": collected, "md5": pin}],
            }
            stages[f"split@{CORPUS}"] = {
                "deps": [{"path": collected, "md5": pin}],
                "outs": entry["deps"][1:],
            }
        files.write_text(Path("dvc.lock"), yaml.safe_dump({"stages": stages}))
        settings = Settings.model_validate(settings_of(MODEL).model_dump())
        run(MODEL, model, evidence, paths.gate(CORPUS), paths.version(MODEL).parent, settings)
