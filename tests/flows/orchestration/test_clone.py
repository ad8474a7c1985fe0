"""The clone that unattended runs work in: made, brought up to date, and told apart from ours."""

from pathlib import Path

import pytest

from flows.orchestration.clone import commit_results, prepare
from tasks.errors import BadSettings
from tests.flows.deployed import commit, deployable, git
from tests.flows.pipeline import Pipeline


@pytest.fixture(scope="module")
def committed(reproduced: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return deployable(reproduced.copy_to(tmp_path_factory.mktemp("committed")))


@pytest.fixture
def workspace(committed: Pipeline, tmp_path: Path) -> Pipeline:
    return committed.copy_to(tmp_path / "workspace")


def made(workspace: Pipeline, branch: str = "main", commit_to: str = "nightly") -> Pipeline:
    """Return the clone after ``prepare``."""
    clone = Pipeline.__new__(Pipeline)
    clone.root = workspace.root / ".downstream" / "nightly" / "clone"
    prepare(workspace.root, str(workspace.root), clone.root, branch, commit_to)
    return clone


def add_line(pipeline: Pipeline, path: str, line: str) -> str:
    """Add a line to a file; return its new text."""
    file = pipeline.root / path
    file.write_text(f"{file.read_text()}{line}\n")
    return file.read_text()


def test_a_new_clone_is_fresh_and_shares_the_cache_and_local_sources_and_settings(
    workspace: Pipeline,
) -> None:
    workspace.write("data/sources/a/more.csv", "a,2\n")
    workspace.dvc("add", "-q", "data/sources/a/more.csv")
    workspace.dvc("remote", "add", "--local", "-q", "store", "/somewhere")
    workspace.repro()
    commit(workspace, "more")
    clone = made(workspace)
    assert (clone.root / "data/sources/a/more.csv").read_text() == "a,2\n"
    assert "up to date" in clone.dvc("status")
    assert "/somewhere" in clone.dvc("remote", "list")
    # No result is stored twice.
    outputs = clone.lock()["stages"]["evaluate@m"]["outs"]
    (md5,) = [out["md5"] for out in outputs if out["path"].endswith("metrics.json")]
    cached = workspace.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    assert (clone.root / "data/evaluate/m/metrics.json").samefile(cached)
    assert not (clone.root / ".dvc" / "cache").exists()
    for name in ("devices", "mlflow"):
        ours = workspace.root / ".downstream" / name
        assert (clone.root / ".downstream" / name).resolve() == ours.resolve()
    # Nor does the workspace see the clone's stages as its own.
    assert "up to date" in workspace.dvc("status")
    assert workspace.downstream("plan", "--check").returncode == 0


def test_what_a_clone_runs_is_restored_in_the_workspace(workspace: Pipeline) -> None:
    clone = made(workspace)
    for each in (clone, workspace):
        each.change("seed", 1)
    clone.repro("finetune@m")
    assert clone.ran() == ["split@a", "finetune@m"]
    workspace.repro("finetune@m")
    assert workspace.ran() == []


def test_results_are_committed_once_to_a_branch_of_the_clone_and_never_pushed(
    workspace: Pipeline,
) -> None:
    clone = made(workspace)
    add_line(clone, "dvc.lock", "# of this night")
    clone.write("data/sources/a/pin.json", "{}\n")
    commit_id = commit_results(clone.root, "results")
    assert git(clone.root, "show", "--format=%h %s", "--name-only").split("\n") == [
        f"{commit_id} results", "", "data/sources/a/pin.json", "dvc.lock",
    ]  # fmt: skip
    assert commit_results(clone.root, "again") is None
    assert git(workspace.root, "branch", "--list", "nightly") == ""


def test_the_branch_is_merged_and_its_lock_taken_whole_where_both_have_changed_it(
    workspace: Pipeline,
) -> None:
    clone = made(workspace)
    clone.write("dvc.lock", f"# of this night\n{(clone.root / 'dvc.lock').read_text()}")
    commit_results(clone.root, "results")
    lock = add_line(workspace, "dvc.lock", "# of the branch")
    commit(workspace, "another lock")
    again = made(workspace)
    assert (again.root / "dvc.lock").read_text() == lock
    assert git(again.root, "log", "--format=%s", "-n1", "HEAD^1") == "results"


def test_results_of_a_night_stay_where_the_branch_has_changed_something_else(
    workspace: Pipeline,
) -> None:
    clone = made(workspace)
    lock = add_line(clone, "dvc.lock", "# of this night")
    commit_results(clone.root, "results")
    workspace.write("README.md", "new\n")
    commit(workspace, "a page")
    again = made(workspace)
    assert (again.root / "dvc.lock").read_text() == lock
    assert (again.root / "README.md").exists()


def test_a_pin_whose_corpus_the_branch_has_removed_goes_too(workspace: Pipeline) -> None:
    workspace.write("data/sources/c/pin.json", "{}\n")
    commit(workspace, "a corpus")
    clone = made(workspace)
    clone.write("data/sources/c/pin.json", '{"a": 1}\n')
    commit_results(clone.root, "results")
    git(workspace.root, "rm", "-q", "data/sources/c/pin.json")
    commit(workspace, "without it")
    assert not (made(workspace).root / "data/sources/c/pin.json").exists()


def test_what_a_killed_night_has_left_is_undone(workspace: Pipeline) -> None:
    # Killed while the clone was made, then in its middle.
    workspace.write(".downstream/nightly/.clone.partial/.git/HEAD", "torn")
    clone = made(workspace)
    clone.write("dvc.lock", "torn")
    clone.write("data/sources/z/pin.json", "{}\n")
    clone.write(".git/index.lock", "")
    clone.write(".git/MERGE_HEAD", git(clone.root, "rev-parse", "HEAD") + "\n")
    again = made(workspace)
    assert again.lock() == workspace.lock()
    assert git(again.root, "status", "--porcelain") == ""


def test_a_machine_without_a_git_identity_commits_under_a_name_of_its_own(
    workspace: Pipeline, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    clone = made(workspace)
    clone.write("data/sources/a/pin.json", "{}\n")
    commit_results(clone.root, "results")
    assert git(clone.root, "log", "-n1", "--format=%an") == "downstream nightly"


@pytest.mark.parametrize(
    ("branch", "commit_to", "message"),
    [
        ("main", "main", "commit_to: 'main' is the branch that is run"),
        ("mian", "nightly", "none named 'mian'; allowed: main; did you mean 'main'?"),
    ],
)
def test_a_branch_that_cannot_be_is_told(
    workspace: Pipeline, branch: str, commit_to: str, message: str
) -> None:
    with pytest.raises(BadSettings) as error:
        made(workspace, branch, commit_to)
    assert message in str(error.value)


def test_a_folder_that_holds_something_else_is_left_alone(workspace: Pipeline) -> None:
    workspace.write(".downstream/nightly/clone/thesis.tex", "mine")
    with pytest.raises(BadSettings, match="is no clone that nightly has made: move it away"):
        made(workspace)


def test_a_checkout_of_somebodys_own_keeps_its_edits(workspace: Pipeline, tmp_path: Path) -> None:
    place = workspace.root / ".downstream" / "nightly" / "clone"
    git(workspace.root, "clone", "-q", str(workspace.root), str(place))
    (place / "params.yaml").write_text("edited: true")
    with pytest.raises(BadSettings, match="is no clone that nightly has made"):
        made(workspace)
    assert (place / "params.yaml").read_text() == "edited: true"
