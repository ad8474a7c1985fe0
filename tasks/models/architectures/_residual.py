"""The building block of a residual network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.functional import relu

from tasks.models.image import group_norm

if TYPE_CHECKING:
    from torch import Tensor


class BasicBlock(nn.Module):
    """Two convolutions of 3 × 3, and a shortcut past them (He et al., 2016, figure 5, left)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.first_norm = group_norm(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_norm = group_norm(channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels_in != channels:
            projection = nn.Conv2d(channels_in, channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, group_norm(channels))

    def forward(self, images: Tensor) -> Tensor:
        """Return N C H W, H and W divided by the stride."""
        hidden = relu(self.first_norm(self.first(images)))
        hidden = self.second_norm(self.second(hidden))
        return relu(hidden + self.shortcut(images))
