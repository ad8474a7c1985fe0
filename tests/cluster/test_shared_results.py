"""Results shared through a DVC remote in S3, by the whole command and with real stage processes."""

import shutil
import subprocess
from typing import Any

import pytest

from tests.cluster.conftest import S3Server
from tests.flows.stage_pipeline import StagePipeline

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]


@pytest.fixture
def bucket(staged: StagePipeline, s3: S3Server, request: pytest.FixtureRequest) -> Any:
    """The bucket that is the remote of a committed workspace; nothing is in it yet."""
    import boto3

    name = request.node.name.replace("_", "-")[:50]
    bucket = boto3.resource("s3", endpoint_url=s3.address).Bucket(name)
    bucket.create()
    staged.write(
        ".dvc/config",
        "[core]\n    remote = store\n['remote \"store\"']\n"
        f"    url = s3://{name}/here\n    endpointurl = {s3.address}\n",
    )
    commit(staged)
    return bucket


def commit(pipeline: StagePipeline) -> None:
    ignored = "/.downstream/\n/events.txt\n/control.json\n/.prefect/\n__pycache__\n/mlflow.db\n"
    with (pipeline.root / ".gitignore").open("a") as file:
        file.write(ignored)
    subprocess.run(["git", "add", "-A"], cwd=pipeline.root, check=True)
    subprocess.run([*GIT, "commit", "-qm", "results"], cwd=pipeline.root, check=True)


def clone(pipeline: StagePipeline, monkeypatch: pytest.MonkeyPatch) -> StagePipeline:
    target = pipeline.root.with_name(f"{pipeline.root.name}-clone")
    subprocess.run(["git", "clone", "-q", str(pipeline.root), str(target)], check=True)
    copy = type(pipeline).__new__(type(pipeline))
    copy.root = target
    monkeypatch.chdir(target)
    return copy


def test_a_clone_of_a_teammates_commit_runs_nothing_and_mends_what_was_spoilt(
    staged: StagePipeline, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = staged.downstream("run", "--push")
    assert done.returncode == 0, done.stderr
    assert "objects sent to DVC's remote store" in done.stderr
    keys = [found.key for found in bucket.objects.all()]
    assert sum(key.startswith("here/runs/") for key in keys) == 8
    assert sum(key.startswith("here/downstream/libraries/") for key in keys) == 8

    teammate = clone(staged, monkeypatch)
    model = teammate.lock()["stages"]["evaluate@n"]["outs"][0]["md5"]
    spoilt = bucket.Object(f"here/files/md5/{model[:2]}/{model[2:]}")
    good = spoilt.get()["Body"].read()
    spoilt.put(Body=good[::-1])

    done = teammate.downstream("run", "--pull", "--push", api="")
    assert done.returncode == 0, done.stderr
    assert "finetune@m | restored from DVC's remote store" in done.stderr
    assert "warning: store has a corrupted object, which is not used: here" in done.stderr.replace(
        f"{bucket.name}/", ""
    )
    assert teammate.begun() == ["evaluate@n"]
    assert teammate.lock() == staged.lock()
    assert spoilt.get()["Body"].read() == good
    plan = teammate.downstream("plan")
    assert "not known here" not in plan.stdout
    shutil.rmtree(teammate.root)
