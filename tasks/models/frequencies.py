"""How often each token stands in what a backbone was trained on: kept beside its weights.

``frequencies.safetensors`` holds ``counts``, V, int64. Objectives of word vectors write it; what
weighs tokens by how rare they are reads it.

Dimensions: V tokens of the vocabulary.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from jaxtyping import Float

FREQUENCIES = "frequencies.safetensors"


def save_frequencies(counts: np.ndarray, folder: Path) -> None:
    """Write how often each token occurs."""
    from safetensors.numpy import save_file

    save_file({"counts": counts.astype(np.int64)}, folder / FREQUENCIES)


def load_shares(folder: Path) -> Float[np.ndarray, " V"] | None:
    """Return each token's share of all, float64; None where the folder does not tell."""
    from safetensors.numpy import load_file

    if not (folder / FREQUENCIES).exists():
        return None
    counts = load_file(folder / FREQUENCIES)["counts"]
    shares: np.ndarray = counts / max(int(counts.sum()), 1)
    return shares
