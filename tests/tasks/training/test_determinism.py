"""Threads and algorithms of a process that computes with torch."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from tasks.training.determinism import make_deterministic
from tests.workspace import make_workspace


@pytest.fixture(autouse=True)
def one_thread_again() -> Iterator[None]:
    yield
    torch.set_num_threads(1)


@pytest.mark.parametrize(("ranks", "expected"), [(1, 3), (2, 1), (4, 1)])
def test_ranks_share_the_threads_that_params_name(
    monkeypatch: pytest.MonkeyPatch, ranks: int, expected: int
) -> None:
    monkeypatch.setenv("DOWNSTREAM_THREADS", "3")
    make_deterministic(0, ranks)
    assert torch.get_num_threads() == expected


def test_only_algorithms_that_repeat_are_used() -> None:
    torch.use_deterministic_algorithms(False)
    make_deterministic(0)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()
    assert not torch.utils.deterministic.fill_uninitialized_memory


def test_a_stage_computes_with_the_threads_of_params_and_no_others(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path / "workspace")
    told = "tasks/training/determinism.py"
    workspace.edit(
        told,
        "    torch.manual_seed(seed)\n",
        "    torch.manual_seed(seed)\n    print('threads:', torch.get_num_threads())\n",
    )
    row = "pretrain@digits-convnet"
    for params, expected in ((None, 2), ("threads: 3", 3)):
        if params:
            workspace.edit("params.yaml", "seed: 0\n", f"seed: 0\n{params}\n")
            reasons = {stage["name"]: stage["reasons"] for stage in workspace.plan()}[row]
            assert [(one["what"], one["old"], one["new"]) for one in reasons] == [
                ("threads", None, 3)
            ]
        done = workspace.run("env", "DOWNSTREAM_THREADS=7", "dvc", "repro", row)
        assert f"threads: {expected}\n" in done.stdout, done.stdout + done.stderr
