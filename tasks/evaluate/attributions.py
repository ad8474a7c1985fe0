"""Some records that the model gets wrong, and some it gets right, with what it looked at.

Texts are shown with their words coloured (in bold in Markdown), images beside an overlay of the
pixels that matter.
"""

from dataclasses import dataclass
from html import escape as escape_html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files
from tasks.evaluate.evaluation import Evaluation
from tasks.metrics.predictions import Labelled
from tasks.metrics.scores import Scored
from tasks.reports.drawing import data_uri
from tasks.reports.markdown import escape
from tasks.reports.thumbnails import fitted, png

if TYPE_CHECKING:
    from tasks.models.attribution import Piece
    from tasks.models.classifier import Classifier

# Words of at least this share of the strongest one's weight are marked in Markdown.
MARKED_WEIGHT = 0.4
SHOWN_CHARACTERS = 600
OVERLAY_PIXELS = 128
HEAT = np.array([214, 69, 0])
COLOUR_FOR, COLOUR_AGAINST = "31, 95, 168", "194, 87, 12"
EXPLAINED = {
    "text": "Integrated gradients on the words that the model reads: {marks}. One explanation of "
    "one record each, not a rule that the model follows.",
    "image": "The image as the model sees it, and beside it in orange the pixels whose change "
    "would change the score most (saliency). One explanation of one record each, not a rule that "
    "the model follows.",
}
MARKS = {
    "markdown": "words in bold speak for the predicted class",
    "html": "blue words speak for the predicted class, orange underlined ones against it",
}


@dataclass(frozen=True)
class Examples:
    """The section of the model card that shows them, in both its forms."""

    markdown: str = ""
    html: str = ""


def examples(
    classifier: "Classifier", test: Labelled, evaluation: Evaluation, plots: Path, num_shown: int
) -> Examples:
    """Explain up to ``num_shown`` wrong and as many right records; overlays go to ``plots``."""
    if num_shown == 0:
        return Examples()
    groups = {"wrong": most_confident_wrong(evaluation.model, num_shown)}
    groups["right"] = most_confident_right(evaluation.model, num_shown)
    markdown, html = ["## Examples"], ["<h2>Examples</h2>"]
    explained = EXPLAINED[evaluation.modality]
    markdown.append(explained.format(marks=MARKS["markdown"]))
    html.append(f"<p>{explained.format(marks=MARKS['html'])}</p>")
    for group, records in groups.items():
        shown = [
            _explain(classifier, test, evaluation, record, plots / f"example-{group}-{n}.png")
            for n, record in enumerate(records, start=1)
        ]
        title = f"Most confidently {group}"
        markdown.append(f"### {title}")
        markdown += [one.markdown for one in shown] or ["None."]
        html.append(f"<h3>{title}</h3>")
        html += [one.html for one in shown] or ["<p>None.</p>"]
    return Examples("\n\n".join(markdown), "\n".join(html))


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
) -> Examples:
    from tasks.models.attribution import pixel_weights, word_weights

    content, predicted = test.contents[record], int(evaluation.model.predicted[record])
    markdown, html = _outcome(test, evaluation, record)
    if test.modality == "text":
        pieces = _beginning(word_weights(classifier, content, predicted))
        rest = " …" if sum(len(piece.text) for piece in pieces) < len(content.rstrip()) else ""
        shown = words_markdown(pieces, rest), words_html(pieces, rest)
    else:
        drawn = overlay(*pixel_weights(classifier, content, predicted))
        files.write_bytes(path, drawn)
        told = f"record {test.ids[record][:12]}, and the pixels that matter"
        image = f'<p><img class="thumbnail" alt="{told}" src="{data_uri(drawn)}"></p>'
        shown = f"![{told}](plots/{path.name})", image
    return Examples(f"{markdown}\n\n{shown[0]}", html + shown[1])


def _outcome(test: Labelled, evaluation: Evaluation, record: int) -> tuple[str, str]:
    true = test.labels[record]
    said = evaluation.labels[int(evaluation.model.predicted[record])]
    text = f"predicted {{}} ({100 * evaluation.model.confidence[record]:.1f} %), true {{}}"
    html = text.format(*(f"<strong>{escape_html(name)}</strong>" for name in (said, true)))
    return text.format(f"**{escape(said)}**", f"**{escape(true)}**"), f"<p>{html}</p>"


def _beginning(pieces: list["Piece"]) -> list["Piece"]:
    lengths = np.cumsum([len(piece.text) for piece in pieces])
    return pieces[: int((lengths <= SHOWN_CHARACTERS).sum()) or 1]


def words_markdown(pieces: list["Piece"], rest: str = "") -> str:
    """Return the words as one quoted line, those that speak for the class in bold."""
    if not pieces:
        return "No explanation: the model does not look at single tokens."
    words = []
    for piece in pieces:
        word = escape(piece.text)
        gap = " " if piece.text[-1:].isspace() else ""
        words.append((f"**{word}**" if word and piece.weight >= MARKED_WEIGHT else word) + gap)
    return f"> {''.join(words).strip()}{rest}"


def words_html(pieces: list["Piece"], rest: str = "") -> str:
    """Return the words with a background as strong as their weight."""
    if not pieces:
        return "<p>No explanation: the model does not look at single tokens.</p>"
    words = []
    for piece in pieces:
        word, gap = piece.text.rstrip(), piece.text[len(piece.text.rstrip()) :]
        strength = round(abs(piece.weight), 1)
        if word and strength > 0:
            colour = COLOUR_FOR if piece.weight > 0 else COLOUR_AGAINST
            manner = "for" if piece.weight > 0 else "against"
            words.append(
                f'<mark class="{manner}" style="background: rgba({colour}, {0.6 * strength:.2f})" '
                f'title="{piece.weight:+.2f}">{escape_html(word)}</mark>{gap}'
            )
        else:
            words.append(escape_html(piece.text))
    return f'<p class="words">{"".join(words)}{rest}</p>'


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
