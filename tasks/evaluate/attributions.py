"""Some records that the model gets wrong, and some it gets right, with what it looked at.

Texts are shown with their words coloured (in bold in Markdown), images beside an overlay of the
pixels that matter.
"""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files
from tasks.evaluate.evaluation import Evaluation
from tasks.metrics.predictions import Labelled
from tasks.metrics.scores import Scored
from tasks.reports.drawing import data_uri, fitted, png
from tasks.reports.page import escape_markdown

if TYPE_CHECKING:
    from markupsafe import Markup

    from tasks.models.attribution import Piece
    from tasks.models.classifier import Classifier

# Words of at least this share of the strongest one's weight are marked in Markdown.
MARKED_WEIGHT = 0.4
SHOWN_CHARACTERS = 600
OVERLAY_PIXELS = 128
HEAT = np.array([214, 69, 0])
COLOUR_FOR, COLOUR_AGAINST = "31, 95, 168", "194, 87, 12"


@dataclass(frozen=True)
class Example:
    """A record that is explained on the model card."""

    predicted: str
    true: str
    confidence: float
    markdown: str
    """What the model looked at, in both forms of the card."""
    html: "Markup"


def explained_examples(
    classifier: "Classifier", test: Labelled, evaluation: Evaluation, plots: Path, num_shown: int
) -> dict[str, list[Example]]:
    """Explain the records in which the model is most confident.

    Args:
        classifier: the model.
        test: the test records.
        evaluation: what the model says about them.
        plots: the folder that overlays go to.
        num_shown: how many ``wrong`` and how many ``right`` ones, at most.

    Returns:
        Both groups, ``wrong`` first; nothing if none are to be shown.
    """
    if num_shown == 0:
        return {}
    groups = {
        "wrong": most_confident_wrong(evaluation.model, num_shown),
        "right": most_confident_right(evaluation.model, num_shown),
    }
    return {
        group: [
            _explain(classifier, test, evaluation, record, plots / f"example-{group}-{n}.png")
            for n, record in enumerate(records, start=1)
        ]
        for group, records in groups.items()
    }


def most_confident_wrong(scored: Scored, num_shown: int) -> list[int]:
    """Return the wrong records in which the model is most confident."""
    wrong = np.flatnonzero(~scored.correct)
    order = np.argsort(-scored.confidence[wrong], kind="stable")
    return [int(record) for record in wrong[order][:num_shown]]


def most_confident_right(scored: Scored, num_shown: int) -> list[int]:
    """Return the right records in which the model is most confident, each of another class."""
    right = np.flatnonzero(scored.correct)
    order = right[np.argsort(-scored.confidence[right], kind="stable")]
    first_of_class: dict[int, int] = {}
    for record in order.tolist():
        first_of_class.setdefault(int(scored.predicted[record]), record)
    return list(first_of_class.values())[:num_shown]


def _explain(
    classifier: "Classifier", test: Labelled, evaluation: Evaluation, record: int, path: Path
) -> Example:
    from markupsafe import Markup

    from tasks.models.attribution import pixel_weights, word_weights

    content, predicted = test.contents[record], int(evaluation.model.predicted[record])
    if test.modality == "text":
        pieces = word_weights(classifier, content, predicted)
        lengths = np.cumsum([len(piece.text) for piece in pieces])
        pieces = pieces[: int((lengths <= SHOWN_CHARACTERS).sum()) or 1]
        rest = " …" if sum(len(piece.text) for piece in pieces) < len(content.rstrip()) else ""
        markdown, html = words_markdown(pieces, rest), words_html(pieces, rest)
    else:
        drawn = overlay(*pixel_weights(classifier, content, predicted))
        files.write_bytes(path, drawn)
        alt = f"record {test.ids[record][:12]}, and the pixels that matter"
        markdown = f"![{alt}](plots/{path.name})"
        image = Markup('<p><img class="thumbnail" alt="{}" src="{}"></p>')
        html = image.format(alt, data_uri(drawn))
    confidence = float(evaluation.model.confidence[record])
    return Example(evaluation.labels[predicted], test.labels[record], confidence, markdown, html)


def words_markdown(pieces: list["Piece"], rest: str = "") -> str:
    """Return the words as one quoted line, those that speak for the class in bold."""
    if not pieces:
        return "No explanation: the model does not look at single tokens."
    words = []
    for piece in pieces:
        word = escape_markdown(piece.text)
        gap = " " if piece.text[-1:].isspace() else ""
        words.append((f"**{word}**" if word and piece.weight >= MARKED_WEIGHT else word) + gap)
    return f"> {''.join(words).strip()}{rest}"


def words_html(pieces: list["Piece"], rest: str = "") -> "Markup":
    """Return the words with a background as strong as their weight."""
    from markupsafe import Markup

    if not pieces:
        return Markup("<p>No explanation: the model does not look at single tokens.</p>")
    words = []
    for piece in pieces:
        word, gap = piece.text.rstrip(), piece.text[len(piece.text.rstrip()) :]
        strength = round(abs(piece.weight), 1)
        if word and strength > 0:
            colour = COLOUR_FOR if piece.weight > 0 else COLOUR_AGAINST
            manner = "for" if piece.weight > 0 else "against"
            words.append(
                f'<mark class="{manner}" style="background: rgba({colour}, {0.6 * strength:.2f})" '
                f'title="{piece.weight:+.2f}">{escape(word)}</mark>{gap}'
            )
        else:
            words.append(escape(piece.text))
    return Markup(f'<p class="words">{"".join(words)}{rest}</p>')  # noqa: S704 - escaped


def overlay(pixels: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> bytes:
    """Return a PNG: the image, and beside it the image paled, with its weights in orange.

    Args:
        pixels: C H W, uint8.
        weights: H W, from 0 to 1.
    """
    from PIL import Image

    colour = np.repeat(pixels, 3, axis=0) if len(pixels) == 1 else pixels[:3]
    plain = colour.transpose(1, 2, 0).astype(np.float64)
    grey = 255 - (255 - plain.mean(axis=2, keepdims=True)) * 0.5
    strength = weights[:, :, None]
    heat = np.round(grey * (1 - strength) + HEAT * strength)
    sides = [
        fitted(Image.fromarray(side.astype(np.uint8)), OVERLAY_PIXELS) for side in (plain, heat)
    ]
    width, height = sides[0].size
    joined = Image.new("RGB", (2 * width + 8, height), "white")
    joined.paste(sides[0], (0, 0))
    joined.paste(sides[1], (width + 8, 0))
    return png(joined)
