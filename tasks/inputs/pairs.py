"""Pairs of segments for next-sentence prediction (Devlin et al., 2019, section 3.1).

Half of the pairs are two neighbouring segments of a text, half have a stranger's segment in place
of the second one. Nothing but what they say shall tell the two kinds apart. A stranger's segment is
exactly as long as the one that it stands for; it begins where a sentence does if that one did, ends
its text if that one did, and never begins a text, since a second segment never does.
"""

from __future__ import annotations

from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tasks.inputs.documents import Documents

MOST_STRANGERS = 1 << 18
"""Of larger corpora so many texts, evenly spread, are strangers: what is held here is bounded."""


class SegmentPairs:
    """The pairs of some texts.

    Attributes:
        documents: the texts.
    """

    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    @cached_property
    def _strangers(self) -> _Strangers:
        """What takes the second segments' places; not made where nobody asks for it."""
        return _Strangers(self.documents)

    def pair(
        self, index: int, room: int, generator: np.random.Generator, *, strangers: bool
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Return two segments, and whether the second is a stranger's.

        Args:
            index: the text of the first one.
            room: the most tokens of both together.
            generator: draws window, cut and stranger.
            strangers: whether there shall be any.

        Returns:
            Views of the documents' ``tokens``, and 1 for a stranger's, 0 for the text's own.
        """
        documents = self.documents
        start, end = map(int, documents.text_starts[index : index + 2])
        if end - start > room:
            start += int(generator.integers(end - start - room + 1))
            end = start + room
        low, high = np.searchsorted(documents.sentence_starts, (start + 1, end))
        at_sentence = bool(high > low)
        if at_sentence:
            cut = int(documents.sentence_starts[int(generator.integers(low, high))])
        else:
            cut = int(generator.integers(start + 1, end)) if end - start > 1 else end
        first, second = documents.tokens[start:cut], documents.tokens[cut:end]
        if not strangers:
            return first, second, 0
        # No text may be as long as this one: what no stranger could have is cut off, always.
        end = min(end, cut + self._strangers.longest_but(index))
        second = documents.tokens[cut:end]
        if not len(second) or generator.random() < 0.5:
            return first, second, 0
        at_end = end == documents.text_starts[index + 1]
        place = self._strangers.place(
            index, end - cut, generator, at_sentence=at_sentence, at_end=at_end
        )
        return first, documents.tokens[place : place + end - cut], 1


class _Strangers:
    """Texts whose segments can stand for those of others, and their sentences, by length."""

    def __init__(self, documents: Documents) -> None:
        self._text_starts = documents.text_starts
        spread = np.linspace(0, len(documents) - 1, min(len(documents), MOST_STRANGERS))
        texts = spread.astype(np.int64)
        starts, ends = documents.text_starts[texts], documents.text_starts[texts + 1]
        by_length = np.argsort(ends - starts, kind="stable")
        self._texts, self._lengths = texts[by_length], (ends - starts)[by_length]
        # The sentences of these texts, but for those that begin a text.
        low, high = np.searchsorted(documents.sentence_starts, (starts + 1, ends))
        counts = high - low
        numbers = np.arange(counts.sum()) + np.repeat(low - (np.cumsum(counts) - counts), counts)
        sentences = documents.sentence_starts[numbers]
        rests = np.repeat(ends, counts) - sentences
        by_rest = np.argsort(rests, kind="stable")
        self._sentences, self._rests = sentences[by_rest], rests[by_rest]
        self._texts_of_sentences = np.repeat(texts, counts)[by_rest]

    def longest_but(self, index: int) -> int:
        """Return how long a segment that does not begin its text is at most, in another text."""
        others = self._lengths[-2:][self._texts[-2:] != index]
        return max(0, int(others[-1]) - 1) if len(others) else 0

    def place(
        self,
        index: int,
        length: int,
        generator: np.random.Generator,
        *,
        at_sentence: bool,
        at_end: bool,
    ) -> int:
        """Return where a segment of another text begins that can stand for one of a text.

        Args:
            index: the text.
            length: of the segment that it stands for, at most ``longest_but(index)``.
            generator: draws it.
            at_sentence: that one begins where a sentence does.
            at_end: that one ends its text.
        """
        if at_sentence:
            low = np.searchsorted(self._rests, length if at_end else length + 1)
            high = np.searchsorted(self._rests, length, "right") if at_end else len(self._rests)
            found = _another(index, self._texts_of_sentences, int(low), int(high), generator)
            if found is not None:
                return int(self._sentences[found])
        low = np.searchsorted(self._lengths, length + 1)
        found = _another(index, self._texts, int(low), len(self._texts), generator)
        if found is None:
            raise AssertionError("a segment is no longer than one of another text")
        start, end = map(int, self._text_starts[self._texts[found] : self._texts[found] + 2])
        if at_end or end - length == start + 1:
            return end - length
        return int(generator.integers(start + 1, end - length))


def _another(
    index: int, texts: np.ndarray, low: int, high: int, generator: np.random.Generator
) -> int | None:
    """Draw a place from ``low`` up to ``high`` whose text is another than ``index``."""
    if low >= high:
        return None
    drawn = int(generator.integers(low, high))
    places = chain(range(drawn, high), range(low, drawn))
    return next((place for place in places if texts[place] != index), None)
