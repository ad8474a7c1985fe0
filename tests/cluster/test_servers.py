"""Prefect and MLflow on PostgreSQL and S3, by the very commands of docs/servers.md."""

import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.conftest import S3Server
from tests.cluster.page import PAGE, PREFECT_LOGIN, do, for_servers, served
from tests.cluster.postgresql import Postgresql
from tests.flows.stage_pipeline import StagePipeline
from tests.workspace import ROOT

MLFLOW_PASSWORD = "a password of twelve or more"  # noqa: S105 - of these tests alone


@pytest.fixture
def environment(postgresql: Postgresql, s3: S3Server, tmp_path: Path) -> dict[str, str]:
    """What the servers of the page are told; an empty bucket."""
    import boto3

    bucket = boto3.resource("s3", endpoint_url=s3.address).Bucket("artifacts")
    bucket.create()
    bucket.objects.all().delete()
    (tmp_path / "backup").mkdir()
    return {
        **for_servers(postgresql, tmp_path),
        "MLFLOW_AUTH_ADMIN_PASSWORD": MLFLOW_PASSWORD,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "of these tests",
        "MLFLOW_S3_ENDPOINT_URL": s3.address,
        "ARTIFACTS": "s3://artifacts/mlflow",
        "BACKUP": str(tmp_path / "backup"),
    }


def test_registry_and_audit_log_are_restored_from_a_back_up(
    environment: dict[str, str],
    postgresql: Postgresql,
    s3: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import boto3
    from mlflow.artifacts import download_artifacts

    from tasks.tracking.audit.log import read_log
    from tasks.tracking.audit.writer import Change, append
    from tasks.tracking.store import opened

    do("databases", environment, tmp_path)
    monkeypatch.chdir(tmp_path)
    address = f"http://127.0.0.1:{environment['MLFLOW_PORT']}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "downstream")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", MLFLOW_PASSWORD)
    bucket: Any = boto3.resource("s3", endpoint_url=s3.address).Bucket("artifacts")
    (tmp_path / "weights").write_bytes(os.urandom(1000))
    with served("mlflow", environment, tmp_path, f"{address}/health"), opened() as client:
        run = client.create_run(client.create_experiment("e"))
        client.log_artifact(run.info.run_id, str(tmp_path / "weights"))
        client.create_registered_model("m")
        source = f"{run.info.artifact_uri}/weights"
        client.create_model_version("m", source, run_id=run.info.run_id)
        for number in (1, 2, 3):
            append(client, "m", Change("reject", version_to=1, reason=f"of {number}", actor="ann"))
        before = read_log(client, "m")
        assert (len(before.entries), before.problems()) == (3, [])
    do("back-up", environment, tmp_path)
    copy = {found.key: found.get()["Body"].read() for found in bucket.objects.all()}
    assert [key.rpartition("/")[2] for key in copy] == ["weights"]

    bucket.objects.all().delete()
    for name in ("mlflow", "mlflow_users", "prefect"):
        postgresql.client("dropdb", name)
    do("restore", environment, tmp_path)
    for key, content in copy.items():
        bucket.put_object(Key=key, Body=content)
    with served("mlflow", environment, tmp_path, f"{address}/health"), opened() as client:
        after = read_log(client, "m")
        assert (after.entries, after.problems()) == (before.entries, [])
        assert after.newest == before.newest
        source = client.get_model_version("m", "1").source
        restored = Path(download_artifacts(source, dst_path=str(tmp_path / "restored")))
        assert restored.read_bytes() == (tmp_path / "weights").read_bytes()


def test_a_run_outlives_a_database_that_is_away(
    staged: StagePipeline,
    environment: dict[str, str],
    postgresql: Postgresql,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = tmp_path_factory.mktemp("servers")
    do("databases", environment, folder)
    address = f"http://127.0.0.1:{environment['PREFECT_PORT']}/api"
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", PREFECT_LOGIN)
    monkeypatch.setenv("PREFECT_CLIENT_MAX_RETRIES", "6")
    monkeypatch.setenv("PREFECT_CLIENT_RETRY_EXTRA_CODES", "500")
    staged.control(finetune_m="wait")
    staged.change("models.m.finetune.rate", 0.7)
    with (
        served("prefect", environment, folder, f"{address}/health"),
        staged.start_downstream("run", api=address) as run,
    ):
        until = time.monotonic() + 120
        while not (staged.root / "waits").exists():
            assert time.monotonic() < until
            assert run.poll() is None, run.communicate()
            time.sleep(0.2)
        postgresql.stop()
        (staged.root / "go").touch()
        time.sleep(15)
        postgresql.start()
        _, lines = run.communicate(timeout=240)
    assert run.returncode == 0, lines
    assert staged.begun() == ["finetune@m", "evaluate@m"]
    assert staged.plan().unfresh == []


def test_the_containers_have_health_checks_and_no_secrets() -> None:
    composed = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = composed["services"]
    for name, service in services.items():
        assert name == "databases" or "healthcheck" in service
        for variable, value in service["environment"].items():
            if re.search("PASSWORD|SECRET|AUTH_STRING|KEY", variable):
                assert re.fullmatch(r"\$\{\w+:\?.+\}", value), variable
    for line in composed["configs"]["login"]["content"].splitlines():
        assert line in PAGE
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert f"prefect=={services['prefect']['image'].partition(':')[2].partition('-')[0]}" in pins
    assert re.search(r"mlflow==\S+", services["mlflow"]["build"]["dockerfile_inline"])[0] in pins
