"""Nested results become flat ones."""

from tasks.tracking.runs.flat import metrics_of, texts_of


def test_numbers_are_found_at_any_depth() -> None:
    found = metrics_of({"accuracy": 0.5, "n_test": 3, "baselines": {"linear": {"accuracy": 1}}})
    assert found == [
        ("accuracy", 0.5, 0),
        ("n_test", 3.0, 0),
        ("baselines.linear.accuracy", 1.0, 0),
    ]


def test_an_interval_has_two_ends_and_any_other_list_is_a_curve() -> None:
    assert metrics_of({"intervals": {"ece": [0.1, 0.2]}, "loss": [3.0, 2.0]}) == [
        ("intervals.ece.low", 0.1, 0),
        ("intervals.ece.high", 0.2, 0),
        ("loss", 3.0, 0),
        ("loss", 2.0, 1),
    ]


def test_what_is_no_finite_number_is_left_out() -> None:
    values = {"a": None, "b": "text", "c": True, "d": float("nan"), "e": [1.0, None], "f": []}
    assert metrics_of(values) == [("e", 1.0, 0)]


def test_settings_become_texts() -> None:
    found = texts_of({"rate": 0.1, "model": {"layers": 4}, "names": ["a", "b"], "off": None})
    assert found == {"rate": "0.1", "model.layers": "4", "names": "['a', 'b']", "off": "None"}
