"""The one renderer of what people read: HTML pages, and Markdown for cards, terminals and Prefect.

A template lies beside the module that fills it in and is named like it: ``card.py``,
``card.md.j2`` and ``card.html.j2``. In HTML every text is escaped unless it is marked as markup;
in Markdown a text of unknown origin goes through the filter ``md``. ``page.html.j2`` is the frame
of every HTML page.
"""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.reports.drawing import data_uri

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

SUFFIX = ".j2"
ROOT = Path(__file__).parents[2]
"""Templates are named by their path from here, so that one room's can use another's."""
MARKDOWN_SPECIAL = "\\`*_{}[]<>#|$~&"


def render(template: str, **values: Any) -> str:
    """Fill in a template; equal values give equal text.

    Args:
        template: its path from the root, for example ``tasks/evaluate/card.md.j2``.
        values: what it names; a name that is missing is an error.
    """
    return _environment().get_template(template).render(values)


@lru_cache(maxsize=1)
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

    environment = Environment(
        loader=FileSystemLoader(ROOT),
        autoescape=select_autoescape(enabled_extensions=(f"html{SUFFIX}",), default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        md=escape_markdown,
        html=markdown_to_html,
        thousands="{:,}".format,
        percent=percent,
        points=points,
        p_value=p_value,
        told_p_value=told_p_value,
        megabytes=megabytes,
    )
    return environment


def escape_markdown(text: str) -> str:
    """Return text of unknown origin as Markdown that shows it as it is, in a table too."""
    plain = " ".join(text.split())
    return "".join(f"\\{letter}" if letter in MARKDOWN_SPECIAL else letter for letter in plain)


def markdown_to_html(markdown: str, folder: Path) -> "Markup":
    """Return Markdown as HTML, its images inside; HTML within the Markdown is shown as text.

    Args:
        markdown: CommonMark, with tables.
        folder: where the images lie that it names.
    """
    from markdown_it import MarkdownIt
    from markupsafe import Markup

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = renderer.parse(str(markdown))
    for token in tokens:
        if token.type == "th_open":
            token.attrSet("scope", "col")
        for child in token.children or []:
            if child.type == "image":
                image = folder / str(child.attrs["src"])
                child.attrSet("src", data_uri(image.read_bytes()))
    return Markup(renderer.renderer.render(tokens, renderer.options, {}))  # noqa: S704 - escaped


def percent(share: float) -> str:
    """Return a share as per cent: ``97.3 %``."""
    return f"{100 * share:.1f} %"


def points(difference: float) -> str:
    """Return a difference of shares in points, with its sign: ``+1.2``."""
    text = f"{100 * difference:+.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text.replace("-", "\N{MINUS SIGN}")


def p_value(value: float) -> str:
    """Return a p-value with the digits that a verdict rests on."""
    if value < 0.0001:
        return "< 0.0001"
    return f"{value:.4f}" if value < 0.01 else f"{value:.3f}"


def told_p_value(value: float) -> str:
    """Return a p-value for a sentence: ``p = 0.021``, ``p < 0.0001``."""
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"


def megabytes(size_bytes: int) -> str:
    """Return a size in megabytes of 10^6 bytes, with two digits that say something."""
    return f"{size_bytes / 1e6:.{1 if size_bytes >= 1e6 else 2}f} MB"
