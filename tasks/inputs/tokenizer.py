"""WordPiece tokenizers, trained on a corpus and saved as transformers expects them.

The normaliser folds width, and case if it is not told to keep it, and sets each CJK character
apart, so that text in scripts without spaces between words is tokenised too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.contracts import files
from tasks.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tokenizers import Tokenizer

PADDING, UNKNOWN, START, SEPARATOR, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
TOKENIZER, TOKENIZER_CONFIG = "tokenizer.json", "tokenizer_config.json"
LONGEST_WORD = 10_000
"""No vocabulary is learnt from longer ones: one takes the square of its characters.

A word of over 100 characters is one unknown token whatever the vocabulary.
"""
# Neither white space, nor what is a word by itself: punctuation, and ideographs.
_WITHIN = r"[^\s!-/:-@\[-`{-~\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]"
_TOO_LONG = re.compile(rf"(?<!{_WITHIN}){_WITHIN}{{{LONGEST_WORD + 1},}}")
# What transformers calls them.
_ROLES = {
    "pad_token": PADDING,
    "unk_token": UNKNOWN,
    "cls_token": START,
    "sep_token": SEPARATOR,
    "mask_token": MASK,
}
SPECIAL_TOKENS = (PADDING, UNKNOWN, START, SEPARATOR, MASK)


def token_id(token: str) -> int:
    """Return the id of a special token in a vocabulary trained here: they come first, in order."""
    return SPECIAL_TOKENS.index(token)


def id_in(tokenizer: Tokenizer, token: str) -> int:
    """Return the id that a special token has in any vocabulary, a published one perhaps.

    Raises:
        BadInput: the vocabulary has no such token.
    """
    known = tokenizer.token_to_id(token)
    if known is None:
        raise BadInput(
            f"the tokenizer has no token {token}: choose another checkpoint, or another objective"
        )
    return known


def ordinary_ids(tokenizer: Tokenizer) -> list[int]:
    """Return the ids of all tokens that stand for text, ascending."""
    added = tokenizer.get_added_tokens_decoder().items()
    special = {index for index, token in added if token.special}
    return [index for index in range(tokenizer.get_vocab_size()) if index not in special]


def train_tokenizer(
    texts: Callable[[], Iterable[str]], vocabulary_size: int, *, cased: bool = False
) -> Tokenizer:
    """Learn a WordPiece vocabulary (Schuster and Nakajima, 2012).

    The library numbers the pieces that continue a word in the order of a hash table, which differs
    from run to run, and breaks ties between pairs by these numbers. They are therefore learnt in a
    first pass, and given to the second one in sorted order.

    Args:
        texts: gives the training texts, as often as it is called.
        vocabulary_size: the most tokens the vocabulary may have; a small corpus yields fewer.
        cased: keep case and accents, as names and parts of speech are told by.
    """
    from tokenizers import processors

    alphabet = _learn(texts(), 1, SPECIAL_TOKENS, cased=cased).get_vocab()
    continuing = sorted(token for token in alphabet if token.startswith("##"))
    first = (*SPECIAL_TOKENS, *continuing)
    learnt = _learn(texts(), vocabulary_size, first, cased=cased).get_vocab()
    tokens = sorted(learnt, key=lambda token: learnt[token])
    tokenizer = _untrained({token: index for index, token in enumerate(tokens)}, cased=cased)
    tokenizer.add_special_tokens(list(SPECIAL_TOKENS))
    tokenizer.post_processor = processors.BertProcessing(
        (SEPARATOR, token_id(SEPARATOR)), (START, token_id(START))
    )
    return tokenizer


def _learn(
    texts: Iterable[str], vocabulary_size: int, first: tuple[str, ...], *, cased: bool
) -> Tokenizer:
    from tokenizers import trainers

    tokenizer = _untrained({}, cased=cased)
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary_size,
        min_frequency=2,
        special_tokens=list(first),
        show_progress=False,
    )
    tokenizer.train_from_iterator(map(_without_giants, texts), trainer)
    return tokenizer


def _without_giants(text: str) -> str:
    return _TOO_LONG.sub(" ", text) if len(text) > LONGEST_WORD else text


def _untrained(vocabulary: dict[str, int], *, cased: bool) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, normalizers, pre_tokenizers
    from tokenizers.models import WordPiece

    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.BertNormalizer(lowercase=not cased)]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def add_no_special_tokens(tokenizer: Tokenizer) -> None:
    """Let a text be its own tokens alone, as a model reads it that no special token is for."""
    from tokenizers import processors

    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A", pair="$A $B", special_tokens=[]
    )


def save_tokenizer(tokenizer: Tokenizer, folder: Path, longest: int) -> None:
    """Write ``tokenizer.json`` and what ``AutoTokenizer`` needs beside it.

    Args:
        tokenizer: what is written.
        folder: of the model.
        longest: the longest sequence that the model was trained on, in tokens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = tokenizer.get_vocab()
    files.write_text(folder / TOKENIZER, tokenizer.to_str(pretty=True))
    files.write_json(
        folder / TOKENIZER_CONFIG,
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": longest,
            **{role: token for role, token in _ROLES.items() if token in known},
        },
    )


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read ``tokenizer.json``."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / TOKENIZER))
