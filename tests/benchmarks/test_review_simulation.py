"""The review's error rates, on fewer simulated reviews than the benchmark's."""

from benchmarks.review_simulation import macro_f1_coverage, promotions, wilson_coverage


def test_of_equal_models_hardly_any_is_promoted_as_better() -> None:
    shares = promotions(400, 0.0)
    assert shares["auto_if_better"] <= 0.05
    # The rule that looks at the higher accuracy alone would promote almost every second one.
    assert 0.4 < shares["higher accuracy"] < 0.55


def test_a_candidate_worse_by_the_margin_is_hardly_ever_promoted() -> None:
    shares = promotions(200, -0.03)
    assert shares["auto_if_better"] == 0.0
    assert shares["auto_if_not_worse"] <= 0.05


def test_a_candidate_that_is_much_better_is_promoted() -> None:
    shares = promotions(100, 0.06)
    assert shares["auto_if_better"] > 0.9
    assert shares["auto_if_not_worse"] > 0.95


def test_the_intervals_hold_the_truth_as_often_as_they_claim() -> None:
    assert 0.93 <= wilson_coverage(100, 20_000) <= 0.97
    assert macro_f1_coverage([30] * 8, 100, num_samples=400) >= 0.9
