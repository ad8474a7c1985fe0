"""Byte-level BPE: a tokenizer from whose tokens every text comes back whole.

Byte pair encoding (Sennrich et al., 2016) over the bytes of UTF-8 (Radford et al., 2019): case,
accents, blanks, line ends and characters that no training text has are all kept. The special tokens
are entries of the vocabulary that no text is ever taken for, so that one in which ``[SEP]`` stands
comes back with it, too.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.contracts import files
from tasks.errors import BadInput
from tasks.inputs import token_cache as cache
from tasks.inputs import tokenising
from tasks.inputs import tokenizer as tokenizers

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tokenizers import Tokenizer

    from tasks.contracts.settings import Settings

SAMPLE_BYTES = 10_000_000
"""What a tokenizer is trained on at most: of a script without blanks between words, 1.3 GB."""
LONGEST_WORD = 1_000
"""In characters. Learning takes the square of a word's length: longer ones are cut for it."""
_TOO_LONG = re.compile(rf"\S{{{LONGEST_WORD + 1}}}|\s{{{LONGEST_WORD + 1}}}")


def corpus_byte_tokenizer(train: Path, settings: Settings, objective: str) -> Tokenizer:
    """Return the byte-level tokenizer of a training split, trained once a split, size and sample.

    Args:
        train: the training split.
        settings: the objective's, with ``vocabulary_size`` and ``tokenizer_sample``. A size that
            ``params.yaml`` asks for has to come out; of the default's, a small corpus gives what
            it supports.
        objective: the section of ``params.yaml`` that the settings stand in.

    Raises:
        BadInput: the corpus does not support the vocabulary that is asked for.
    """
    import tokenizers as library

    given: Any = settings
    wanted: int = given.vocabulary_size
    most_bytes: int = given.tokenizer_sample or SAMPLE_BYTES

    def train_into(folder: Path) -> None:
        tokenizer = train_byte_tokenizer(sample(train, most_bytes), wanted)
        files.write_text(folder / tokenizers.TOKENIZER, tokenizer.to_str())

    code = [files.sha256(Path(str(module.__file__))) for module in (tokenising, tokenizers)]
    made_by = *code, files.sha256(Path(__file__)), library.__version__
    key = cache.key_of("bytes", cache.known_sha256(train), str(wanted), str(most_bytes), *made_by)
    tokenizer = tokenizers.load_tokenizer(cache.cached(key, train_into))
    supported = tokenizer.get_vocab_size()
    if supported < wanted and "vocabulary_size" in settings.model_fields_set:
        raise BadInput(
            f"{objective}.vocabulary_size is {wanted}, but {train} supports {supported:,} in a "
            f"sample of {most_bytes:,} bytes: lower it"
        )
    return tokenizer


def train_byte_tokenizer(texts: Iterable[str], vocabulary_size: int) -> Tokenizer:
    """Learn the vocabulary: the special tokens, all bytes, and the most frequent pairs.

    Args:
        texts: what is learnt from.
        vocabulary_size: the most tokens the vocabulary may have; a small corpus yields fewer.
    """
    from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
    from tokenizers.models import BPE

    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=list(tokenizers.SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(chain.from_iterable(map(_with_short_words, texts)), trainer)
    return without_added_tokens(tokenizer)


def _with_short_words(text: str) -> list[str]:
    """Return a text as it is, or in pieces where it has a word that is too long."""
    if not _TOO_LONG.search(text):
        return [text]
    return [text[start : start + LONGEST_WORD] for start in range(0, len(text), LONGEST_WORD)]


def without_added_tokens(tokenizer: Tokenizer) -> Tokenizer:
    """Return a tokenizer whose added tokens are looked for in no text, if it is one of bytes.

    They keep their ids, as entries of the vocabulary that no bytes are merged to.
    """
    content = json.loads(tokenizer.to_str())
    before = content["pre_tokenizer"] or {}
    if content["model"]["type"] != "BPE" or before.get("type") != "ByteLevel":
        return tokenizer
    for token in content["added_tokens"]:
        content["model"]["vocab"].setdefault(token["content"], token["id"])
    content["added_tokens"] = []
    return tokenizer.from_str(json.dumps(content))


def sample(train: Path, most_bytes: int) -> Iterator[str]:
    """Yield texts of a split in its order, of so many bytes in all, or the whole split.

    They are those whose hashes are the smallest, so that it is their content that decides, not
    where they stand. The last one that has room is cut.

    Args:
        train: the split; it is read twice, in constant memory but for 16 bytes a text.
        most_bytes: of UTF-8.
    """
    hashes, sizes = array("Q"), array("Q")
    for text in tokenising.read_texts(train):
        content = text.encode()
        digest = hashlib.blake2b(content, digest_size=8).digest()
        hashes.append(int.from_bytes(digest, "big"))
        sizes.append(len(content))
    order = np.argsort(np.asarray(hashes, np.uint64), kind="stable")
    ends = np.asarray(sizes, np.int64)[order].cumsum()
    taken = np.zeros(len(order), np.int64)
    taken[order] = np.diff(np.minimum(ends, most_bytes), prepend=0)
    for text, num_bytes in zip(tokenising.read_texts(train), taken.tolist(), strict=True):
        if num_bytes:
            yield text.encode()[:num_bytes].decode(errors="ignore")
