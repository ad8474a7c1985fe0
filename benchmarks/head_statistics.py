"""How often the statistics of heads are wrong, for a metric of each kind, where the truth is known.

    python -m benchmarks.head_statistics [HEAD…] [--quick] [--json]

Answers of models are drawn to some thousand records of each head: the truth is the metric over all
of them. A review sees some records that are drawn from these.

- **The test**: the paired randomisation test (of pairs McNemar's) between two models that are
  equally good, on 100 records. ``alike``: both err in the same way. ``unlike``: the second one errs
  less on most records and more on others, so that the metric over all of them is the same to the
  sixth digit. At most 5 % may be told apart, and ``auto_if_better`` promotes a part of them.
- **The interval**: how often the 95 % interval on the model's card (the bootstrap's, of shares of
  records Wilson's) holds the truth.

Every figure goes through the functions that judge real candidates.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from tasks.heads import generation, multilabel, pair, regression, tagging
from tasks.heads._evidence import interval_of, right_or_wrong
from tasks.metrics.intervals import bootstrap
from tasks.metrics.randomisation import paired_randomisation
from tasks.metrics.scores import Floats, once_each
from tasks.metrics.significance import mcnemar_exact

NUM_KNOWN, VARIANTS = 2000, 3
SIZES = (50, 200)
TESTED_ON = 100
REVIEWS, DRAWS = 2000, 199
INTERVALS, SAMPLES = 1000, 500
ALPHA = 0.05

Random = np.random.Generator
Answers = list[Any]


@dataclass(frozen=True)
class Population:
    """What is true of many records, and what models may answer to them.

    A model gives one of its answers to a record, each with the same chance.
    """

    head: ModuleType
    outputs: list[str]
    true: list[Any]
    answers: dict[str, list[Answers]]
    """Of ``usual``, ``good`` and ``poor`` models."""

    def drawn(self, random: Random, places: np.ndarray, share_of_poor: float | None) -> Answers:
        """Return the answers of a model to some records.

        Args:
            random: draws which of its answers it gives.
            places: the records.
            share_of_poor: None for the usual model; else the good one's, which is poor so often.
        """
        found = []
        for place in places:
            who = "usual"
            if share_of_poor is not None:
                who = "poor" if random.random() < share_of_poor else "good"
            found.append(self.answers[who][random.integers(VARIANTS)][place])
        return found


def main() -> None:
    """Simulate, print a table, and with ``--json`` one JSON object on the last line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("heads", nargs="*", metavar="HEAD", help=", ".join(POPULATIONS))
    parser.add_argument("--quick", action="store_true", help="a fifth of the repetitions")
    parser.add_argument("--json", action="store_true", help="end with one JSON object")
    arguments = parser.parse_args()
    part = 5 if arguments.quick else 1
    names = ["alike", "unlike", *(f"of {size}" for size in SIZES)]
    print(f"{'% told apart; % of intervals that hold':40}" + "".join(f"{n:>9}" for n in names))
    found = {}
    for kind in arguments.heads or POPULATIONS:
        held = {size: coverage(kind, size, INTERVALS // part) for size in SIZES}
        compared = [name for name in held[SIZES[0]] if (kind, name) not in NOT_COMPARED]
        alike = told_apart(kind, compared, None, REVIEWS // part)
        for name in held[SIZES[0]]:
            unlike = {}
            if name in compared:
                unlike = told_apart(kind, [name], _share_of_poor(kind, name), REVIEWS // part)
            figures = [alike.get(name), unlike.get(name), *(held[size][name] for size in SIZES)]
            found[f"{kind} {name}"] = dict(zip(names, figures, strict=True))
            shown = ("-" if one is None else f"{100 * one:.2f}" for one in figures)
            print(f"{kind + ' ' + name:40}" + "".join(f"{one:>9}" for one in shown), flush=True)
    if arguments.json:
        print(json.dumps(found))


def told_apart(
    kind: str, metrics: Sequence[str], share_of_poor: float | None, num_reviews: int
) -> dict[str, float]:
    """Return in which share of reviews two equally good models are told apart, by the metric.

    Args:
        kind: the head.
        metrics: some of its metrics.
        share_of_poor: how often the second model is the poor one, and else the good one; None
            where it is as the first.
        num_reviews: each of other records.
    """
    population = population_of(kind)
    random = np.random.default_rng([num_reviews, share_of_poor is None])
    counts = dict.fromkeys(metrics, 0)
    for review in range(num_reviews):
        places = random.integers(len(population.true), size=TESTED_ON)
        both = [population.drawn(random, places, share) for share in (None, share_of_poor)]
        true = [population.true[place] for place in places]
        for name, p_value in _p_values(population, metrics, true, both, review).items():
            counts[name] += p_value < ALPHA
    return {name: count / num_reviews for name, count in counts.items()}


def _p_values(
    population: Population,
    metrics: Sequence[str],
    true: list[Any],
    both: list[Answers],
    seed: int,
) -> dict[str, float]:
    head = population.head
    functions = head.measures(population.outputs)
    prepared = head.prepare(true * 2, [*both[0], *both[1]], population.outputs)
    found = {}
    for name in metrics:
        if name == "accuracy" and right_or_wrong(head):
            right = [head.errors(true, given) == 0 for given in both]
            won, lost = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
            found[name] = float(mcnemar_exact(won, lost))
        else:
            measure = functools.partial(_measured, functions[name], prepared)
            _, found[name] = paired_randomisation(measure, len(true), DRAWS, seed)
    return found


def _measured(function: Any, prepared: Any, counts: Floats) -> Floats:
    values: Floats = function(counts, prepared)
    return values


def _share_of_poor(kind: str, metric: str) -> float:
    """Return how often the good model is to be poor, so that it is as good as the usual one."""
    wanted = value(kind, metric, {"usual": 1.0})
    of_good = value(kind, metric, {"good": 1.0, "poor": 0.0})
    low, high = 0.0, 1.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        is_better = value(kind, metric, {"good": 1 - middle, "poor": middle}) - wanted
        low, high = (middle, high) if is_better * (of_good - wanted) > 0 else (low, middle)
    return low


def value(kind: str, metric: str, shares: dict[str, float]) -> float:
    """Return a metric over all records of a model that answers as others do, by their shares.

    Args:
        kind: the head.
        metric: its name.
        shares: of the others, one together.
    """
    population = population_of(kind)
    weights = np.repeat([share / VARIANTS for share in shares.values()], VARIANTS * NUM_KNOWN)
    function = population.head.measures(population.outputs)[metric]
    return float(function(weights[None], _prepared(kind, tuple(shares)))[0])


@functools.cache
def _prepared(kind: str, who: tuple[str, ...]) -> Any:
    population = population_of(kind)
    given = [answer for one in who for some in population.answers[one] for answer in some]
    true = population.true * (len(who) * VARIANTS)
    return population.head.prepare(true, given, population.outputs)


def coverage(kind: str, num_records: int, repetitions: int) -> dict[str, float]:
    """Return how often the bootstrap interval of each metric holds the truth.

    Args:
        kind: the head.
        num_records: how many test records there are.
        repetitions: each with other records.
    """
    population = population_of(kind)
    functions = population.head.measures(population.outputs)
    truth = {name: value(kind, name, {"usual": 1.0}) for name in functions}
    random = np.random.default_rng([num_records, repetitions])
    held = dict.fromkeys(functions, 0)
    for repetition in range(repetitions):
        places = random.integers(len(population.true), size=num_records)
        true = [population.true[place] for place in places]
        given = population.drawn(random, places, None)
        prepared = population.head.prepare(true, given, population.outputs)
        measure = _all_of(functions, prepared)
        drawn = bootstrap(measure, num_records, SAMPLES, [repetition])
        for name, found in measure(once_each(num_records)).items():
            interval = interval_of(population.head, name, float(found[0]), drawn[name], num_records)
            held[name] += interval is not None and interval[0] <= truth[name] <= interval[1]
    return {name: count / repetitions for name, count in held.items()}


def _all_of(functions: dict[str, Any], prepared: Any) -> Callable[[Floats], dict[str, Floats]]:
    return lambda counts: {name: one(counts, prepared) for name, one in functions.items()}


@functools.cache
def population_of(kind: str) -> Population:
    """Return records with the answers of the models, by the head."""
    return POPULATIONS[kind](np.random.default_rng(7), NUM_KNOWN)


def _of_pairs(random: Random, size: int) -> Population:
    names = [f"class {number}" for number in range(4)]
    true = random.choice(4, size, p=[0.5, 0.3, 0.15, 0.05])
    hardness = random.normal(size=size)

    def answers(skill: float) -> list[Any]:
        logits = random.normal(size=(size, 4))
        logits[np.arange(size), true] += skill - hardness
        exponents = np.exp(2 * logits)
        scores = exponents / exponents.sum(axis=1, keepdims=True)
        return [{"label": names[row.argmax()], "scores": _scores(names, row)} for row in scores]

    wanted = [{"label": names[number], "scores": []} for number in true]
    return Population(pair, names, wanted, _models(answers, 2.5, 3.5, 0.5))


def _scores(names: Sequence[str], row: np.ndarray) -> list[dict[str, Any]]:
    return [{"label": n, "score": s} for n, s in zip(names, row.tolist(), strict=True)]


def _models(
    answers: Callable[[float], Answers], usual: float, good: float, poor: float
) -> dict[str, list[Answers]]:
    skills = {"usual": usual, "good": good, "poor": poor}
    return {who: [answers(skill) for _ in range(VARIANTS)] for who, skill in skills.items()}


def _of_labels(random: Random, size: int) -> Population:
    names = [f"label {number}" for number in range(6)]
    wanted = random.random((size, 6)) < [0.5, 0.4, 0.3, 0.2, 0.15, 0.1]
    hardness = random.normal(size=(size, 1))

    def answers(skill: float) -> list[Any]:
        logits = np.where(wanted, 1, -1) * (skill - hardness) + random.normal(size=(size, 6))
        scores = 1 / (1 + np.exp(-logits))
        return [
            {
                "labels": [n for n, score in zip(names, row, strict=True) if score > 0.5],
                "scores": _scores(names, row),
            }
            for row in scores
        ]

    true = [
        {"labels": [n for n, has in zip(names, row, strict=True) if has], "scores": []}
        for row in wanted
    ]
    return Population(multilabel, names, true, _models(answers, 1.5, 2.2, 0.5))


def _of_values(random: Random, size: int) -> Population:
    true = random.choice([1.0, 2.0, 3.0, 4.0, 5.0], size, p=[0.05, 0.08, 0.12, 0.25, 0.5])
    hardness = random.gamma(4, 0.25, size=size)  # some records have errors far from the usual

    def answers(noise: float) -> list[Any]:
        shared = 0.7 * (true - true.mean()) + true.mean()
        return list(shared + noise * hardness * random.normal(size=size))

    return Population(regression, ["value"], list(true), _models(answers, 0.5, 0.3, 1.0))


def _of_tags(random: Random, size: int) -> Population:
    """Return sentences of one to some hundred tokens; the good model finds more spans than are."""
    lengths = np.minimum(1 + random.lognormal(2.3, 0.9, size).astype(int), 200)
    true = [_tags_of(random, length) for length in lengths]
    hardness = random.beta(1.5, 6, size)

    def answers(skill: float) -> list[Any]:
        return [
            _with_errors(random, tags, min(0.95, hard / skill))
            for tags, hard in zip(true, hardness, strict=True)
        ]

    outputs = ["B-A", "B-B", "I-A", "I-B", "O"]
    return Population(tagging, outputs, true, _models(answers, 1.0, 1.6, 0.5))


def _tags_of(random: Random, length: int) -> list[str]:
    tags: list[str] = []
    while len(tags) < length:
        kind = random.choice(["A", "B", "O"], p=[0.15, 0.1, 0.75])
        more = int(random.integers(0, 3))
        tags += ["O"] if kind == "O" else [f"B-{kind}", *[f"I-{kind}"] * more]
    return tags[:length]


def _with_errors(random: Random, tags: list[str], chance: float) -> list[str]:
    known = ["B-A", "I-A", "B-B", "I-B", "O", "O"]
    wrong = random.random(len(tags)) < chance
    drawn = random.integers(0, len(known), len(tags))
    return [known[d] if w else tag for tag, w, d in zip(tags, wrong, drawn, strict=True)]


def _of_responses(random: Random, size: int) -> Population:
    """Return sentences of a small language; a model drops, swaps and replaces words."""
    vocabulary = [
        "".join(random.choice([*"aeioustrnmlk"], random.integers(1, 9))) for _ in range(300)
    ]
    weights = 1 / np.arange(1, 301)
    lengths = 1 + random.lognormal(2, 0.7, size).astype(int)
    texts = [list(random.choice(vocabulary, n, p=weights / weights.sum())) for n in lengths]
    hardness = random.beta(1, 2, size)
    nats = random.gamma(2.0, 1.5, size)

    def answers(skill: float) -> list[Any]:
        found = []
        for words, hard, cost in zip(texts, hardness, nats, strict=True):
            right = random.random(len(words)) > hard / skill
            replaced = random.choice(vocabulary, len(words))
            given = [w if r else o for w, r, o in zip(words, right, replaced, strict=True)]
            given = given[: max(1, round(len(given) * random.uniform(0.7, 1)))]
            length = len(words) + 1
            own = cost * random.gamma(20, 1 / 20) / skill**0.5
            found.append({"response": " ".join(given), "nats": own * length, "tokens": length})
        return found

    true = [{"response": " ".join(words), "nats": None, "tokens": None} for words in texts]
    return Population(generation, ["response"], true, _models(answers, 1.0, 1.6, 0.6))


POPULATIONS: dict[str, Callable[[Random, int], Population]] = {
    "pair": _of_pairs,
    "multilabel": _of_labels,
    "regression": _of_values,
    "tagging": _of_tags,
    "generation": _of_responses,
}
NOT_COMPARED = {("pair", "ece")}
"""No test compares it, and no share of poor answers makes two models equal in it."""


if __name__ == "__main__":
    main()
