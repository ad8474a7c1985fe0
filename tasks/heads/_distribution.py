"""A number by how probable its values are, for ``finetune.distribution`` of regression.

The values of the training split are put into ranges, each value into one of its own where there are
few. The head learns the probability of each range by cross entropy, and answers with the median or
the mean of that distribution. On the same features that is often more exact than the squared error
of the number itself, which a few values far out rule (Imani and White, 2018, "Improving regression
performance with distributional losses"; Farebrother et al., 2024, "Stop regressing").

Imported for rows with ``distribution`` alone, so that a change here makes no other row stale.

Dimensions: N records, R ranges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

MOST_RANGES = 32
MEDIAN = "median"


def facts_of(values: Sequence[float], distribution: str) -> dict[str, Any]:
    """Return what the model knows beside weights: where ranges begin, and the value of each.

    Where there are more than ``MOST_RANGES`` values, the ranges hold about as many records each.

    Args:
        values: of the training split, two different ones at least.
        distribution: ``median`` or ``mean``, of a range too.
    """
    given = np.sort(np.array(values, dtype=float))
    begins = np.unique(given)[1:]
    if len(begins) >= MOST_RANGES:
        shares = np.arange(1, MOST_RANGES) / MOST_RANGES
        cuts = np.unique(np.quantile(given, shares, method="lower"))
        cuts = cuts[cuts > given[0]]
        begins = cuts if len(cuts) else begins[:1]
    of_range = np.split(given, np.searchsorted(given, begins))
    middle = np.median if distribution == MEDIAN else np.mean
    return {
        "distribution": distribution,
        "begins": begins.tolist(),
        "values": [float(middle(some)) for some in of_range],
    }


def loss(facts: dict[str, Any], logits: Tensor, values: Tensor) -> Tensor:
    """Return the sum of the cross entropies of the ranges that values lie in.

    Args:
        facts: of ``facts_of``.
        logits: of the ranges, N R.
        values: what is true, N.
    """
    import torch
    from torch.nn.functional import cross_entropy

    # As the values themselves are float32, a value that begins a range still does.
    begins = torch.tensor(facts["begins"], dtype=torch.float32, device=values.device)
    ranges = torch.bucketize(values.float(), begins, right=True)
    return cross_entropy(logits, ranges, reduction="sum")


def decode(facts: dict[str, Any], logits: np.ndarray) -> list[float]:
    """Return the median or the mean of each record's distribution.

    Args:
        facts: of ``facts_of``.
        logits: of the ranges, N R.
    """
    exponents = np.exp(logits.astype(np.float64) - logits.max(axis=1, keepdims=True))
    shares = exponents / exponents.sum(axis=1, keepdims=True)
    values = np.array(facts["values"])
    if facts["distribution"] != MEDIAN:
        return [float(value) for value in shares @ values]
    # The last range is the answer where the sum of all shares is below a half by a rounding.
    below = (np.cumsum(shares, axis=1)[:, :-1] < 0.5).sum(axis=1)
    return [float(value) for value in values[below]]
