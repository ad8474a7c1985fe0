"""Pages: a text of unknown origin is no markup, in HTML and in Markdown, and numbers are short."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from tasks.reports.page import ROOT, escape_markdown, markdown_to_html, p_value, points, render


def test_markdown_in_a_label_is_shown_as_it_is() -> None:
    assert escape_markdown("a|b *c* <d>\n[e](f)") == "a\\|b \\*c\\* \\<d\\> \\[e\\](f)"


def test_every_escaped_text_comes_out_as_it_was(tmp_path: Path) -> None:
    text = "# *a* _b_ `c` [d](e) ![f](g) <b>h</b> ~~i~~ &amp; $j$ {k} | l \\ m"
    html = str(markdown_to_html(escape_markdown(text), tmp_path))
    shown = "# *a* _b_ `c` [d](e) ![f](g) &lt;b&gt;h&lt;/b&gt; ~~i~~ &amp;amp; $j$ {k} | l \\ m"
    assert html == f"<p>{shown}</p>\n"


def test_html_in_markdown_is_shown_as_text_and_images_are_inside(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"png")
    html = str(markdown_to_html("<b>x</b> ![an image](a.png)\n\n| a |\n| --- |\n| 1 |", tmp_path))
    assert "<p>&lt;b&gt;x&lt;/b&gt; " in html
    assert '<img src="data:image/png;base64,cG5n" alt="an image"' in html
    assert '<th scope="col">a</th>' in html


def test_a_value_that_a_template_misses_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="evaluation"):
        render("tasks/evaluate/card.md.j2")


def test_every_template_lies_beside_the_module_that_is_named_like_it() -> None:
    found = [path for room in ("tasks", "flows") for path in (ROOT / room).rglob("*.j2")]
    assert len(found) >= 5
    for path in found:
        assert path.with_name(f"{path.name.partition('.')[0]}.py").is_file(), path


def test_numbers_are_written_for_readers() -> None:
    assert [points(value) for value in (0.0123, -0.0123, 0.0, -0.0001)] == [
        "+1.2",
        "\N{MINUS SIGN}1.2",
        "0.0",
        "0.0",
    ]
    assert [p_value(value) for value in (0.0, 0.00123, 0.0496)] == ["< 0.0001", "0.0012", "0.050"]
