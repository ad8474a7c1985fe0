"""The paired approximate randomisation test: against another implementation, and by simulation."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import permutation_test

from benchmarks.head_statistics import POPULATIONS
from tasks.metrics.randomisation import paired_randomisation
from tasks.metrics.scores import Floats


def mean_of(values: Floats) -> Callable[[Floats], Floats]:
    return lambda counts: counts @ values / counts.sum(axis=1)


def test_it_agrees_with_scipy_on_means() -> None:
    random = np.random.default_rng(5)
    ours, theirs = random.normal(0.6, 1, 11), random.normal(0, 1, 11)
    exact = permutation_test(
        (ours, theirs),
        lambda one, other: one.mean() - other.mean(),
        permutation_type="samples",
        n_resamples=np.inf,
    )
    difference, p_value = paired_randomisation(mean_of(np.concatenate([ours, theirs])), 11)
    assert difference == pytest.approx(exact.statistic)
    assert 0.01 < exact.pvalue < 0.5
    deviation = np.sqrt(exact.pvalue * (1 - exact.pvalue) / 10_000)
    assert abs(p_value - exact.pvalue) < 4 * deviation


def test_it_agrees_with_scipy_on_the_metrics_of_every_head() -> None:
    """All exchanges of ten records by scipy, beside 4,000 drawn ones, for what no mean is."""
    random = np.random.default_rng(8)
    for kind in ("pair", "multilabel", "regression", "tagging"):
        population = POPULATIONS[kind](random, 40)
        head, places = population.head, random.integers(len(population.true), size=10)
        true = [population.true[place] for place in places]
        both = [
            population.drawn(random, places, None),
            [population.answers["poor"][0][place] for place in places],
        ]
        prepared = head.prepare(true * 2, both[0] + both[1], population.outputs)
        for name, function in head.measures(population.outputs).items():
            exact = permutation_test(
                (np.arange(10), np.arange(10, 20)),
                lambda one, other, axis, f=function, p=prepared: (  # noqa: ARG005
                    f(rows(one), p) - f(rows(other), p)
                ).reshape(np.asarray(one).shape[:-1]),
                permutation_type="samples", n_resamples=np.inf, vectorized=True,
            )  # fmt: skip
            difference, p_value = paired_randomisation(
                lambda c, f=function, p=prepared: f(c, p), 10, 4000
            )
            assert difference == pytest.approx(exact.statistic), name
            assert abs(p_value - exact.pvalue) < 0.035, (kind, name)


def rows(places: np.ndarray) -> Floats:
    """Return how often each of 20 answers counts, a row for each row of places."""
    counts = np.zeros((int(np.prod(places.shape[:-1])), 20))
    np.put_along_axis(counts, places.reshape(len(counts), -1).astype(int), 1.0, axis=1)
    return counts


def test_it_agrees_with_sacrebleu_on_texts() -> None:
    """``sacrebleu --paired-ar``: 4,000 draws each, of the same metrics of two systems."""
    from sacrebleu.metrics import BLEU, CHRF
    from sacrebleu.significance import PairedTest

    random = np.random.default_rng(4)
    population = POPULATIONS["generation"](random, 60)
    places = random.integers(len(population.true), size=30)
    wanted = [population.true[place] for place in places]
    ours = population.drawn(random, places, None)
    theirs = population.drawn(random, places, 0.3)
    texts = [[one["response"] for one in some] for some in (theirs, ours, wanted)]
    _, found = PairedTest(
        [("theirs", texts[0]), ("ours", texts[1])],
        {"bleu": BLEU(force=True), "chrf": CHRF()},
        [texts[2]], n_samples=4000,
    )()  # fmt: skip
    prepared = population.head.prepare(wanted * 2, ours + theirs, ["response"])
    for name, (of_theirs, of_ours) in (("chrf", found["chrF2"]), ("bleu", found["BLEU"])):
        function = population.head.measures(["response"])[name]
        difference, p_value = paired_randomisation(lambda c, f=function: f(c, prepared), 30, 4000)
        assert 100 * difference == pytest.approx(of_ours.score - of_theirs.score, abs=1e-6)
        assert 0.001 < of_ours.p_value < 0.9, "neither certain: the seed has to be another"
        assert abs(p_value - of_ours.p_value) < 0.04, name


def test_equal_answers_give_no_evidence_and_a_clear_difference_does() -> None:
    values = np.arange(30.0)
    assert paired_randomisation(mean_of(np.tile(values, 2)), 30, 200) == (0.0, 1.0)
    better = np.concatenate([np.ones(30), np.zeros(30)])
    assert paired_randomisation(mean_of(better), 30, 500) == (1.0, 1 / 501)


def test_of_equal_models_at_most_five_per_cent_are_told_apart() -> None:
    """2,000 reviews for a metric of each kind: a mean, a ratio of sums, a root."""

    def of_ratios(pairs: Floats) -> Callable[[Floats], Floats]:
        def measure(counts: Floats) -> Floats:
            hits, wanted = (counts @ pairs).T
            ratio: Floats = 2 * hits / wanted
            return ratio

        return measure

    random = np.random.default_rng(11)
    found = {"mean": 0, "ratio": 0, "root": 0}
    for review in range(2000):
        shared = random.normal(size=40)
        errors = np.abs(np.concatenate([shared + random.normal(size=40) for _ in range(2)]))
        wanted = np.tile(random.integers(1, 5, 40), 2)
        pairs = np.stack([random.binomial(wanted, 0.7), 2 * wanted], axis=1).astype(float)
        measures = {
            "mean": mean_of(errors),
            "ratio": of_ratios(pairs),
            "root": lambda c, e=errors: np.sqrt(c @ e**2 / c.sum(axis=1)),
        }
        for name, measure in measures.items():
            found[name] += paired_randomisation(measure, 40, 199, seed=review)[1] < 0.05
    # Of a rate of 5 %, 2,000 reviews give 129 at most in 99.9 of 100 cases.
    assert all(40 < number <= 129 for number in found.values()), found


def test_a_metric_that_is_no_number_tells_nothing() -> None:
    difference, p_value = paired_randomisation(lambda c: np.full(len(c), np.nan), 10, 100)
    assert np.isnan(difference)
    assert p_value == 1
