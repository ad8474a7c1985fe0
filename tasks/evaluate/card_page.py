"""The model card as one HTML file: the Markdown, rendered, with its plots inside.

The Markdown is rendered without raw HTML in it, so that no text of a corpus becomes markup.
"""

from html import escape as escape_html
from pathlib import Path
from typing import Any

from tasks.evaluate.attributions import Examples
from tasks.evaluate.evaluation import Evaluation
from tasks.evaluate.settings import Settings
from tasks.reports.drawing import data_uri
from tasks.reports.style import CSS

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{title}</title>
<style>{css}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def card_page(evaluation: Evaluation, settings: Settings, examples: Examples, folder: Path) -> str:
    """Return the card as HTML.

    Args:
        evaluation: what is known about the model.
        settings: how it was measured.
        examples: the explained records.
        folder: where ``plots/`` lies.
    """
    from tasks.evaluate.card import after_examples, before_examples

    body = "\n".join(
        [
            _html(before_examples(evaluation, settings), folder),
            examples.html,
            _html(after_examples(evaluation, settings), folder),
        ]
    )
    return PAGE.format(policy=POLICY, title=escape_html(evaluation.name), css=CSS, body=body)


def _html(markdown: str, folder: Path) -> str:
    from markdown_it import MarkdownIt

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(markdown)
    for token in tokens:
        if token.type == "th_open":
            token.attrSet("scope", "col")
        for child in token.children or []:
            _put_inside(child, folder)
    page: str = renderer.renderer.render(tokens, renderer.options, {})
    return page


def _put_inside(token: Any, folder: Path) -> None:
    if token.type == "image":
        token.attrSet("src", data_uri((folder / token.attrs["src"]).read_bytes()))
