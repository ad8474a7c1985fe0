"""The secret that the servers ask for: random, lasting, and its owner's alone."""

from pathlib import Path

import pytest

from flows.servers.secret import FILE, derived, new_secret, workspace_secret
from tasks.errors import DownstreamError


@pytest.fixture(autouse=True)
def _workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_it_is_made_once_and_its_owner_alone_can_read_it() -> None:
    secret = workspace_secret()
    assert workspace_secret() == secret
    assert FILE.stat().st_mode & 0o777 == 0o600
    assert len(secret) == 32
    assert new_secret() != new_secret()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_one_that_others_may_read_is_refused(mode: int) -> None:
    workspace_secret()
    FILE.chmod(mode)
    with pytest.raises(DownstreamError, match="may be read by others: remove it"):
        workspace_secret()


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    FILE.parent.mkdir()
    (tmp_path / "known").write_text("x" * 40)
    (tmp_path / "known").chmod(0o600)
    FILE.symlink_to(tmp_path / "known")
    with pytest.raises(OSError, match="symbolic links"):
        workspace_secret()


def test_an_empty_one_is_refused() -> None:
    FILE.parent.mkdir()
    FILE.touch(0o600)
    with pytest.raises(DownstreamError, match="holds no secret: remove it"):
        workspace_secret()


def test_what_is_derived_from_it_does_not_tell_it() -> None:
    assert derived("secret", "session") != derived("secret", "database")
    assert "secret" not in derived("secret", "session")
