"""Labels cannot break the Markdown."""

from tasks.reports.markdown import escape, table


def test_a_table_has_a_header_and_one_line_a_row() -> None:
    assert table(["a", "b"], [["1", "2"], ["3", "4"]]) == (
        "| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |"
    )


def test_markdown_in_a_label_is_shown_as_it_is() -> None:
    assert escape("a|b *c* <d>\n[e](f)") == "a\\|b \\*c\\* \\<d\\> \\[e\\](f)"
