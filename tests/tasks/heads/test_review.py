"""A head's versions: registered, compared, promoted, rolled back, and served raw records."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
import yaml

from flows.cli.generate import generate
from tasks.contracts import files, paths, records
from tasks.export import predict
from tasks.heads._model import load_predictor
from tasks.promotion.exports import export
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.markdown import to_markdown
from tasks.promotion.review.report import read_report
from tasks.promotion.review.requests import request as ask_for_review
from tasks.promotion.review.store import Review
from tasks.promotion.review.subject import code_hash, settings_of, split_hash
from tasks.promotion.rollback import roll_back
from tests.servers import wait_for_answer
from tests.tasks.heads.conftest import Finetuned, Splits, run_head
from tests.tasks.promotion.scene import PARAMS, enter
from tests.tasks.tracking.registry.test_served_over_http import server_of_champion

ROW, CORPUS = "tags", "brown"


@pytest.fixture
def poor_and_good(
    finetuned: Callable[[str], Finetuned], backbone: Path, tmp_path: Path
) -> tuple[Finetuned, Finetuned]:
    """A tagger of one epoch, and one of more."""
    good = finetuned("tagging")
    return run_head("tagging", good.splits, backbone, tmp_path / "poor", epochs=1), good


@pytest.fixture
def workspace(
    new_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> Path:
    """A workspace with a store, which is the current folder; its row has a tagger, or what else."""
    head = getattr(request, "param", "tagging")
    folder = tmp_path / "workspace"
    folder.mkdir()
    enter(folder, monkeypatch)
    monkeypatch.setenv("DOWNSTREAM_REVIEWER", "Ann")
    shutil.copy(new_store, folder / "mlflow.db")
    row = {"backbone": "bert", "corpus": CORPUS, "finetune": {"head": head}, "evaluate": {}}
    review = {"bootstrap_samples": 100, "policy": "auto_if_better"}
    params = {
        **PARAMS,
        "corpora": {CORPUS: PARAMS["corpora"]["topics"]},
        "backbones": {"bert": {**PARAMS["backbones"]["bert"], "corpus": CORPUS}},
        "models": {ROW: {**row, "register": {"review": review, "not_behind": []}}},
    }
    files.write_text(paths.PARAMS, yaml.safe_dump(params))
    files.write_json(paths.gate(CORPUS), {"passed": True})
    return folder


def register(made: Finetuned) -> None:
    """Lay a model and its evidence into the workspace, and register it."""
    from tasks.register.settings import Settings
    from tasks.register.stage import run

    for source, target in (
        (made.model, paths.finetuned(ROW)),
        (made.evidence, paths.stage_output("evaluate", ROW)),
        (made.splits["test"].parent, paths.split(CORPUS, "test").parent),
    ):
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target)
    deps = {
        str(paths.code("evaluate", ROW)): code_hash(ROW),
        str(paths.split(CORPUS, "test")): split_hash(CORPUS),
    }
    entry = {"deps": [{"path": path, "md5": md5} for path, md5 in deps.items()]}
    files.write_text(Path("dvc.lock"), yaml.safe_dump({"stages": {f"evaluate@{ROW}": entry}}))
    settings = Settings.model_validate(settings_of(ROW).model_dump())
    evidence, version = paths.stage_output("evaluate", ROW), paths.version(ROW).parent
    run(ROW, paths.finetuned(ROW), evidence, paths.gate(CORPUS), version, settings)


def test_a_tagger_becomes_champion_is_beaten_by_a_better_one_and_is_served(
    workspace: Path, poor_and_good: tuple[Finetuned, Finetuned], tmp_path: Path
) -> None:
    poor, good = poor_and_good
    register(poor)
    first = ask_for_review(ROW)
    shown = to_markdown(read_report(first))
    assert f"token_accuracy **{poor.metrics['token_accuracy']:.4f}**" in shown
    assert "its twin from random weights" in shown
    decide(first, "approve", "to begin with")

    register(good)
    second = ask_for_review(ROW)
    assert_is_described(workspace, good)
    report = read_report(second)
    comparison = report.comparison
    assert comparison is not None
    found = comparison["decides"]
    gain = good.metrics["token_accuracy"] - poor.metrics["token_accuracy"]
    assert found["better_by"] == pytest.approx(gain, abs=2e-6)
    assert found["p_value"] < 0.01
    assert found["interval"][0] > 0
    assert comparison["verdict"] == "better"
    assert {one["verdict"] for one in comparison["slices"]} <= {
        "better", "no significant change", "too few records",
    }  # fmt: skip
    assert comparison["flipped"]["won"]
    assert second.policy_says == "promote"
    assert "token_accuracy is better by +" in report.summary["decision"]["reasons"][0]
    assert "paired randomisation test" in to_markdown(report)
    assert "Records that changed most" in report.page

    assert_is_served(workspace, good)
    assert_is_exported(good)
    decide(second, "approve", "better")
    assert_a_worse_one_is_refused(poor, tmp_path)


def review_over(champion: Finetuned, candidate: Finetuned) -> Review:
    """Return the review of a candidate over a version that is champion without a comparison."""
    register(champion)
    decide(ask_for_review(ROW), "approve", "to begin with")
    register(candidate)
    return ask_for_review(ROW)


@pytest.mark.parametrize("workspace", ["multilabel", "pair"], indirect=True)
def test_a_better_model_is_promoted_a_worse_one_refused_and_the_champion_is_served(
    workspace: Path,
    finetuned: Callable[[str], Finetuned],
    backbone: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    head = request.node.callspec.params["workspace"]
    good = finetuned(head)
    poor = taught_wrongly(head, good.splits, backbone, tmp_path)
    second = review_over(poor, good)
    comparison = read_report(second).comparison
    assert comparison is not None
    found, name = comparison["decides"], good.metrics["decides"]
    gain = good.metrics[name] - poor.metrics[name]
    assert (found["metric"], found["better_by"]) == (name, pytest.approx(gain, abs=2e-6))
    assert second.policy_says == "promote"
    decide(second, "approve", "better")
    served = {"multilabel": assert_labels_are_served, "pair": assert_pairs_are_served}
    served[head](client_of_champion(workspace))
    assert_a_worse_one_is_refused(poor, tmp_path)


def taught_wrongly(head: str, splits: Splits, backbone: Path, root: Path) -> Finetuned:
    """Finetune on values turned round, labels taken for others, or responses all of one sign."""
    columns = {"multilabel": "labels", "regression": "value", "generation": "response"}
    column = columns.get(head, "label")
    known = _names(records.read_table(splits["train"])[column].to_pylist())
    wrong = {name: known[number - 1] for number, name in enumerate(known)}
    if head == "generation":
        wrong = dict.fromkeys(known, "|||")

    def taught(value: Any) -> Any:
        if isinstance(value, list):
            return [wrong.get(one, one) for one in value]
        return 6 - value if isinstance(value, float) else wrong.get(value, value)

    changed = dict(splits)
    for part in paths.TRAINED_ON:
        table = records.read_table(splits[part])
        place = table.column_names.index(column)
        values = [taught(value) for value in table[column].to_pylist()]
        field = table.schema.field(place)
        table = table.set_column(place, field, pa.array(values, field.type))
        changed[part] = root / "wrong" / f"{part}.parquet"
        records.write_records(changed[part], table.schema, table.to_batches())
    made = run_head(head, changed, backbone, root / "poor", epochs=4 if head == "generation" else 2)
    return replace(made, splits=splits)


def _names(values: list[Any]) -> list[str]:
    """Return the labels of records, sorted; of numbers none."""
    listed = (value if isinstance(value, list) else [value] for value in values)
    return sorted({one for some in listed for one in some if isinstance(one, str)})


def assert_a_worse_one_is_refused(worse: Finetuned, root: Path) -> None:
    """Let the policy decide on a worse candidate, and make the first version champion again."""
    copied = root / "worse" / "model"
    shutil.copytree(worse.model, copied)
    files.write_text(copied / "note.txt", "the same weights as another version")
    register(replace(worse, model=copied))
    review = ask_for_review(ROW)
    comparison = read_report(review).comparison
    assert comparison is not None
    assert comparison["decides"]["better_by"] < 0
    assert comparison["verdict"] == "worse"
    assert review.policy_says == "reject"
    decide(review, "reject", "worse")
    assert "version 1" in roll_back(ROW, None, "as a trial")


def assert_labels_are_served(client: Any) -> None:
    """Those over the threshold, with the scores of all."""
    answer = client.post("/invocations", json={"inputs": ["I love this dress."]})
    assert answer.status_code == 200
    (row,) = answer.json()["predictions"]
    assert {*row["labels"]} <= {*row["scores"]} >= {"General", "Tops"}
    assert all(0 < score < 1 for score in row["scores"].values())
    refused = client.post("/invocations", json={"inputs": [["a", "b"]]})
    assert (refused.status_code, "is not a text but" in refused.text) == (400, True)


def assert_pairs_are_served(client: Any) -> None:
    """From two columns, in a list or by name."""

    def ask(**inputs: Any) -> Any:
        return client.post("/invocations", json=inputs)

    first, second = ["I love this dress.", "These pants are too long."], ["great", "sad"]
    answers = [
        ask(inputs=[*zip(first, second, strict=True)]),
        ask(inputs={"text": first, "text_b": second}),
        ask(inputs=[{"text_b": b, "text": a} for a, b in zip(first, second, strict=True)]),
    ]
    assert [answer.status_code for answer in answers] == [200] * 3
    rows = [answer.json()["predictions"] for answer in answers]
    assert rows[0] == rows[1] == rows[2]
    assert [{*row} for row in rows[0]] == [{"label", "score", "scores"}] * 2
    for malformed in (["a text"], [["a"]], {"text": first}, {"text": first, "text_b": ["b"]}):
        refused = ask(inputs=malformed)
        assert refused.status_code == 400, malformed
        assert "text_b" in refused.text


@pytest.mark.parametrize("workspace", ["generation"], indirect=True)
def test_a_model_that_writes_is_compared_promoted_and_served(
    workspace: Path,
    finetuned: Callable[[str], Finetuned],
    causal_backbone: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    good = finetuned("generation")
    poor = taught_wrongly("generation", good.splits, causal_backbone, tmp_path)
    second = review_over(poor, good)
    report = read_report(second)
    assert report.comparison is not None
    found = report.comparison["decides"]
    assert found["metric"] == "chrf"
    gain = good.metrics["chrf"] - poor.metrics["chrf"]
    assert found["better_by"] == pytest.approx(gain, abs=2e-6)
    metrics = {one["name"]: one for one in report.comparison["metrics"]}
    perplexity = metrics["perplexity"]["candidate"], metrics["perplexity"]["champion"]
    assert perplexity == pytest.approx((good.metrics["perplexity"], poor.metrics["perplexity"]))
    assert perplexity[0] < perplexity[1]
    assert report.comparison["flipped"]["won"]
    assert "perplexity of the references" in report.page
    assert second.policy_says == "promote"
    decide(second, "approve", "it writes better")
    folder, exported = export(ROW, 2, None, int8=False)
    # Where two tokens are as likely but for rounding, either may be written.
    assert (exported.metric, exported.same_answers > 0.9) == ("chrf", True)
    assert abs(exported.better_by) < 0.02
    assert exported.registered_value == pytest.approx(good.metrics["chrf"], abs=1e-6)
    assert predict.load(folder).answers(["Hello"]) == [
        one["response"] for one in load_predictor(good.model).served(["Hello"])
    ]
    assert_writes(workspace, good)
    capsys.readouterr()
    generate(ROW, "Are you sentient?", version=2)
    registered = capsys.readouterr().out
    generate(ROW, "Are you sentient?", version=None)
    assert registered == capsys.readouterr().out
    assert_a_worse_one_is_refused(poor, tmp_path)


@pytest.mark.parametrize("workspace", ["regression"], indirect=True)
def test_a_regression_is_compared_by_its_error_and_served_over_http(
    workspace: Path, finetuned: Callable[[str], Finetuned], backbone: Path, tmp_path: Path
) -> None:
    good = finetuned("regression")
    poor = taught_wrongly("regression", good.splits, backbone, tmp_path)
    second = review_over(poor, good)
    comparison = read_report(second).comparison
    assert comparison is not None
    found = comparison["decides"]
    less = poor.metrics["mae"] - good.metrics["mae"]
    assert (found["metric"], found["better_by"]) == ("mae", pytest.approx(less, abs=2e-6))
    assert second.policy_says == "promote"
    decide(second, "approve", "nearer")

    texts = ["I love this dress.", "Too small, it was returned."]
    wanted = [{"value": pytest.approx(one)} for one in load_predictor(good.model).answers(texts)]
    with server_of_champion(ROW, tmp_path) as (process, address):
        wait_for_answer(f"{address}/ping", process, 300)
        answer = requests.post(f"{address}/invocations", json={"inputs": texts}, timeout=60)
        assert (answer.status_code, answer.json()["predictions"]) == (200, wanted)
        for malformed in ([5], [None], [["a", "b"]], [{"text": 1}]):
            refused = requests.post(
                f"{address}/invocations", json={"inputs": malformed}, timeout=60
            )
            assert 400 <= refused.status_code < 500, malformed
            assert "is not a text but" in refused.text
    assert_a_worse_one_is_refused(poor, tmp_path)


def assert_writes(workspace: Path, good: Finetuned) -> None:
    """Ask the champion as an HTTP server does: it answers as the model in data/ does."""
    from tasks.heads._generator import Generator

    client = client_of_champion(workspace)
    prompts = ["Are you sentient?", ""]
    answer = client.post("/invocations", json={"inputs": prompts})
    generator = load_predictor(good.model)
    assert isinstance(generator, Generator)
    assert answer.status_code == 200
    assert answer.json()["predictions"] == [
        {"response": response} for response in generator.generate(prompts)
    ]
    for malformed in ([5], [None], [["Hi"]], [{"text": 1}]):
        refused = client.post("/invocations", json={"inputs": malformed})
        assert 400 <= refused.status_code < 500, malformed
        assert "is not a text but" in refused.text


def client_of_champion(workspace: Path) -> Any:
    """Return what asks the champion as an HTTP server does."""
    import mlflow
    from mlflow.pyfunc.scoring_server import init
    from starlette.testclient import TestClient

    mlflow.set_tracking_uri(f"sqlite:///{workspace / 'mlflow.db'}")
    return TestClient(init(mlflow.pyfunc.load_model(f"models:/{ROW}@champion")))


def assert_is_described(workspace: Path, good: Finetuned) -> None:
    """Read what the registry says of the version: what it reaches, without the plot."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{workspace / 'mlflow.db'}")
    described = client.get_model_version(ROW, "2").description
    assert described.startswith("# small\n\nHead `tagging`")
    assert f"{good.metrics['token_accuracy']:.4f}" in described
    assert described.endswith("The baselines saw the same records.")


def assert_is_served(workspace: Path, good: Finetuned) -> None:
    """Ask the version as an HTTP server does, from a folder without this project."""
    import mlflow
    from mlflow.pyfunc.scoring_server import init
    from starlette.testclient import TestClient

    mlflow.set_tracking_uri(f"sqlite:///{workspace / 'mlflow.db'}")
    model = mlflow.pyfunc.load_model(f"models:/{ROW}/2")
    client = TestClient(init(model))

    def ask(inputs: Any) -> Any:
        return client.post("/invocations", json={"inputs": inputs})

    answer = ask(["The jury said .", ["The", "jury"]])
    assert answer.status_code == 200
    long, short = answer.json()["predictions"]
    assert len(long["tags"]) == 4
    assert [one["text"] for one in short["spans"]] == ["The", "jury"]
    assert [(one["start"], one["end"]) for one in short["spans"]] == [(0, 3), (4, 8)]
    for malformed in ([5], [None], [["The", 3]], ["The", {"a": 1}]):
        refused = ask(malformed)
        assert 400 <= refused.status_code < 500, malformed
        assert "is not a text, or a list of tokens" in refused.text
    assert good.model.is_dir()


def assert_is_exported(good: Finetuned) -> None:
    """Export the version, and ask the folder that is written."""
    folder, found = export(ROW, 2, None, int8=False)
    assert (found.metric, found.same_answers, found.better_by) == ("token_accuracy", 1.0, 0.0)
    assert found.value == found.registered_value == pytest.approx(good.metrics["token_accuracy"])
    assert "token accuracy" in (folder / "README.md").read_text()
    exported = predict.load(folder)
    # Longer than a window, one token, none, a sign that no piece stands for.
    odd = ["The jury said . " * 9, ["jury"], [], ["\u200b", "said"], "x" * 300]
    asked = [one.split() if isinstance(one, str) else one for one in odd]
    assert exported.answers(odd) == load_predictor(good.model).answers(asked)
