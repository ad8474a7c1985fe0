"""What a model has to know of the data it is built for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TextTraits:
    """What a text model takes from its tokenizer."""

    vocabulary_size: int
    padding_token: int


@dataclass(frozen=True)
class ImageTraits:
    """The shape of every image of a corpus."""

    channels: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width
