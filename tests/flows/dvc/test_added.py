"""What was ``dvc add``ed is told as DVC sees it, without DVC's index."""

from pathlib import Path

from flows.dvc.added import added_are_recorded
from flows.dvc.graph import load_graph
from tests.flows.pipeline import Pipeline

SOURCE = Path("data/sources/a/records.csv")


def test_an_added_file_is_recorded_until_it_is_edited_gone_or_lost_from_the_cache(
    pipeline: Pipeline,
) -> None:
    assert added_are_recorded(load_graph())
    pipeline.dvc("add", "-q", "data/sources/b")
    pipeline.dvc("add", "-q", SOURCE.as_posix())
    assert added_are_recorded(load_graph())
    text = SOURCE.read_text()
    SOURCE.chmod(0o644)
    SOURCE.write_text("a,2\n")
    assert not added_are_recorded(load_graph())
    SOURCE.unlink()
    assert not added_are_recorded(load_graph())
    SOURCE.write_text(text)
    assert added_are_recorded(load_graph())
    for cached in Path(".dvc/cache/files/md5").rglob("*.dir"):
        cached.unlink()
    assert not added_are_recorded(load_graph())


def test_a_file_that_cannot_be_read_is_left_to_dvc(pipeline: Pipeline) -> None:
    pipeline.write("data/sources/a/records.csv.dvc", "outs: [")
    assert not added_are_recorded(load_graph())
