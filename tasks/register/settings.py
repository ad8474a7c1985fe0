"""Settings of ``register``."""

from tasks.promotion.settings import PromotionSettings


class Settings(PromotionSettings):
    """What a model must reach to become a candidate, and then champion."""
