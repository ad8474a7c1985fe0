"""The tests and intervals agree with published worked examples and with theory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm

from tasks.metrics.significance import holm, mcnemar_exact, tango, tango_statistic

PAIRS = st.tuples(st.integers(0, 40), st.integers(0, 40), st.integers(1, 200)).filter(
    lambda pair: pair[0] + pair[1] <= pair[2]
)


@pytest.mark.parametrize(
    ("num_won", "num_lost", "p_value"),
    [
        # Fagerland, Lydersen and Laake 2013, "The McNemar test for binary matched-pairs data",
        # BMC Medical Research Methodology 13:91, the exact conditional test: airway
        # hyper-responsiveness (Bentur et al. 2009), complete response (Cavo et al. 2012).
        (1, 7, 0.070),
        (6, 16, 0.052),
    ],
)
def test_mcnemar_agrees_with_published_examples(
    num_won: int, num_lost: int, p_value: float
) -> None:
    assert round(float(mcnemar_exact(num_won, num_lost)), 3) == p_value


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_binomial_test_of_the_disagreements(won: int, lost: int) -> None:
    expected = binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar_exact(won, lost) == pytest.approx(expected, rel=1e-9)
    assert mcnemar_exact([won, lost], [lost, won]).tolist() == [float(mcnemar_exact(won, lost))] * 2


def test_holm_rejects_three_of_the_fifteen_hypotheses_of_the_published_example() -> None:
    # Benjamini and Hochberg 1995, section 4.1 (Neuhaus et al. 1992): fifteen endpoints, of which
    # the procedures that control the chance of any false rejection find three.
    p_values = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
        *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0),
    ]
    adjusted = holm(p_values)
    assert (adjusted < 0.05).tolist() == [True] * 3 + [False] * 12
    assert adjusted[:4] == pytest.approx([0.0015, 0.0056, 0.0247, 0.114])


def test_holm_keeps_the_order_of_its_input() -> None:
    # The example of Wikipedia's "Holm-Bonferroni method".
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_the_p_value_and_bonferroni(p_values: list[float]) -> None:
    adjusted, raw = holm(p_values), np.array(p_values)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(raw * len(raw), 1.0) + 1e-12).all()


@pytest.mark.parametrize(
    ("num_won", "num_lost", "num_records", "low", "high"),
    [
        # Chapter 8 of "Statistical Analysis of Contingency Tables" by Fagerland, Lydersen and
        # Laake, 2017, as their R package contingencytables prints it: Cavo et al. 2012.
        (6, 16, 161, -0.1240, -0.0054),
        # The same chapter, Bentur et al. 2009.
        (1, 7, 21, -0.5173, -0.0260),
    ],
)
def test_tango_agrees_with_published_examples(
    num_won: int, num_lost: int, num_records: int, low: float, high: float
) -> None:
    assert tango(num_won, num_lost, num_records, 0.95) == pytest.approx((low, high), abs=1e-4)


def test_tango_at_another_level_agrees_with_another_implementation() -> None:
    # scoreci.mp(25, 28, 618) of the R package PropCIs, at its level of 0.90.
    assert tango(28, 25, 618, 0.90) == pytest.approx((-0.0148, 0.0247), abs=1e-4)


def test_the_test_of_non_inferiority_agrees_with_tangos_own_example() -> None:
    # Tango 1998: disinfection of soft contact lenses, 44 pairs, one of which only the standard
    # treatment passed, with a margin of 0.1: Z = 1.709, p = 0.044.
    statistic = tango_statistic(0, 1, 44, -0.1)
    assert statistic == pytest.approx(1.709, abs=5e-4)
    assert norm.sf(statistic) == pytest.approx(0.044, abs=5e-4)
    assert tango(0, 1, 44, 0.90)[0] > -0.1


@given(PAIRS)
def test_tango_holds_the_difference_and_turns_around_with_it(pair: tuple[int, int, int]) -> None:
    won, lost, num_records = pair
    low, high = tango(won, lost, num_records, 0.95)
    assert -1 <= low <= (won - lost) / num_records <= high <= 1
    assert tango(lost, won, num_records, 0.95) == pytest.approx((-high, -low), abs=1e-6)
    wider = tango(won, lost, num_records, 0.99)
    assert wider[0] <= low + 1e-9
    assert wider[1] >= high - 1e-9


def test_models_that_never_disagree_have_an_interval_around_0() -> None:
    low, high = tango(0, 0, 100, 0.95)
    z = norm.ppf(0.975)
    # With no disagreement the limit is that of Wilson's interval at 0 of 100.
    assert high == pytest.approx(z**2 / (100 + z**2))
    assert low == pytest.approx(-high)
