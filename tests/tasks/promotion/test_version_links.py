"""The links of a version that was registered by older code, or from another state."""

from pathlib import Path

from tasks.contracts.lock import read_lock
from tasks.promotion.version_links import of_workspace
from tests.tasks.promotion.chain import MODEL


def test_a_version_without_the_tags_holds_nowhere(chain: Path) -> None:
    links = list(of_workspace(MODEL, 1, {}, read_lock()))
    assert all(link.problem for link in links)
    assert links[0].problem == (
        "the version has no tag with its files: it was registered by older code; version 1 was "
        "registered from another state: check that out"
    )


def test_without_a_lock_nothing_is_known_of_the_data(chain: Path) -> None:
    Path("dvc.lock").unlink()
    links = {link.what: link.problem for link in of_workspace(MODEL, 1, {}, read_lock())}
    assert links["test.parquet"] == "neither the version nor dvc.lock has it"
