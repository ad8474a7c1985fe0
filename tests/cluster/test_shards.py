"""A model in shards on two ranks learns what it learns on one, and goes on to the same bytes."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from tasks.contracts import files, registry
from tasks.errors import BadSettings
from tasks.inputs import token_cache as _token_cache
from tasks.models.architectures import bert, gpt2, vit
from tasks.objectives import causal
from tasks.objectives._backbone import checkpoints_of, set_up, watch_of
from tasks.objectives._settings import OBJECTIVES
from tasks.training import checkpoints as _checkpoints
from tasks.training.determinism import make_deterministic
from tasks.training.loop import train
from tasks.training.ranks import launch, rank
from tasks.training.settings import LongTrainingSettings
from tasks.training.spread.shard_checkpoints import ShardCheckpoints
from tasks.training.task import Batch, ExampleRandom
from tests.tasks.conftest import write_images, write_texts
from tests.tasks.training.test_loop import Line

STEPS = 200
TOLERANCE = 1e-3
LOST_AFTER = 120
WINDOWS = {"vocabulary_size": 400, "tokens": 32}
SIZES = {"layers": 2, "hidden_size": 32, "heads": 2, "positions": 32, "dropout": 0.0}
SETTINGS: dict[str, Any] = {
    "max_steps": STEPS, "batch_size": 15, "precision": "fp32", "validate_every": 90
}  # fmt: skip
"""Of 15 examples, one of two ranks has one fewer; each works off three parts."""
SHARDED = {"devices": 2, "sharded": True, "accumulation": 3}


class LosesItsSecondRank(causal.Causal):
    """Language modelling whose second rank is killed once, when there is a checkpoint."""

    def __init__(self, task: causal.Causal, folder: Path) -> None:
        self.__dict__.update(task.__dict__)
        self._folder = folder
        self._batches = 0

    def batch(self, indices: np.ndarray, randoms: ExampleRandom) -> Batch:
        """Return a batch, or die."""
        self._batches += 1
        marker = self._folder / "lost"
        is_late = self._batches > 3 * LOST_AFTER and any(self._folder.rglob("step-*.json"))
        if rank() == 1 and is_late and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().batch(indices, randoms)


def trained(folder: Path, texts: tuple[Path, Path], own: dict[str, Any], is_lost: bool) -> Any:
    """Train; write the backbone, and return the losses and what the last validation gave."""
    _checkpoints.SECONDS_BETWEEN, _checkpoints.TIMES_AS_LONG = 1.0, 0.0
    _token_cache.FOLDER = texts[0].parent / "tokens"
    make_deterministic(0, 2)
    settings = LongTrainingSettings.parse({**SETTINGS, **own}, "training")
    options = causal.Settings(**WINDOWS)
    task = causal.prepare(gpt2, gpt2.Settings(**SIZES), options, *texts)
    if is_lost:
        task = LosesItsSecondRank(task, folder)
    set_up(task, settings)
    held = sum(value.numel() for value in map(shard_of, task.model.parameters()))
    losses = train(
        task,
        settings,
        0,
        "line",
        checkpoints=checkpoints_of(task, folder / "checkpoints"),
        watch=watch_of(settings),
    )
    if rank() == 0:
        task.save(folder / "model")
        found = {"losses": losses, "validation": task.validate(), "about": dict(task.about)}
        return {**found, "share": held / sum(value.numel() for value in task.model.parameters())}
    return None


def shard_of(value: Any) -> torch.Tensor:
    return value.to_local() if isinstance(value, DTensor) else value


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Train and validation texts, with the folder of their tokens."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_token_cache, "FOLDER", _token_cache.FOLDER)
        patch.setattr(_checkpoints, "SECONDS_BETWEEN", _checkpoints.SECONDS_BETWEEN)
        patch.setattr(_checkpoints, "TIMES_AS_LONG", _checkpoints.TIMES_AS_LONG)
        yield write_texts(tmp_path_factory.mktemp("texts"))


OTHERS: dict[str, tuple[str, Any, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "masked": ("text", bert, SIZES, WINDOWS, {"recompute": True}),
    "replaced": ("text", bert, SIZES, WINDOWS, {}),
    "causal": ("text", gpt2, SIZES, {**WINDOWS, "fused_loss": True}, {}),
    "masked_image": ("image", vit, {"patch_size": 2, "layers": 2, "hidden_size": 32}, {}, {}),
}
"""By objective: what it learns from, the architecture, settings of both and of the training."""
FEW_STEPS = 20


def others_trained(folder: Path, own: dict[str, Any]) -> dict[str, list[float]]:
    """Train all of them; return their losses."""
    _token_cache.FOLDER = folder / "tokens"
    found = {}
    for name, (modality, architecture, sizes, options, more) in OTHERS.items():
        make_deterministic(0, 2)
        objective = registry.load(OBJECTIVES, name, "objective")
        task = objective.prepare(
            architecture,
            architecture.Settings(**sizes),
            objective.Settings(**options),
            *(folder / modality / f"{part}.parquet" for part in ("train", "validation")),
        )
        raw = {**SETTINGS, **own, **more, "max_steps": FEW_STEPS, "validate_every": None}
        settings = LongTrainingSettings.parse(raw, "training")
        set_up(task, settings)
        found[name] = train(task, settings, 0, name)
    return found


def test_every_objective_of_transformers_learns_the_same_in_shards(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "text").symlink_to(texts[0].parent)
    (tmp_path / "image").mkdir()
    write_images(tmp_path / "image")
    alone = others_trained(tmp_path, {})
    found = launch(2, others_trained, tmp_path, SHARDED)
    assert found.keys() == alone.keys() == OTHERS.keys()
    for name, losses in found.items():
        assert losses == pytest.approx(alone[name], rel=1e-4), name


def test_a_model_without_layers_of_a_transformer_is_refused() -> None:
    with pytest.raises(BadSettings, match=r"training\.sharded is of transformers"):
        set_up(Line(), LongTrainingSettings.parse({**SETTINGS, **SHARDED}, "training"))


@pytest.fixture(scope="module")
def sharded(texts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What has come of two ranks that nothing disturbed, and the folder."""
    folder = tmp_path_factory.mktemp("sharded")
    return launch(2, trained, folder, texts, SHARDED, False), folder


def test_two_ranks_with_shards_agree_with_one_over_200_steps(
    sharded: Any, texts: tuple[Path, Path], tmp_path: Path
) -> None:
    alone = trained(tmp_path, texts, {}, False)
    found, folder = sharded
    assert found["losses"] == pytest.approx(alone["losses"], abs=TOLERANCE)
    assert found["validation"] == pytest.approx(alone["validation"], abs=TOLERANCE, rel=TOLERANCE)
    assert found["about"] == alone["about"]
    assert found["share"] == pytest.approx(0.5, abs=0.02)
    assert alone["share"] == 1
    assert {path.name for path in (folder / "model").iterdir()} == {
        path.name for path in (tmp_path / "model").iterdir()
    }


def test_one_whose_rank_is_killed_goes_on_to_the_same_bytes(
    sharded: Any, texts: tuple[Path, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    found = launch(2, trained, tmp_path, texts, SHARDED, True, restarts=1)
    assert (tmp_path / "lost").exists()
    assert "goes on from the checkpoint of step" in capfd.readouterr().err
    assert found == sharded[0]
    assert files.sha256_of_folder(tmp_path / "model") == files.sha256_of_folder(
        sharded[1] / "model"
    )


def loaded_after_each_fault(folder: Path) -> list[int | None]:
    """Write three checkpoints of shards, spoil them one after another; return what is loaded."""
    mesh = init_device_mesh("cpu", (2,))
    checkpoints = ShardCheckpoints(folder, mesh)
    for step in (1, 2, 3):
        whole = torch.arange(5.0) * step
        weights = {"w": distribute_tensor(whole, mesh, [Shard(0)])}
        checkpoints.save(step, {"step": step, "weights": weights, "sum": torch.tensor(1.5)})
    checkpoints.finish()
    found: list[int | None] = []
    for spoilt in (None, "altered", "torn"):
        torch.distributed.barrier()
        if rank() == 0 and spoilt == "altered":
            shard = sorted((folder / "step-000000000003.shards").iterdir())[-1]
            shard.write_bytes(shard.read_bytes()[:-1] + b"?")
        if rank() == 0 and spoilt == "torn":  # as if the first rank had not come to the end
            (folder / "step-000000000002.json").unlink()
        torch.distributed.barrier()
        state = checkpoints.load()
        if state is not None:
            assert state["weights"]["w"].full_tensor().equal(torch.arange(5.0) * state["step"])
            assert state["sum"] == 1.5
        found.append(None if state is None else state["step"])
    return found


def test_a_checkpoint_that_is_altered_or_torn_is_not_taken(tmp_path: Path) -> None:
    assert launch(2, loaded_after_each_fault, tmp_path) == [3, 2, None]
    assert not (tmp_path / "step-000000000001.shards").exists()
