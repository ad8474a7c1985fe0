"""Who can write to MLflow can put another log in the place of a model's: what that shows."""

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from flows.cli.registry import history
from tasks.contracts import files
from tasks.errors import BadInput, DownstreamError
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.store import latest
from tasks.promotion.rollback import history as read_history
from tasks.tracking.audit.log import FOUND, HEAD, aliases_of, canonical, read_log
from tasks.tracking.audit.run import EXPERIMENT, RUN_NAME
from tasks.tracking.store import opened
from tests.tasks.promotion.scene import MODEL, Scene


def false_log(client: MlflowClient) -> dict[str, str]:
    """Return the log with another reason in its first entries, and the chain made anew."""
    texts, previous = {}, "0" * 64
    for number, text in read_log(client, MODEL).texts.items():
        entry = {**json.loads(text), "previous": previous, "reason": "All have agreed."}
        texts[f"{number:06d}"] = canonical(entry)
        previous = files.sha256_of_text(texts[f"{number:06d}"])
    return texts


def replace_log(client: MlflowClient, experiment_id: str) -> None:
    """Write a false log, as whole as the true one, with the tag of the registered model."""
    log, texts = read_log(client, MODEL), false_log(client)
    run_id = client.create_run(experiment_id, start_time=1, run_name=RUN_NAME).info.run_id
    for key, text in {**log.params, **texts}.items():
        client.log_param(run_id, key, text)
    number, text = max(texts.items())
    client.set_registered_model_tag(MODEL, HEAD, f"{int(number)} {files.sha256_of_text(text)}")


def experiment_of(client: MlflowClient) -> str:
    experiment = client.get_experiment_by_name(EXPERIMENT + MODEL)
    return str(experiment.experiment_id)


@pytest.mark.parametrize("hidden", ["", "renamed", "deleted"])
def test_a_second_log_beside_the_first_is_an_error_whichever_is_the_older(
    reviewed: Scene, hidden: str
) -> None:
    review = latest(MODEL)
    with opened() as client:
        true = read_log(client, MODEL).run_id
        replace_log(client, experiment_of(client))
        if hidden == "renamed":
            client.update_run(true, name="an older run")
        if hidden == "deleted":
            client.delete_run(true)
    for command in (lambda: read_history(MODEL), lambda: decide(review, "approve", "Fine.", "Eve")):
        with pytest.raises(DownstreamError, match=f"is one run, and .* has 2: .*{true}.*mlflow gc"):
            command()


def test_a_model_with_aliases_whose_log_was_put_aside_is_an_error_that_says_what_to_do(
    reviewed: Scene,
) -> None:
    with opened() as client:
        experiment_id = experiment_of(client)
        client.rename_experiment(experiment_id, "notes")
        client.delete_registered_model_tag(MODEL, HEAD)
    review = "has the aliases candidate, champion and no audit log: .*name it so again.*--begin-log"
    with pytest.raises(DownstreamError, match=review):
        history(MODEL, verify=True)
    with opened() as client:
        assert client.get_experiment_by_name(EXPERIMENT + MODEL) is None
        client.rename_experiment(experiment_id, EXPERIMENT + MODEL)
    assert read_history(MODEL).problems != []


def test_aliases_from_before_there_was_a_log_begin_one_on_record(
    reviewed: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened() as client:
        client.rename_experiment(experiment_of(client), "notes")
        client.delete_registered_model_tag(MODEL, HEAD)
    with pytest.raises(BadInput, match="--begin-log: it is empty"):
        history(MODEL, begin_log=" ")
    assert history(MODEL, begin_log="from the old registry", verify=True) == 0
    assert "2 entries were made outside downstream: 1, 2" in capsys.readouterr().err
    entries = read_history(MODEL).entries
    assert {(entry["action"], entry["actor"]) for entry in entries} == {(FOUND, "Ann")}
    assert entries[0]["reason"] == "set before there was a log: from the old registry"
    with pytest.raises(DownstreamError, match="nothing to begin: it has an audit log"):
        history(MODEL, begin_log="again")


def test_a_log_that_was_replaced_as_a_whole_is_told_by_a_head_that_lies_outside(
    reviewed: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = Path("heads.txt")
    assert history(MODEL, head=True) == 0
    kept = capsys.readouterr().out
    assert history(MODEL, head_file=heads) == 0
    assert heads.read_text() == kept
    decide(latest(MODEL), "reject", "Slow.", "Ann")
    assert history(MODEL, head_file=heads) == 0
    renewed = heads.read_text()
    assert renewed != kept
    with opened() as client:
        before = experiment_of(client)
        aside = client.create_experiment("aside")
        replace_log(client, aside)
        client.rename_experiment(before, "notes")
        client.rename_experiment(aside, EXPERIMENT + MODEL)
        assert aliases_of(client, MODEL) == {"candidate": 2, "champion": 1}
    assert history(MODEL, verify=True) == 0  # nothing inside of MLflow tells
    assert history(MODEL, head_file=heads) == 1
    assert "heads.txt names its entry" in capsys.readouterr().err
    assert heads.read_text() == renewed
    heads.write_text(kept)  # an older head tells too
    assert history(MODEL, head_file=heads) == 1


@pytest.mark.parametrize(
    "content", [b"\xff", b"topics\n", b"topics one two\n", b"\n", b"a b c d\n"]
)
def test_a_file_that_is_none_of_heads_is_refused_and_stays(reviewed: Scene, content: bytes) -> None:
    heads = Path("heads.txt")
    heads.write_bytes(content)
    with pytest.raises(BadInput, match=r"heads\.txt, line 1: expected a model, a number and a sha"):
        history(MODEL, head_file=heads)
    assert heads.read_bytes() == content
