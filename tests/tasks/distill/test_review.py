"""A student takes its teacher's place by the review that every model goes through."""

from pathlib import Path
from typing import Any

import pytest

from tasks.contracts import paths
from tasks.distill import stage as distill
from tasks.distill.settings import Settings
from tasks.export import predict
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.metrics.significance import mcnemar_exact
from tasks.models.classifier import load_classifier
from tasks.promotion.exports import export
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.markdown import to_markdown
from tasks.promotion.review.report import read_report
from tasks.promotion.review.requests import request
from tasks.promotion.rollback import roll_back
from tests.classifiers import sample_texts, save_text_classifier
from tests.tasks.promotion.conftest import made_models, scene
from tests.tasks.promotion.scene import CORPUS, MODEL, Scene

__all__ = ["made_models", "scene"]


def student_of(teacher: Path, folder: Path) -> Path:
    """Return a student on word vectors, which has learnt its teacher's answers to the sample."""
    save_text_classifier(folder / "vectors", "wordvectors", {"hidden_size": 8})
    distill.run(folder / "vectors-backbone", teacher, CORPUS, folder / "put", Settings(weight=0.9))
    split = paths.split(CORPUS, "test")
    settings = FinetuneSettings.parse(
        {"epochs": 12, "learning_rate": 0.03, "batch_size": 16, "tokens": 64, "twin": False},
        "finetune",
    )
    finetune.run(
        "student",
        folder / "put" / "model",
        {"train": split, "validation": split},
        folder / "out",
        settings,
        0,
        folder / "checkpoints",
    )
    return folder / "out" / "model"


def weights(model: Path) -> int:
    """Return the bytes of a model's weights."""
    return sum(path.stat().st_size for path in model.glob("*.safetensors"))


def test_a_small_student_beats_its_teacher_to_the_champions_place_in_8_bits_too(
    scene: Scene, tmp_path: Path
) -> None:
    scene.configure(
        {"export": {"most_lost": 0.005}, "review": {"policy": "auto_if_not_worse", "margin": 0.05}}
    )
    scene.register("good")
    decide(request(MODEL), "approve", "the teacher")

    student = student_of(scene.models["good"], tmp_path / "student")
    assert weights(student) * 4 <= weights(scene.models["good"])
    Scene({"student": student}).register("student")
    review = request(MODEL)
    report = read_report(review)
    found = report.comparison
    assert found is not None
    assert (found["champion"], found["candidate"]) == ("version 1", "version 2")
    counts = found["disagreement"]
    won, lost = counts["only_candidate_right"], counts["only_champion_right"]
    assert won + lost > 0
    assert counts["p_value"] == pytest.approx(mcnemar_exact(won, lost))
    assert found["serving"]["candidate"]["size_bytes"] < found["serving"]["champion"]["size_bytes"]
    (as_int8,) = report.summary["exported"]
    assert as_int8["better_by"] >= -0.005
    assert review.policy_says == "promote"
    assert "McNemar's exact test" in to_markdown(report)
    decide(review, "approve", "as good, and a quarter of the size")

    texts = sample_texts()[0][:3]
    classifier = load_classifier(student)
    labels = [classifier.labels[index] for index in classifier.scores(texts).argmax(axis=1)]
    answer = client_of_champion().post("/invocations", json={"inputs": texts})
    assert [row["label"] for row in answer.json()["predictions"]] == labels
    folder, exported = export(MODEL, None, None, int8=True)
    assert (exported.version, exported.sha256) == (2, as_int8["sha256"])
    assert predict.load(folder).scores(texts).shape == (3, len(classifier.labels))
    assert "version 1" in roll_back(MODEL, None, "as a trial")


def client_of_champion() -> Any:
    """Return what asks the champion as an HTTP server does."""
    import mlflow
    from starlette.testclient import TestClient

    mlflow.set_tracking_uri(f"sqlite:///{Path('mlflow.db').absolute()}")
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    # Only now: it warns of MLflow's own type hints when it is imported first, which that hides.
    from mlflow.pyfunc.scoring_server import init

    return TestClient(init(model))
