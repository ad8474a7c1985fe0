"""Who can write to the artifact store can replace the code that a model is served with."""

from pathlib import Path

import pytest

from tasks.errors import BadInput
from tasks.promotion.review.decisions import decide
from tasks.promotion.review.requests import request
from tasks.promotion.review.store import latest
from tasks.promotion.rollback import roll_back
from tasks.promotion.versions import download_model
from tasks.tracking.audit.log import aliases_of
from tasks.tracking.registry.version import SERVED_FILES, read_version
from tasks.tracking.store import opened
from tests.registry import bind
from tests.tasks.promotion.scene import MODEL, Scene


def served(number: int) -> Path:
    """Return the folder of a version's logged model in the artifact store."""
    with opened() as client:
        source = client.get_model_version(MODEL, str(number)).source
        logged = client.get_logged_model(source.rpartition("/")[2])
    return Path(logged.artifact_location.removeprefix("file://"))


def add_to(folder: Path, name: str) -> None:
    """Alter a file of the served code, or add it."""
    (path,) = [*sorted(folder.rglob(name)), folder / "code" / name][:1]
    path.write_text(f"{path.read_text() if path.exists() else ''}\n# and more\n")


@pytest.mark.parametrize(
    "name", ["served_model.py", "MLmodel", "text.py", "requirements.txt", "sitecustomize.py"]
)
def test_altered_code_passes_no_approval(reviewed: Scene, name: str) -> None:
    review = latest(MODEL)
    add_to(served(2), name)
    with pytest.raises(BadInput, match=f"{name} in MLflow .*somebody has (altered|added) it"):
        decide(review, "approve", "Fine.", "Eve")
    with opened() as client:
        assert aliases_of(client, MODEL) == {"candidate": 2, "champion": 1}


def test_altered_code_is_not_reviewed_and_nobody_goes_back_to_it(
    reviewed: Scene, tmp_path: Path
) -> None:
    decide(latest(MODEL), "approve", "Better.", "Ann")
    add_to(served(1), "served_model.py")
    with pytest.raises(BadInput, match=r"version 1: .*served_model\.py in MLflow is not the one"):
        roll_back(MODEL, 1, "It broke")
    reviewed.register("other")
    add_to(served(3), "served_model.py")
    with pytest.raises(BadInput, match=r"version 3: .*served_model\.py in MLflow is not the one"):
        request(MODEL)


def test_a_tag_that_names_the_altered_code_is_not_the_one_that_was_reviewed(
    reviewed: Scene,
) -> None:
    review = latest(MODEL)
    with opened() as client:
        names = read_version(client, MODEL, 2).tags[SERVED_FILES]
        bind(client, MODEL, 2, {SERVED_FILES: names.replace("a", "b")})
    with pytest.raises(BadInput, match="does not name the code that was reviewed"):
        decide(review, "approve", "Fine.", "Eve")


def test_a_version_from_before_the_code_was_bound_is_still_to_be_had(
    reviewed: Scene, tmp_path: Path
) -> None:
    with opened() as client:
        bind(client, MODEL, 2, {SERVED_FILES: None})
        version = read_version(client, MODEL, 2)
        assert version.served_files is None
        assert download_model(client, version, tmp_path / "copy").is_dir()
