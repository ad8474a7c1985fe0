"""Word vectors of co-occurrence."""

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts import files, records
from tasks.errors import BadInput, BadSettings
from tasks.inputs.documents import Documents
from tasks.inputs.tokenizer import token_id
from tasks.models.architectures import lstm, wordvectors
from tasks.models.frequencies import load_shares
from tasks.objectives import cooccurrence
from tasks.pretrain import stage
from tasks.pretrain.settings import Settings as PretrainSettings
from tasks.training.determinism import make_deterministic

ROW = {
    "objective": "cooccurrence",
    "architecture": "wordvectors",
    "cooccurrence": {"vocabulary_size": 500},
    "wordvectors": {"hidden_size": 32},
}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # tokens are cached in the current folder


def prepared(
    texts: tuple[Path, Path], architecture: Any = wordvectors, size: int = 32, **settings: Any
) -> cooccurrence.Cooccurrence:
    make_deterministic(0)
    chosen = cooccurrence.Settings(**{"vocabulary_size": 500, **settings})
    return cooccurrence.prepare(
        architecture, architecture.Settings(hidden_size=size), chosen, *texts
    )


@given(
    texts=st.lists(st.lists(st.integers(0, 4), max_size=9), min_size=1, max_size=5),
    window=st.integers(1, 4),
    piece=st.integers(1, 7),
)
def test_neighbours_in_one_text_count_by_how_near_they_are_in_pieces_of_any_size(
    texts: list[list[int]], window: int, piece: int
) -> None:
    expected = np.zeros((5, 5))
    for text in texts:
        for one in range(len(text)):
            for other in range(len(text)):
                if 0 < abs(one - other) <= window:
                    expected[text[one], text[other]] += 1 / abs(one - other)
    starts = np.cumsum([0, *map(len, texts)])
    documents = Documents(
        np.array(list(chain.from_iterable(texts)), dtype=np.uint16), starts, starts[:-1]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cooccurrence, "TOKENS_PER_PIECE", piece)
        found = cooccurrence.cooccurrences(documents, 5, window).toarray()
    assert found == pytest.approx(expected)


def test_information_is_that_of_the_formula() -> None:
    from scipy.sparse import csr_matrix

    counts = np.array([[4.0, 1, 0], [1, 2, 3], [0, 3, 0]])
    joint, marginal = counts / counts.sum(), counts.sum(axis=1) / counts.sum()
    with np.errstate(divide="ignore"):
        expected = np.maximum(np.log(joint / np.outer(marginal, marginal)), 0)
    found = cooccurrence.positive_mutual_information(csr_matrix(counts), smoothing=1.0)
    assert found.toarray() == pytest.approx(expected)
    smoothed = cooccurrence.positive_mutual_information(csr_matrix(counts), smoothing=0.5)
    rare, frequent = 2, 1
    assert smoothed[1, rare] < found[1, rare]
    assert smoothed[0, frequent] >= found[0, frequent]


def test_with_all_singular_values_the_product_of_both_vectors_is_the_information() -> None:
    from scipy.sparse import csr_matrix

    generator = np.random.default_rng(0)
    # Of rank 3: pairs that stand together, with counts of their own.
    blocks = np.kron(np.diag([1.0, 2.0, 3.0]), np.ones((3, 3)))
    counts = csr_matrix(blocks[np.ix_(order := generator.permutation(9), order)])
    information = cooccurrence.positive_mutual_information(counts, 0.75).toarray()
    for weighting in (0.0, 0.5, 1.0):
        vectors = cooccurrence.factorised(counts, 3, 1, 0.75, weighting)
        assert (vectors.tokens**2).mean(axis=1) == pytest.approx(np.ones(9))
        product = vectors.tokens @ vectors.contexts.T
        scale = np.linalg.norm(information, axis=1) / np.linalg.norm(product, axis=1)
        assert product * scale[:, None] == pytest.approx(information, abs=1e-6)


def test_a_token_that_stands_beside_none_has_a_vector_of_zeros(texts: tuple[Path, Path]) -> None:
    vectors = prepared(texts).model.encoder.embedding.weight.detach()
    never = [token_id(name) for name in ("[PAD]", "[MASK]", "[CLS]", "[SEP]")]
    assert vectors[never].abs().max() == 0
    assert (vectors.square().mean(dim=1) > 0.99).sum() > 400


def test_held_out_contexts_are_told_from_noise(texts: tuple[Path, Path]) -> None:
    metrics = prepared(texts).validate()
    assert metrics["ranking_accuracy"] > 0.6
    assert metrics["chance_ranking_accuracy"] == 0.5
    assert prepared(texts).validate() == metrics


def test_more_pairs_than_are_looked_at_give_nearly_the_same_figure(
    texts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    task = prepared(texts)
    everything = task.validate()["ranking_accuracy"]
    monkeypatch.setattr(cooccurrence, "MOST_HELD_OUT", 5000)
    assert task.validate()["ranking_accuracy"] == pytest.approx(everything, abs=0.03)


def test_a_row_repeats_to_the_byte_and_another_seed_does_not(texts: tuple[Path, Path]) -> None:
    settings = PretrainSettings.parse(ROW, "pretrain")
    hashes = {}
    for output, seed in (("one", 0), ("again", 0), ("other", 1)):
        stage.run("vectors", *texts, Path(output), settings, seed, Path(f"{output}-checkpoints"))
        hashes[output] = files.sha256_of_folder(Path(output))
    assert hashes["one"] == hashes["again"]
    assert hashes["one"] != hashes["other"]
    assert (Path("one") / "model" / "pretrained_on.npy").exists()


def test_what_is_saved_are_vectors_frequencies_and_a_tokenizer_without_special_tokens(
    texts: tuple[Path, Path], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    task = prepared(texts)
    task.save(tmp_path / "model")
    parts = wordvectors.load_parts(tmp_path / "model", pretrained=True, dropout=0.0)
    assert next(parts.encoder.parameters()).equal(task.model.encoder.embedding.weight)
    shares = load_shares(tmp_path / "model")
    assert shares is not None
    assert shares.sum() == pytest.approx(1)
    loaded = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert loaded.convert_ids_to_tokens(loaded("oil prices")["input_ids"])[0].startswith("o")
    assert shares[loaded.convert_tokens_to_ids("the")] > 0.01


def test_steps_have_nothing_to_say() -> None:
    message = r"pretrain\.training: the objective 'cooccurrence' takes no steps: remove it"
    with pytest.raises(BadSettings, match=message):
        PretrainSettings.parse({**ROW, "training": {"epochs": 3}}, "pretrain")


def test_an_architecture_that_reads_on_is_refused(texts: tuple[Path, Path]) -> None:
    message = r"'cooccurrence' needs a single-token architecture, which 'lstm' is not"
    with pytest.raises(BadSettings, match=message):
        prepared(texts, lstm)


def test_images_are_refused(images: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match="holds images; the objective 'cooccurrence' needs text"):
        prepared(images)


def test_vectors_larger_than_the_vocabulary_are_refused(texts: tuple[Path, Path]) -> None:
    with pytest.raises(BadInput, match=r"hidden_size is 500, but .* vocabulary of 500"):
        prepared(texts, size=500)


def test_texts_of_single_tokens_are_refused(texts: tuple[Path, Path], tmp_path: Path) -> None:
    schema = records.split_schema("text")
    table = records.read_table(texts[1]).slice(0, 2).to_pylist()
    alone = tmp_path / "validation.parquet"
    rows = [{**row, "text": "."} for row in table]
    records.write_records(alone, schema, [pa.RecordBatch.from_pylist(rows, schema=schema)])
    with pytest.raises(BadInput, match=r"validation\.parquet has no text of two tokens"):
        prepared((texts[0], alone))
