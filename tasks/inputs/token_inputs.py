"""Token ids of many texts in two flat arrays, and batches of them.

Dimensions: N sequences, T tokens (the longest of a batch).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tasks.inputs.tokenizer import PADDING, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer
    from torch import Tensor

TEXTS_AT_ONCE = 1024


@dataclass(frozen=True)
class TokenInputs:
    """Token ids of each text, special tokens included."""

    tokens: np.ndarray
    """Token ids of all texts, one text after the other; int32."""
    starts: np.ndarray
    """Where each text begins in ``tokens``, and the end of the last one; int64."""
    padding_token: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens a text."""
        return np.diff(self.starts)

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return ``input_ids``, N T, padded to the longest, and ``attention_mask`` where it is.

        Without padding there is no mask: attention is then the same without it, and faster.
        """
        import torch

        indices = np.asarray(indices)
        starts = self.starts[indices]
        lengths = self.starts[indices + 1] - starts
        places = np.arange(int(lengths.max()))
        attended = places < lengths[:, None]
        ids = np.full(attended.shape, self.padding_token, dtype=np.int64)
        ids[attended] = self.tokens[(starts[:, None] + places)[attended]]
        batch = {"input_ids": torch.from_numpy(ids)}
        if not attended.all():
            batch["attention_mask"] = torch.from_numpy(attended.astype(np.int64))
        return batch


def tokenise(texts: Sequence[str], tokenizer: Tokenizer) -> TokenInputs:
    """Tokenise texts; one in which no token is found is one unknown token."""
    unknown = [tokenizer.token_to_id(UNKNOWN) or 0]
    pieces: list[np.ndarray] = []
    lengths: list[int] = []
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        encodings = tokenizer.encode_batch_fast(list(texts[start : start + TEXTS_AT_ONCE]))
        ids = [encoding.ids or unknown for encoding in encodings]
        lengths += map(len, ids)
        pieces.append(np.fromiter((token for one in ids for token in one), dtype=np.int32))
    tokens = np.concatenate(pieces) if pieces else np.zeros(0, np.int32)
    starts = np.cumsum([0, *lengths], dtype=np.int64)
    return TokenInputs(tokens, starts, tokenizer.token_to_id(PADDING) or 0)
