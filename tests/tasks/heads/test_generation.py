"""Generation: packs, the loss on responses alone, decoding, and what is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from tasks.contracts import files, records
from tasks.contracts.paths import TRAINED_ON
from tasks.errors import BadInput
from tasks.finetune import stage as finetune
from tasks.finetune.settings import LoraSettings
from tasks.finetune.settings import Settings as FinetuneSettings
from tasks.heads import _evidence as evidence
from tasks.heads import generation
from tasks.heads._dialogues import Dialogues, Template, Writer, pack
from tasks.heads._generator import Decoding, Generator, choose
from tasks.heads._model import load_predictor
from tasks.metrics.intervals import wilson
from tasks.models.text import TextBackbone
from tasks.promotion.comparison.headed import _repeated
from tests.tasks.heads.conftest import Finetuned, Splits, run_head

PROMPTS = ["Are you sentient?", "Hi", "What language are you written in, and by whom?"]
RESPONSES = ["Sort of.", "Hello there, how are you doing?", "Python."]


@pytest.fixture
def generator(finetuned: Callable[[str], Finetuned]) -> Generator:
    found = load_predictor(finetuned("generation").model)
    assert isinstance(found, Generator)
    return found


@pytest.fixture
def dialogues(generator: Generator) -> Dialogues:
    return generator.model.writer.dialogues(PROMPTS, RESPONSES)


def unpacked(dialogues: Dialogues) -> Dialogues:
    parts = (dialogues.ids, dialogues.starts, dialogues.begins, dialogues.longest)
    return Dialogues(*parts, packed=False)


def test_a_record_stands_whole_in_the_first_sequence_that_it_fits() -> None:
    row, offset = pack(np.array([3, 8, 5, 2, 5]), 10)
    assert row.tolist() == [2, 0, 1, 0, 1]
    assert offset.tolist() == [0, 0, 0, 8, 5]
    rows = pack(np.arange(1, 40) % 10 + 1, 10)[0]
    filled = np.bincount(rows, np.arange(1, 40) % 10 + 1)
    assert filled.max() <= 10
    assert filled.mean() > 9


def test_in_a_pack_each_text_has_the_loss_and_logits_that_it_has_alone(
    generator: Generator, dialogues: Dialogues
) -> None:
    model, everyone = generator.model, np.arange(3)
    packed = dialogues.batch(everyone)
    assert packed["input_ids"].shape[0] < 3
    apart = unpacked(dialogues).batch(everyone)
    assert apart["input_ids"].shape[0] == 3
    with torch.inference_mode():
        logits = {"packed": model.logits(packed), "apart": model.logits(apart)}
        torch.testing.assert_close(logits["packed"], logits["apart"], rtol=1e-5, atol=1e-5)
        loss = generation.loss(model, logits["packed"], packed)
        each = [generation.loss(model, model.logits(one), one) for one in batches_of(dialogues)]
    assert float(loss) == pytest.approx(float(sum(each)), rel=1e-6)


def batches_of(dialogues: Dialogues) -> list[dict[str, torch.Tensor]]:
    return [dialogues.batch(np.array([number])) for number in range(3)]


def test_a_text_does_not_see_its_neighbours_in_the_pack(
    generator: Generator, dialogues: Dialogues
) -> None:
    batch = dialogues.batch(np.arange(3))
    row = batch["record"][0]
    first, second = (int(number) for number in row[row >= 0].unique()[:2])
    changed = {name: value.clone() for name, value in batch.items()}
    changed["input_ids"][batch["record"] == first] += 1
    with torch.inference_mode():
        before, after = generator.model.logits(batch), generator.model.logits(changed)
    alike = {
        number: bool((before == after)[batch["of_record"] == number].all())
        for number in (first, second)
    }
    assert alike == {first: False, second: True}


def test_the_attention_of_a_gpu_sees_the_same(generator: Generator, dialogues: Dialogues) -> None:
    encoder, batch = generator.model.encoder, dialogues.batch(np.arange(3))
    written = generator.generate(PROMPTS, Decoding(12))
    with torch.inference_mode():
        logits = generator.model.logits(batch)
        encoder.set_attn_implementation("sdpa")  # type: ignore[operator]
        assert generator.model.mask(torch.ones(1, 2, 2, dtype=torch.bool)).dtype == torch.bool
        torch.testing.assert_close(generator.model.logits(batch), logits, rtol=1e-4, atol=1e-5)
    assert generator.generate(PROMPTS, Decoding(12)) == written


def test_the_loss_is_of_the_response_and_its_end_alone(
    generator: Generator, dialogues: Dialogues
) -> None:
    writer, batch = generator.model.writer, dialogues.batch(np.array([0]))
    targets = batch["targets"].tolist()
    assert targets[-1] == writer.end
    assert writer.text_of(targets[:-1]) == RESPONSES[0]
    assert generation.num_terms(batch) == len(targets) == dialogues.response_lengths[0]


def test_what_does_not_fit_is_cut_and_a_response_that_is_cut_has_no_end(
    generator: Generator,
) -> None:
    writer = generator.model.writer
    found = writer.dialogues(["word " * 100 + "last", "short"], ["Yes.", "very " * 100])
    assert found.lengths.tolist() == [writer.longest] * 2
    long_prompt, long_response = np.split(found.ids, [writer.longest])
    assert writer.text_of(long_prompt[1 : found.begins[0] - 1].tolist()).endswith("word last")
    assert long_prompt[-1] == writer.end
    assert long_response[-1] != writer.end
    assert found.begins[1] < 10


def test_a_special_token_in_a_prompt_is_plain_text(generator: Generator) -> None:
    writer = generator.model.writer
    (ids,) = writer.prompts(["a[SEP]b[CLS]"], 8)
    assert writer.text_of(ids[1:-1]) == "a[SEP]b[CLS]"
    assert writer.end not in ids[1:-1]


def test_responses_are_the_same_with_and_without_a_cache_and_whatever_else_is_in_the_batch(
    generator: Generator,
) -> None:
    for decoding in ({}, {"temperature": 1.0, "top_p": 0.9, "seed": 5}):
        cached = generator.generate(PROMPTS, Decoding(12, **decoding))
        assert any(cached)
        assert generator.generate(PROMPTS, Decoding(12, **decoding, cached=False)) == cached
        assert generator.generate(PROMPTS[:1], Decoding(12, **decoding)) == cached[:1]


def test_a_recorded_response_may_part_from_todays_where_two_tokens_are_as_likely(
    generator: Generator, corpora: dict[str, Splits]
) -> None:
    writer = generator.model.writer
    first, second = (int(writer.dialogues(["Hi"], [text]).ids[-2]) for text in "ab")
    test = evidence.read_test(corpora["chatterbot"]["test"], "generation")

    def is_repeated(now: str, before: str, nats: float = 2.0) -> bool:
        answers = [{"response": text, "nats": nats, "tokens": 3} for text in (now, before)]
        answers[0]["nats"] = 2.0
        return _repeated(test, generator, {"text": "Hi"}, *answers)

    assert is_repeated("a", "a")
    assert not is_repeated("a", "b")
    embeddings: Any = generator.model.encoder
    with torch.no_grad():
        weights = embeddings.get_input_embeddings().weight
        weights[second] = weights[first]
    assert is_repeated("a", "b")
    assert is_repeated("b", "a")
    assert not is_repeated("a", "b", nats=2.1)
    assert not is_repeated("a", "")
    assert not is_repeated("a", "no")


def test_a_short_prompt_is_answered_on_where_a_long_one_has_no_place_left(
    generator: Generator,
) -> None:
    prompts = ["Hi", "word " * 100]
    decoding = Decoding(generator.model.writer.longest - 1, temperature=100.0)
    assert generator.generate(prompts[:1], decoding)[0]
    written = generator.generate(prompts, decoding)
    assert written[:1] == generator.generate(prompts[:1], decoding)
    assert len(written[0]) > len(written[1])


def test_a_seed_fixes_what_is_drawn_and_another_draws_otherwise(generator: Generator) -> None:
    drawn = [
        generator.generate(PROMPTS, Decoding(20, temperature=1.5, seed=seed)) for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_tokens_are_drawn_by_their_probability_within_the_nucleus() -> None:
    logits = np.log([0.5, 0.3, 0.15, 0.05])
    assert choose(logits, Decoding(), np.random.default_rng(0)) == 0
    random = np.random.default_rng(0)
    for top_p, temperature, expected in (
        (1.0, 1.0, [0.5, 0.3, 0.15, 0.05]),
        (0.75, 1.0, [0.625, 0.375, 0, 0]),
        (0.4, 1.0, [1, 0, 0, 0]),
        (1.0, 0.5, np.square([0.5, 0.3, 0.15, 0.05]) / 0.365),
    ):
        decoding = Decoding(temperature=temperature, top_p=top_p)
        drawn = [choose(logits, decoding, random) for _ in range(2000)]
        assert np.bincount(drawn, minlength=4) / 2000 == pytest.approx(np.array(expected), abs=0.04)


def test_transformers_reads_the_model_with_its_template(
    finetuned: Callable[[str], Finetuned], generator: Generator
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = finetuned("generation").model
    tokenizer = AutoTokenizer.from_pretrained(folder)
    turns = [
        {"role": "user", "content": PROMPTS[0]},
        {"role": "assistant", "content": RESPONSES[0]},
    ]
    ids = tokenizer.apply_chat_template(turns, return_dict=False)
    ours = generator.model.writer.dialogues(PROMPTS[:1], RESPONSES[:1])
    assert ids == ours.ids.tolist()
    batch = ours.batch(np.array([0]))
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    with torch.inference_mode():
        logits = theirs(input_ids=batch["input_ids"]).logits[0, batch["places"]]
        torch.testing.assert_close(logits, generator.model.logits(batch), rtol=1e-4, atol=1e-5)


def test_an_interval_of_a_share_is_not_of_length_zero_where_no_record_is_right(
    finetuned: Callable[[str], Finetuned],
) -> None:
    made = finetuned("generation")
    assert made.metrics["exact_match"] == 0
    assert made.metrics["intervals"]["exact_match"] == pytest.approx(
        wilson(0, made.metrics["n_test"]), abs=1e-6
    )
    assert "Wilson's for the exact match" in (made.evidence / "README.md").read_text()


def test_adapters_learn_responses_too_and_are_merged(
    finetuned: Callable[[str], Finetuned], causal_backbone: Path, tmp_path: Path
) -> None:
    splits = finetuned("generation").splits
    settings = FinetuneSettings(
        head="generation",
        mode="lora",
        lora=LoraSettings(rank=2),
        epochs=2,
        learning_rate=0.02,
        twin=False,
    )
    trained: Splits = {part: splits[part] for part in TRAINED_ON}
    arguments = (causal_backbone, trained, tmp_path / "out", settings, 0, tmp_path / "kept")
    history = finetune.run("small", *arguments)
    losses = [epoch["perplexity"] for epoch in history["model"]["epochs"]]
    before = generation.load_predictor(
        TextBackbone(causal_backbone),
        {"facts": load_predictor(tmp_path / "out" / "model").model.facts},
    )
    test = records.read_table(splits["validation"])
    contents = generation.contents_of(test)
    nats = [
        sum(answer["nats"] for answer in one.answers(contents))
        for one in (before, load_predictor(tmp_path / "out" / "model"))
    ]
    assert nats[1] < nats[0]
    tokens = sum(answer["tokens"] for answer in before.answers(contents))
    assert np.exp(nats[1] / tokens) == pytest.approx(min(losses), rel=1e-3)
    names = {
        name
        for name, _ in load_predictor(tmp_path / "out" / "model").model.module.named_parameters()
    }
    assert not any("lora" in name for name in names)


def test_an_empty_response_a_missing_one_and_a_backbone_that_cannot_write_are_refused(
    corpora: dict[str, Splits], backbone: Path, causal_backbone: Path, tmp_path: Path
) -> None:
    splits = {part: corpora["chatterbot"][part] for part in TRAINED_ON}
    with pytest.raises(BadInput, match=r"needs a causal transformer .* \(bert\) is not"):
        generation.read_corpus(TextBackbone(backbone), splits)
    table = records.read_table(splits["train"])
    place = table.column_names.index("response")
    for name, value in (("empty", " \n"), ("lacking", None)):
        values = [value, *table["response"].to_pylist()[1:]]
        changed = table.set_column(place, table.field("response"), [values])
        records.write_records(tmp_path / name, changed.schema, changed.to_batches())
    loaded = TextBackbone(causal_backbone)
    loaded.cut_to(64)
    with pytest.raises(BadInput, match="empty: 1 responses are empty: drop these records"):
        generation.read_corpus(loaded, {**splits, "train": tmp_path / "empty"})
    with pytest.raises(BadInput, match=r"1 of \d+ records have no response: drop them"):
        generation.read_corpus(loaded, {**splits, "train": tmp_path / "lacking"})
    with pytest.raises(BadInput, match="has no target 'response'; "):
        generation.read_corpus(loaded, {**splits, "train": corpora["reviews"]["train"]})


def test_more_tokens_than_the_model_takes_are_refused(generator: Generator) -> None:
    with pytest.raises(BadInput, match="--max-tokens is 64, but the model was trained on 64"):
        generator.generate(["Hi"], Decoding(64))


def test_a_published_vocabulary_has_a_template_of_texts(causal_backbone: Path) -> None:
    tokenizer = TextBackbone(causal_backbone).tokenizer
    template = Template("[SEP]", "\n\nResponse:", "[SEP]")
    tokenizer.enable_truncation(64)
    writer = Writer(tokenizer, template)
    (ids,) = writer.prompts(["Hi"], 8)
    assert writer.text_of(ids[1:]) == "Hi\n\nResponse:"


def test_several_responses_are_all_trained_on_and_their_prompt_is_tested_once(
    corpora: dict[str, Splits], causal_backbone: Path, tmp_path: Path
) -> None:
    splits: Splits = {}
    for part, path in corpora["chatterbot"].items():
        table = records.read_table(path).slice(0, 24)
        others = [f"{response} Or not." for response in table["response"].to_pylist()]
        ids = [files.sha256_of_text(identity) for identity in table["id"].to_pylist()]
        again = table.set_column(0, table.schema.field("id"), [ids]).set_column(
            table.schema.get_field_index("response"), table.schema.field("response"), [others]
        )
        both = pa.concat_tables([table, again]).sort_by("id")
        splits[part] = tmp_path / f"{part}.parquet"
        records.write_records(splits[part], both.schema, both.to_batches())
    result = run_head("generation", splits, causal_backbone, tmp_path, epochs=1)
    assert records.read_table(result.model.with_name("labels.parquet")).num_rows == 48
    predictions = records.read_table(result.evidence / "predictions.parquet")
    assert predictions.num_rows == result.metrics["n_test"] == 24
    assert all(len(known) == 2 for known in predictions["references"].to_pylist())
    card = (result.evidence / "README.md").read_text()
    assert "** on 24 test records of the corpus" in card
    assert (
        "of equal texts one is answered, and measured by all that is true of it: 24 in all" in card
    )


def test_the_nearest_training_text_answers_and_the_most_frequent_response() -> None:
    import pyarrow as pa

    train = pa.table(
        {
            "text": ["how are you", "what is your name", "tell a joke", "a number"],
            "response": ["fine", "Hal", "no", "no"],
        }
    )
    test = pa.table({"text": ["what's your name?", "how are you today", ""]})
    found = generation.baselines(train, test)
    assert [one["response"] for one in found["linear"]] == ["Hal", "fine", "fine"]
    assert [one["response"] for one in found["simple"]] == ["no"] * 3
