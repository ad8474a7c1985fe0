"""The policies: from a comparison to a decision, with the reasons a reviewer would give.

A missed gate rejects under every policy. Without a champion there is nothing to compare with, and
a person decides.

``auto_if_better``
    McNemar's exact test at level alpha, in the candidate's favour. Of equal models it promotes at
    most alpha / 2.
``auto_if_not_worse``
    Tango's score test of non-inferiority: the lower limit of the interval for the difference in
    accuracy at level 1 - alpha lies above ``-margin``, so that the chance of promoting a model that
    is worse by the margin is at most about alpha / 2. A score interval, since the bootstrap and
    Wald's interval are too short where two good models disagree on a handful of records.

Both also ask that no slice is significantly worse (McNemar's exact test, Holm's correction).

For a head whose answers are not right or wrong, the paired approximate randomisation test stands in
place of McNemar's, and a paired bootstrap interval of the metric that decides in place of Tango's.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from tasks.metrics.significance import mcnemar_exact, tango
from tasks.promotion.comparison.schema import Comparison, Decision
from tasks.promotion.settings import PromotionSettings, ReviewSettings

Finding = tuple[bool, str]
"""Whether a condition is met, and the sentence that says so."""


def apply_policy(
    comparison: Comparison | None, missed_gates: Sequence[str], settings: PromotionSettings
) -> Decision:
    """Say what becomes of a candidate.

    Args:
        comparison: candidate and champion; None where there is no champion yet.
        missed_gates: the gates that the candidate misses, one sentence each.
        settings: the policy and its parameters.
    """
    review = settings.review
    policy = review.policy
    if missed_gates:
        return {"decision": "reject", "policy": policy, "reasons": list(missed_gates)}
    if comparison is None:
        reason = "there is no champion to compare with: a person decides on the first one"
        return {"decision": "ask", "policy": policy, "reasons": [reason]}
    findings = [CONDITIONS[policy](comparison, review), _slices(comparison, review)]
    follows: Literal["promote", "reject"] = (
        "promote" if all(met for met, _ in findings) else "reject"
    )
    return {
        "decision": "ask" if policy == "manual" else follows,
        "policy": policy,
        "reasons": [reason for _, reason in findings],
    }


def _better(comparison: Comparison, review: ReviewSettings) -> Finding:
    if "decides" in comparison:
        found = comparison["decides"]
        by = found["better_by"]
        met = found["p_value"] < review.alpha and by > 0
        ahead = f"worse by {-by:.4g}" if by < 0 else f"better by {by:+.4g}"
        return met, (
            f"{found['metric']} is {ahead}: {'' if met else 'not '}"
            f"significantly better ({found.get('test', 'paired randomisation test')}, "
            f"p = {found['p_value']:.3g}, alpha {review.alpha:g})"
        )
    won, lost = _disagreements(comparison)
    p_value = float(mcnemar_exact(won, lost))
    share = (won - lost) / comparison["records"]
    met = p_value < review.alpha and won > lost
    return met, (
        f"accuracy differs by {100 * share:+.2f} points: {'' if met else 'not '}significantly "
        f"better (McNemar's exact test, p = {p_value:.3g}, alpha {review.alpha:g})"
    )


def _not_worse(comparison: Comparison, review: ReviewSettings) -> Finding:
    if "decides" in comparison:
        found = comparison["decides"]
        low = found["interval"][0]
        met = low > -review.margin
        interval = found.get("interval_by", "paired bootstrap")
        return met, (
            f"{found['metric']} is at worst {-low:.4g} worse ({interval} at level "
            f"{1 - review.alpha:g}): {'within' if met else 'not within'} the margin of "
            f"{review.margin:g}"
        )
    won, lost = _disagreements(comparison)
    low, _ = tango(won, lost, comparison["records"], 1 - review.alpha)
    met = low > -review.margin
    return met, (
        f"accuracy is at worst {-100 * low:.2f} points lower (Tango's interval at level "
        f"{1 - review.alpha:g}): {'within' if met else 'not within'} the margin of "
        f"{100 * review.margin:g} points"
        if low < 0
        else f"accuracy is not lower (Tango's interval begins at {100 * low:+.2f} points)"
    )


CONDITIONS: dict[str, Callable[[Comparison, ReviewSettings], Finding]] = {
    "manual": _better,  # tells the person
    "auto_if_better": _better,
    "auto_if_not_worse": _not_worse,
}


def _disagreements(comparison: Comparison) -> tuple[int, int]:
    counts = comparison["disagreement"]
    return counts["only_candidate_right"], counts["only_champion_right"]


def _slices(comparison: Comparison, review: ReviewSettings) -> Finding:
    p_values = [change["adjusted_p_value"] for change in comparison["slices"]]
    worse = [
        change
        for change, p_value in zip(comparison["slices"], p_values, strict=True)
        if p_value is not None and p_value < review.alpha and change["difference"] < 0
    ]
    if not worse:
        num_tested = sum(p_value is not None for p_value in p_values)
        return True, f"none of the {num_tested} tested slices is significantly worse"
    if "decides" in comparison:
        named = ", ".join(
            f"{change['name']} ({change['champion']:.4g} to {change['candidate']:.4g})"
            for change in worse
        )
        return False, f"significantly worse: {named}"
    named = ", ".join(
        f"{change['name']} ({100 * change['champion']:.1f} % to {100 * change['candidate']:.1f} %)"
        for change in worse
    )
    return False, f"significantly worse: {named}"
