"""How often the review's statistics are wrong, on simulated models of which the truth is known.

    python -m benchmarks.review_simulation [--quick] [--json]

- **Policies**: reviews of two models on 600 test records of 8 classes, which are hard for both in
  the same places. Of equally good models, ``auto_if_better`` must promote at most 5 %; of
  candidates worse by just the margin, ``auto_if_not_worse`` must promote at most alpha / 2 or so.
  The peer is the rule that most teams begin with: promote whatever has the higher accuracy.
- **Intervals**: how often Wilson's interval of an accuracy, and the bootstrap interval of macro F1,
  hold the true value; 95 % is claimed.

Every review goes through the functions that judge real candidates.
"""

import argparse
import json
from typing import Any, cast

import numpy as np

from tasks.metrics.intervals import bootstrap, wilson
from tasks.metrics.scores import Answers, Floats, Ints, Scored, macro_scores
from tasks.metrics.slices import Slice
from tasks.promotion.comparison.comparison import disagree, slice_changes
from tasks.promotion.comparison.schema import Comparison
from tasks.promotion.policy import apply_policy
from tasks.promotion.settings import PromotionSettings

NUM_RECORDS, NUM_CLASSES = 600, 8
ACCURACY = 0.9
MARGIN = 0.03
POLICIES = ("auto_if_better", "auto_if_not_worse")


def main() -> None:
    """Simulate, print tables, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the repetitions")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    part = 5 if arguments.quick else 1
    promoted = {
        name: promotions(2000 // part, difference)
        for name, difference in {
            "equal models": 0.0,
            "candidate 3 points worse": -MARGIN,
            "candidate 3 points better": 0.03,
        }.items()
    }
    coverage = {
        "Wilson, accuracy from 0.5 to 0.99, 100 records": wilson_coverage(100, 20_000 // part),
        "Wilson, the same, 1,000 records": wilson_coverage(1000, 20_000 // part),
        "bootstrap, macro F1, 30 records a class": macro_f1_coverage([30] * 8, 1000 // part),
        "bootstrap, macro F1, 10 to 200 records": macro_f1_coverage(
            [200, 120, 60, 40, 30, 20, 10, 10], 1000 // part
        ),
    }
    report(promoted, coverage, as_json=arguments.json)


def report(
    promoted: dict[str, dict[str, float]], coverage: dict[str, float], *, as_json: bool
) -> None:
    """Print the share of reviews that promote, and the coverage of the intervals."""
    rules = list(next(iter(promoted.values())))
    print(f"{'promoted, % of the reviews':30}" + "".join(f"{rule:>20}" for rule in rules))
    for name, shares in promoted.items():
        print(f"{name:30}" + "".join(f"{100 * share:20.2f}" for share in shares.values()))
    print("\ncoverage of 95 % intervals, %")
    for name, share in coverage.items():
        print(f"{name:50}{100 * share:8.2f}")
    if as_json:
        equal = promoted["equal models"]
        ratio = equal["higher accuracy"] / max(equal["auto_if_better"], 1e-4)
        print(json.dumps({"ratio": round(ratio, 2), "promoted": promoted, "coverage": coverage}))


def promotions(num_reviews: int, difference: float, seed: int = 0) -> dict[str, float]:
    """Return which share of candidates each rule promotes.

    Args:
        num_reviews: independent reviews, each with new models and new test records.
        difference: the candidate's true accuracy less the champion's.
        seed: of the simulation.
    """
    generator = np.random.default_rng([seed, *str(difference).encode()])
    settings = {
        policy: PromotionSettings.parse({"review": {"policy": policy, "margin": MARGIN}}, policy)
        for policy in POLICIES
    }
    counts = dict.fromkeys([*POLICIES, "higher accuracy"], 0)
    for _ in range(num_reviews):
        comparison, ahead = one_review(generator, difference)
        counts["higher accuracy"] += ahead
        for policy in POLICIES:
            decision = apply_policy(comparison, [], settings[policy])["decision"]
            counts[policy] += decision == "promote"
    return {rule: count / num_reviews for rule, count in counts.items()}


def one_review(generator: np.random.Generator, difference: float) -> tuple[Comparison, bool]:
    """Return what a policy needs of a comparison, and whether the candidate scored higher."""
    true = generator.integers(NUM_CLASSES, size=NUM_RECORDS)
    # What is hard for one model is hard for the other: both share a record's chance to be right,
    # which is ACCURACY on average.
    chance = generator.beta(2 * ACCURACY, 2 * (1 - ACCURACY), size=NUM_RECORDS)
    lowered = chance * (1 - abs(difference) / ACCURACY)
    candidate = _answers(generator, true, lowered if difference < 0 else chance)
    champion = _answers(generator, true, lowered if difference > 0 else chance)
    thirds = generator.integers(3, size=NUM_RECORDS)
    slices = [
        *(Slice("class", f"class {k}", true == k) for k in range(NUM_CLASSES)),
        *(Slice("length", f"third {third}", thirds == third) for third in range(3)),
    ]
    found = {
        "records": NUM_RECORDS,
        "disagreement": disagree(candidate, champion, 0.05),
        "slices": slice_changes(candidate, champion, slices, 0.05, 30),
    }
    return cast(Comparison, found), bool(candidate.correct.sum() > champion.correct.sum())


def _answers(generator: np.random.Generator, true: Ints, chance: Floats) -> Scored:
    """Return answers that are right with the given chances, and else in the next class."""
    right = generator.random(len(true)) < chance
    predicted = np.where(right, true, (true + 1) % NUM_CLASSES)
    return Scored(true, predicted, np.zeros((len(true), NUM_CLASSES)))


def wilson_coverage(num_records: int, repetitions: int, seed: int = 0) -> float:
    """Return how often Wilson's interval holds an accuracy drawn between 0.5 and 0.99."""
    generator = np.random.default_rng(seed)
    accuracy = generator.uniform(0.5, 0.99, size=repetitions)
    num_right = generator.binomial(num_records, accuracy)
    intervals = np.array([wilson(n, num_records) for n in range(num_records + 1)])
    low, high = intervals[num_right].T
    return float(((low <= accuracy) & (accuracy <= high)).mean())


def macro_f1_coverage(
    class_sizes: list[int], repetitions: int, num_samples: int = 1000, seed: int = 0
) -> float:
    """Return how often the bootstrap interval holds the true macro F1.

    A record of a class is right with a chance of its own class; a wrong answer falls on any other
    class. The true macro F1 is that of endlessly many records in the same shares.
    """
    generator = np.random.default_rng(seed)
    num_classes = len(class_sizes)
    recall = np.linspace(0.75, 0.97, num_classes)
    chances = np.tile(((1 - recall) / (num_classes - 1))[:, None], (1, num_classes))
    np.fill_diagonal(chances, recall)
    expected = chances * np.array(class_sizes)[:, None]
    truth = (2 * np.diag(expected) / (expected.sum(axis=0) + expected.sum(axis=1))).mean()
    true = np.repeat(np.arange(num_classes), class_sizes)
    limits = chances.cumsum(axis=1)[true]
    held = 0
    for repetition in range(repetitions):
        predicted = (generator.random((len(true), 1)) > limits).sum(axis=1)
        interval = _macro_f1_interval(
            Answers(true, np.minimum(predicted, num_classes - 1)),
            num_classes,
            num_samples,
            repetition,
        )
        held += interval[0] <= truth <= interval[1]
    return held / repetitions


def _macro_f1_interval(
    answers: Answers, num_classes: int, num_samples: int, seed: int
) -> tuple[float, float]:
    def measure(counts: Floats) -> dict[str, Floats]:
        return {"macro_f1": macro_scores(counts, answers, num_classes)["macro_f1"]}

    found: Any = bootstrap(measure, len(answers.true), num_samples, [seed])["macro_f1"]
    return found


if __name__ == "__main__":
    main()
