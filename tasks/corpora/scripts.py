"""Are words told apart by spaces, in the script of some texts?"""

import re
from collections.abc import Sequence

# Scripts that are written without spaces between words: Thai, Lao, Myanmar, Khmer, kana, and Han
# with its extensions. Korean is spaced.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\uff66-\uff9f\U00020000-\U0003ffff]"
)
UNSPACED_SHARE = 0.3


def words_are_spaced(texts: Sequence[str]) -> bool:
    """Tell whether word n-grams suit these texts, or whether characters are needed."""
    num_letters = sum(map(str.isalpha, (letter for text in texts for letter in text)))
    num_unspaced = sum(len(UNSPACED.findall(text)) for text in texts)
    has_a_word = any(re.search(r"\w\w", text) for text in texts)
    return has_a_word and num_unspaced <= UNSPACED_SHARE * num_letters
