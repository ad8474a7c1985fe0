"""When two records are nearly the same: settings of ``clean``, ``split`` and ``validate``."""

from pydantic import Field

from tasks.contracts.settings import Settings


class NearDuplicatesSettings(Settings):
    """When two records are nearly the same."""

    similarity: float = Field(
        0.8, gt=0, le=1, description="text: share of runs of words that two texts have in common"
    )
    words: int = Field(
        3, ge=1, description="text: words of a run; in scripts without spaces, characters"
    )
    distance: int = Field(
        4, ge=0, le=32, description="images: bits of 64 that the hashes of two images differ in"
    )
