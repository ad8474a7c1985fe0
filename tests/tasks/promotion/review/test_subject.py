"""What a review is of."""

from pathlib import Path

import pytest
import yaml

from tasks.contracts import files, paths
from tasks.errors import BadInput
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.requests import request
from tasks.promotion.review.subject import (
    NothingToReview,
    settings_hash,
    settings_of,
    split_hash,
)
from tests.tasks.promotion.scene import CORPUS, MODEL, Scene


def test_there_is_nothing_to_review_without_a_candidate_or_if_it_is_the_champion(
    scene: Scene,
) -> None:
    scene.configure({"floors": {"accuracy": 0.9}})
    scene.register("poor")
    with pytest.raises(NothingToReview, match=r"topics has no candidate: either it is not regis"):
        request(MODEL)
    scene.register("good")
    decide(request(MODEL), "approve", "good")
    with pytest.raises(NothingToReview, match=r"^topics version 2 is the champion already$"):
        request(MODEL)


def test_without_test_records_it_says_how_to_get_them(scene: Scene) -> None:
    scene.register("good")
    paths.split(MODEL, "test").unlink()
    with pytest.raises(BadInput, match=r"data/split/topics/test\.parquet is missing, and dvc\.loc"):
        request(MODEL)


def test_where_the_records_are_not_dvc_lock_knows_their_hash(scene: Scene) -> None:
    path = paths.split(CORPUS, "test")
    before = split_hash(CORPUS)
    entry = {"outs": [{"path": path.as_posix(), "md5": before}]}
    files.write_text(Path("dvc.lock"), yaml.safe_dump({"stages": {f"split@{CORPUS}": entry}}))
    path.unlink()
    assert split_hash(CORPUS) == before


def test_a_review_that_knew_no_export_stays_that_of_today_until_a_row_asks_for_one(
    scene: Scene,
) -> None:
    then = settings_of(MODEL).model_dump_json(exclude={"export"})
    assert settings_hash(MODEL) == files.sha256_of_text(then)
    scene.configure({"export": {}})
    assert settings_hash(MODEL) != files.sha256_of_text(then)
