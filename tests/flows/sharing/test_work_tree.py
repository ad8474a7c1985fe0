"""The work tree as a commit on a ref of its own, in a real repository with a real remote."""

from pathlib import Path

import pytest

from flows.sharing import work_tree
from flows.sharing.work_tree import drop_ref, require_origin, send_work_tree
from tasks.errors import BadSettings, Unreachable
from tests.flows.deployed import git


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The remote of a repository with one commit, which is the current directory."""
    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    git(tmp_path, "init", "-q", "--bare", str(origin))
    git(tmp_path, "clone", "-q", str(origin), str(clone))
    (clone / ".gitignore").write_text("/ignored\n")
    (clone / "edited").write_text("before")
    (clone / "removed").write_text("")
    git(clone, "add", "--all")
    git(clone, "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "first")
    monkeypatch.chdir(clone)
    return origin


def test_the_commit_holds_edits_and_new_files_and_nothing_of_the_users_changes(
    origin: Path,
) -> None:
    Path("edited").write_text("after")
    Path("removed").unlink()
    Path("new").write_text("staged")
    git(Path(), "add", "new")
    Path("new").write_text("new")
    Path("ignored").write_text("not for others")
    head, status = git(Path(), "rev-parse", "HEAD"), git(Path(), "status", "--porcelain")
    commit, ref = send_work_tree("finetune@m", ["edited", "new"])
    assert git(origin, "rev-parse", ref, f"{ref}^").splitlines() == [commit, head]
    listed = git(origin, "ls-tree", "--name-only", ref).splitlines()
    assert listed == [".gitignore", "edited", "new"]
    assert (git(origin, "show", f"{ref}:edited"), git(origin, "show", f"{ref}:new")) == (
        "after",
        "new",
    )
    now = git(Path(), "rev-parse", "HEAD"), git(Path(), "status", "--porcelain")
    assert now == (head, status)
    assert send_work_tree("finetune@m", []) == (commit, ref), "the same tree is the same commit"
    drop_ref(ref)
    assert git(origin, "for-each-ref", "refs/downstream") == ""


def test_what_cannot_go_along_is_refused_in_one_line(
    origin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("ignored").write_text("records")
    with pytest.raises(BadSettings, match=r"^pretrain@b: ignored is ignored by git and not .*"):
        send_work_tree("pretrain@b", ["edited", "ignored"])
    monkeypatch.setattr(work_tree, "LARGEST_FILE", 2**20)
    Path("new").write_bytes(bytes(2**20 + 1))
    with pytest.raises(BadSettings, match=r"^pretrain@b: new has 1 MiB, which is too large .*"):
        send_work_tree("pretrain@b", [])
    assert git(origin, "for-each-ref") == ""


def test_a_remote_that_is_missing_or_away_is_told(origin: Path) -> None:
    require_origin()
    origin.rename(origin.with_name("elsewhere"))
    with pytest.raises(Unreachable, match=r"^pretrain@b: its commit cannot be sent: git push"):
        send_work_tree("pretrain@b", [])
    git(Path(), "remote", "remove", "origin")
    with pytest.raises(BadSettings, match=r"^--engine pools: .* no git remote named origin: "):
        require_origin()


def test_a_repository_without_a_commit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadSettings, match="workers fetch a commit, and this repository has none"):
        send_work_tree("pretrain@b", [])
