"""Hashes are DVC's own."""

from pathlib import Path

from flows.dvc.contents import NOTHING, content_on_disk, is_cached, recorded_text
from flows.dvc.internals import dvc_stages, open_repo
from tests.flows.pipeline import Pipeline


def test_every_file_and_folder_has_the_hash_that_dvc_gives_it(pipeline: Pipeline) -> None:
    repo = open_repo()
    for stage in dvc_stages(repo).values():
        for item in [*stage.deps, *stage.outs]:
            if item.def_path != "params.yaml":
                assert content_on_disk(repo, item.def_path).md5 == item.get_hash().value


def test_a_file_that_dvc_has_never_seen_and_an_executable_one_are_hashed(
    pipeline: Pipeline,
) -> None:
    repo = open_repo()
    pipeline.write("new.sh", "echo\n")
    assert content_on_disk(repo, "new.sh") == ("53f31a089339194f333d2e3995dbb05e", False)
    Path("new.sh").chmod(0o755)
    assert content_on_disk(repo, "new.sh").executable
    assert content_on_disk(repo, "absent") == NOTHING


def test_the_cache_holds_a_folder_only_with_all_its_files(pipeline: Pipeline) -> None:
    repo = open_repo()
    model = pipeline.lock()["stages"]["finetune@m"]["outs"][0]["md5"]
    readme = pipeline.lock()["stages"]["evaluate@m"]["outs"][0]["md5"]
    assert model.endswith(".dir")
    assert is_cached(repo, model)
    assert is_cached(repo, readme)
    weights = content_on_disk(repo, "data/finetune/m/model/weights").md5
    Path(repo.cache.local.oid_to_path(weights)).unlink()
    assert not is_cached(repo, model)
    assert not is_cached(repo, "0" * 32)


def test_a_recorded_text_is_found_where_it_lies_or_in_the_cache(pipeline: Pipeline) -> None:
    repo, path = open_repo(), "data/code/clean/a.txt"
    text, md5 = Path(path).read_text(), content_on_disk(repo, path).md5
    assert recorded_text(repo, path, md5) == text
    Path(path).unlink()
    assert recorded_text(repo, path, md5) == text
    assert recorded_text(repo, path, "0" * 32) is None
    assert recorded_text(repo, path, None) is None
