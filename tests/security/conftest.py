"""The workspaces that are attacked."""

from tests.flows.conftest import pipeline, reproduced
from tests.tasks.collect.conftest import corpus, png
from tests.tasks.conftest import new_store
from tests.tasks.promotion.conftest import made_models, reviewed, reviewed_workspace, scene
from tests.tasks.tracking.conftest import image_model

__all__ = [
    "corpus",
    "image_model",
    "made_models",
    "new_store",
    "pipeline",
    "png",
    "reproduced",
    "reviewed",
    "reviewed_workspace",
    "scene",
]
