"""chrF, BLEU and exact match against sacrebleu, on every resample."""

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from tasks.metrics.generated import bleu, chrf, counted, exact_match

REFERENCES = [
    "The jury said on Friday that the election was fair.",
    "Yes.",
    "好的我知道了。",
    "It depends on the exchange rates, and on who asks.",
    "no",
    " It depends ",
]
TEXTS = [
    "The jury said on Friday, the election was very fair.",
    "",
    "我知道。",
    "It depends on the exchange rates, and on who asks.",
    "nothing that is like it at all",
    "It depends",
]


def test_figures_are_those_of_sacrebleu_on_every_resample() -> None:
    random = np.random.default_rng(3)
    counts = np.concatenate(
        [np.ones((1, 6)), np.eye(6), random.multinomial(6, np.ones(6) / 6, size=30)]
    )
    of_records = counted(TEXTS, [[one] for one in REFERENCES])
    found = {"chrf": chrf(counts, of_records), "bleu": bleu(counts, of_records)}
    for row, times in enumerate(counts.astype(int)):
        texts, references = (np.repeat(some, times).tolist() for some in (TEXTS, REFERENCES))
        whole = CHRF().corpus_score(texts, [references]).score
        assert 100 * found["chrf"][row] == pytest.approx(whole, abs=1e-9)
        whole = BLEU(force=True).corpus_score(texts, [references]).score
        assert 100 * found["bleu"][row] == pytest.approx(whole, abs=1e-9)


def test_exact_match_passes_over_blanks_around_a_text_alone() -> None:
    of_records = counted(TEXTS, [[one] for one in REFERENCES])
    assert exact_match(np.ones((1, 6)), of_records)[0] == pytest.approx(2 / 6)
    assert exact_match(np.array([[0, 0, 0, 1.0, 0, 0]]), of_records)[0] == 1


def test_figures_of_several_references_are_those_of_sacrebleu() -> None:
    others = [
        "The election was fair.",
        "",
        "知道了。",
        "no",
        "nothing like it at all",
        "It depends",
    ]
    several = [[one, other] for one, other in zip(REFERENCES, others, strict=True)]
    of_records = counted(TEXTS, several)
    once, streams = np.ones((1, 6)), [list(one) for one in zip(*several, strict=True)]
    assert 100 * chrf(once, of_records)[0] == pytest.approx(
        CHRF().corpus_score(TEXTS, streams).score, abs=1e-9
    )
    assert 100 * bleu(once, of_records)[0] == pytest.approx(
        BLEU(force=True).corpus_score(TEXTS, streams).score, abs=1e-9
    )
    assert exact_match(once, of_records)[0] == pytest.approx(3 / 6)
