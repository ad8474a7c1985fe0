"""Prompts and responses as token ids: a template, and several in a sequence, each by itself.

A record is ``start prompt turn response end``. Those of a batch share sequences, so that little is
padding, and no token sees another record's::

    [ record 0       ][ record 1 ][ padding ]
    [ record 2 ][ record 3           ]

Dimensions: N records, R sequences, T tokens (of the longest), P tokens that are predicted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.inputs.tokenizer import SPECIAL_TOKENS, START, add_no_special_tokens
from tasks.objectives._texts import separator_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Tokenizer
    from torch import Tensor

CHAT_TEMPLATE = "chat_template.jinja"
"""Where transformers looks for a template beside the weights."""
PUBLISHED_TURN = "\n\nResponse:"
"""Of a vocabulary with no token that pretraining has left unused."""
PADDING = -1
"""The number of the record that padding is of."""


@dataclass(frozen=True)
class Template:
    """What stands around prompt and response: each a token of the vocabulary, or a text."""

    start: str
    turn: str
    end: str

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> Template:
        """Return the template of a vocabulary: what pretraining sets between texts, and ``[CLS]``.

        No text is taken for these tokens, so nobody can write them into a prompt. Of a published
        vocabulary the turn is a text, which anybody can.
        """
        separator = separator_of(tokenizer)
        has_own = tokenizer.token_to_id(START) is not None
        return cls(separator, START if has_own else PUBLISHED_TURN, separator)

    def facts(self) -> dict[str, str]:
        """Return it for ``downstream.json``."""
        return asdict(self)

    def jinja(self) -> str:
        """Return it as transformers' ``apply_chat_template`` reads it."""
        prompt = f"{self.start}{{{{ message['content'] }}}}{self.turn}"
        response = f"{{{{ message['content'] }}}}{self.end}"
        return (
            "{% for message in messages %}{% if message['role'] == 'user' %}"
            f"{prompt}{{% else %}}{response}{{% endif %}}{{% endfor %}}"
        )


class Writer:
    """Writes prompts and responses as ids, and reads responses back.

    Attributes:
        longest: most tokens of a record.
        end: what a response ends with.
        never_written: the special tokens that stand in no response.
    """

    def __init__(self, tokenizer: Tokenizer, template: Template) -> None:
        """Take a backbone's tokenizer, with the length that it cuts texts to.

        Args:
            tokenizer: it is left as it is.
            template: what stands around prompt and response.
        """
        truncation: Any = tokenizer.truncation
        self.longest = int(truncation["max_length"])
        self._tokenizer = tokenizer.from_str(tokenizer.to_str())
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True  # such as "[SEP]" in a prompt: plain text
        add_no_special_tokens(self._tokenizer)
        self._start, self._turn, self._end = map(
            self._marker, (template.start, template.turn, template.end)
        )
        self.end = self._end[0]
        added: Any = self._tokenizer.get_added_tokens_decoder().items()
        special = {index for index, token in added if token.special}
        known = map(self._tokenizer.token_to_id, SPECIAL_TOKENS)
        special |= {index for index in known if index is not None}
        self.never_written = np.array(sorted(special - {self.end}), np.int64)

    def _marker(self, text: str) -> list[int]:
        known = self._tokenizer.token_to_id(text)
        return self._tokenizer.encode(text).ids if known is None else [known]

    def prompts(self, texts: Sequence[str], room: int) -> list[list[int]]:
        """Return ``start prompt turn`` of each text, of a long one its end.

        Args:
            texts: the prompts.
            room: how many tokens are left for a response.
        """
        return [
            self._prompt(encoding.ids, room) for encoding in self._tokenizer.encode_batch([*texts])
        ]

    def _prompt(self, ids: list[int], room: int) -> list[int]:
        most = max(0, self.longest - room - len(self._start) - len(self._turn))
        return [*self._start, *ids[max(0, len(ids) - most) :], *self._turn]

    def room_for(self, num_tokens: int) -> int:
        """Return what a prompt leaves for a response: half of all tokens at most."""
        return min(num_tokens, self.longest // 2)

    def dialogues(self, texts: Sequence[str], responses: Sequence[str]) -> Dialogues:
        """Return records with their responses; one that does not fit is cut, and has no end.

        Args:
            texts: the prompts.
            responses: one for each.
        """
        answers = [one.ids for one in self._tokenizer.encode_batch([*responses])]
        records, begins = [], []
        for encoding, answer in zip(self._tokenizer.encode_batch([*texts]), answers, strict=True):
            response = [*answer, *self._end]
            prompt = self._prompt(encoding.ids, self.room_for(len(response)))
            records.append([*prompt, *response][: self.longest])
            begins.append(len(prompt))
        lengths = np.fromiter(map(len, records), np.int64, len(records))
        return Dialogues(
            np.fromiter(chain.from_iterable(records), np.int32, int(lengths.sum())),
            np.concatenate([[0], lengths.cumsum()]),
            np.array(begins, np.int64),
            self.longest,
        )

    def text_of(self, ids: Sequence[int]) -> str:
        """Return the text of a response."""
        text: str = self._tokenizer.decode([*ids], skip_special_tokens=True)
        return text

    def num_lost(self, texts: Sequence[str]) -> int:
        """Return how many texts do not come back whole from their tokens."""
        encodings = self._tokenizer.encode_batch([*texts])
        back = self._tokenizer.decode_batch([one.ids for one in encodings])
        return sum(one.strip() != other.strip() for one, other in zip(texts, back, strict=True))


@dataclass(frozen=True)
class Dialogues:
    """Prompts with their responses, as ids."""

    ids: np.ndarray
    """Of all records, one after the other."""
    starts: np.ndarray
    """Where each begins in ``ids``, and the end of the last one."""
    begins: np.ndarray
    """How many of a record's tokens stand before its response."""
    longest: int
    """Most tokens of a sequence."""
    packed: bool = True
    """Whether records share sequences."""

    @property
    def lengths(self) -> np.ndarray:
        """The cost of each."""
        lengths: np.ndarray = np.diff(self.starts)
        return lengths

    @property
    def response_lengths(self) -> np.ndarray:
        """How many tokens each response has, its end among them."""
        lengths: np.ndarray = self.lengths - self.begins
        return lengths

    def batch(self, indices: np.ndarray) -> dict[str, Tensor]:
        """Return some records in as few sequences as they need.

        ``input_ids``, ``record`` (which of ``indices``) and ``position`` (in it) are R T. Of each
        token that is predicted, P: ``places``, where in them it is predicted from, flat;
        ``targets``, and ``of_record``.
        """
        import torch

        indices = np.asarray(indices)
        lengths = self.lengths[indices] - 1  # the last token of a record predicts none
        row, offset = (
            pack(lengths, self.longest)
            if self.packed
            else (np.arange(len(lengths)), np.zeros(len(lengths), np.int64))
        )
        shape = int(row.max()) + 1, int((offset + lengths).max())
        ids, record, position = np.zeros(shape, np.int64), np.full(shape, PADDING), np.zeros(shape)
        places, targets, of_record = [], [], []
        for number, index in enumerate(indices):
            tokens = self.ids[self.starts[index] : self.starts[index + 1]]
            here = np.s_[row[number], offset[number] : offset[number] + lengths[number]]
            ids[here], record[here] = tokens[:-1], number
            position[here] = np.arange(lengths[number])
            predicts = np.arange(self.begins[index] - 1, lengths[number])
            places.append(row[number] * shape[1] + offset[number] + predicts)
            targets.append(tokens[predicts + 1])
            of_record.append(np.full(len(predicts), number))
        arrays = {"input_ids": ids, "record": record, "position": position}
        flat = {"places": places, "targets": targets, "of_record": of_record}
        arrays |= {name: np.concatenate(parts) for name, parts in flat.items()}
        return {name: torch.from_numpy(v.astype(np.int64)) for name, v in arrays.items()}


def pack(lengths: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Return in which sequence each record stands, and where: the longest first, the first fitting.

    Args:
        lengths: of the records, none over ``longest``.
        longest: most tokens of a sequence.
    """
    row, offset = np.zeros(len(lengths), np.int64), np.zeros(len(lengths), np.int64)
    filled: list[int] = []
    for place in np.argsort(-lengths, kind="stable"):
        length = int(lengths[place])
        fits = (number for number, used in enumerate(filled) if used + length <= longest)
        number = next(fits, len(filled))
        if number == len(filled):
            filled.append(0)
        row[place], offset[place] = number, filled[number]
        filled[number] += length
    return row, offset
