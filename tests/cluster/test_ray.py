"""Records cleaned on a Ray cluster of two nodes, one of which is killed meanwhile."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from tasks.clean.shard_work import Kept
from tasks.errors import BadInput, BadSettings
from tasks.machine.ray_nodes import ADDRESS_VARIABLE, RayNodes
from tests.tasks.clean.conftest import cleaned_in
from tests.workspace import ROOT

NODE = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
OUTPUTS = ("records.parquet", "report.json")
RULES: dict[str, Any] = {"near_duplicates": {}, "personal_data": ["email"]}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        # What this copy of the code is, and not what is installed, runs on the nodes too.
        patch.setenv("PYTHONPATH", str(ROOT))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        cluster = Cluster(initialize_head=True, head_node_args={**NODE, "include_dashboard": False})
        patch.setenv(ADDRESS_VARIABLE, cluster.address)
        yield cluster
        ray.shutdown()
        cluster.shutdown()


def texts(number: int) -> list[dict[str, Any]]:
    draw = random.Random(0)  # noqa: S311
    words = [f"word{place}" for place in range(2000)]
    made = [" ".join(draw.choices(words, k=200)) for _ in range(number)]
    near = [f"{text} a@b.org  again" for text in made[::5]]
    return [{"text": text, "label": draw.choice("xy")} for text in [*made, *near]]


def bytes_of(folder: Path) -> list[bytes]:
    return [(folder / "clean" / name).read_bytes() for name in OUTPUTS]


def test_a_node_that_is_killed_changes_no_byte(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = texts(3_000)
    cleaned_in(tmp_path / "alone", found, **RULES)
    second = cluster.add_node(**NODE)
    places: list[str] = []
    kept = Kept(tmp_path / "shards", "code", bytes_before_processes=0, engine="ray")
    submit = RayNodes.submit

    def submitted(self: RayNodes, *arguments: Any) -> Any:
        awaited = submit(self, *arguments)
        places.append("submitted")
        if len(places) == 6:
            assert len([node for node in ray.nodes() if node["Alive"]]) == 2
            awaited.result()
            cluster.remove_node(second, allow_graceful=False)
        return awaited

    monkeypatch.setattr(RayNodes, "submit", submitted)
    cleaned_in(tmp_path / "ray", found, kept=kept, **RULES)
    assert len(places) > 20
    assert bytes_of(tmp_path / "ray") == bytes_of(tmp_path / "alone")
    said = capsys.readouterr()
    assert f"clean: {len(places)} of {len(places)} shards new" in said.out + said.err


@pytest.mark.usefixtures("cluster")
def test_a_node_with_other_code_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "tasks.machine.ray_nodes.code_and_versions",
        lambda libraries: {**dict.fromkeys(libraries), "code of downstream": "another"},
    )
    kept = Kept(tmp_path / "shards", "code", bytes_before_processes=0, engine="ray")
    with pytest.raises(BadInput, match=r"engine: ray: \w+ is .* where the run was started"):
        cleaned_in(tmp_path, texts(20), kept=kept)


def test_without_a_cluster_the_error_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, "127.0.0.1:1")
    kept = Kept(tmp_path / "shards", "code", bytes_before_processes=0, engine="ray")
    with pytest.raises(BadSettings, match="engine: ray: no cluster answers"):
        cleaned_in(tmp_path, texts(20), kept=kept)
