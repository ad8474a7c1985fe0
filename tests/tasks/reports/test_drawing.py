"""Names are drawn as far as the font goes."""

from tasks.reports.drawing import plain_names


def test_names_are_shortened_and_undrawable_ones_numbered() -> None:
    names = plain_names(["earn", "体育", "a very long name of a class", " "])
    assert names == ["earn", "class 2", "a very long name of…", "class 4"]
