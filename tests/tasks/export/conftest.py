"""The workspaces that promotion is tested in, whose models are exported."""

from tests.tasks.promotion.conftest import made_models, scene

__all__ = ["made_models", "scene"]
