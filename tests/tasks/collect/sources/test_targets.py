"""What a head learns: typed columns from collect to the splits, and what is refused."""

import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.clean import stage as clean
from tasks.clean.settings import Settings as CleanSettings
from tasks.contracts.paths import PARTS
from tasks.corpora.columns import targets_of
from tasks.errors import BadInput, BadSettings
from tasks.heads._evidence import read_test
from tasks.split import stage as split
from tasks.split.settings import Settings as SplitSettings

if TYPE_CHECKING:
    from tests.tasks.collect.conftest import Corpus

TAGGED = {"tokens": "words", "tags": "pos"}
WORDS = ["The", "jury", "said"]
TAGS = ["at", "nn", "vbd"]


def fault(corpus: "Corpus", **settings: Any) -> str:
    with pytest.raises((BadInput, BadSettings)) as caught:
        corpus.collect({"kind": "files", "label": "", **settings})
    return str(caught.value)


def write_line(corpus: "Corpus", **values: Any) -> None:
    corpus.write("a.jsonl", json.dumps(values) + "\n")


def test_targets_have_their_type_up_to_the_splits(corpus: "Corpus") -> None:
    lines = [
        {
            "text": f"record {number}",
            "stars": number,
            "topics": ["a", "b"][: number % 3],
            "answer": f"Yes,  {number}.\n" if number else None,
        }
        for number in range(60)
    ]
    corpus.write("a.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    targets = {"value": "stars", "labels": "topics", "response": "answer"}
    found = corpus.collect({"kind": "files", "label": "", "targets": targets})
    assert found[5]["value"] == 5.0
    assert found[5]["labels"] == ["a", "b"]
    root = corpus.output.parent
    clean.run(corpus.output / "records.parquet", root / "clean", CleanSettings())
    split.run(root / "clean" / "records.parquet", root / "split", SplitSettings(), seed=0)
    schemas = [pq.read_schema(root / "split" / f"{part}.parquet") for part in PARTS]
    names = ["id", "text", "label", "value", "labels", "response"]
    assert all(schema.names == names for schema in schemas)
    assert [field.name for field in targets_of(schemas[0])] == names[3:]
    rows = [
        row
        for part in PARTS
        for row in pq.read_table(root / "split" / f"{part}.parquet").to_pylist()
    ]
    assert sorted((row["value"], row["text"], row["labels"], row["response"]) for row in rows) == [
        (float(line["stars"]), line["text"], line["topics"], line["answer"]) for line in lines
    ]


def test_a_text_of_columns_is_no_target_though_it_is_called_like_one(corpus: "Corpus") -> None:
    corpus.write("a.csv", "text,response\n" + "".join(f"text {n},r{n}\n" for n in range(60)))
    corpus.collect({"kind": "files", "label": "", "columns": ["response"]})
    root = corpus.output.parent
    clean.run(corpus.output / "records.parquet", root / "clean", CleanSettings())
    cleaned = root / "clean" / "records.parquet"
    assert pq.read_table(cleaned)["response"].to_pylist()[0].startswith("r")
    assert targets_of(pq.read_schema(cleaned)) == []
    split.run(cleaned, root / "split", SplitSettings(group_by="response"), seed=0)
    assert pq.read_schema(root / "split" / "test.parquet").names == ["id", "text", "label"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "a.csv", "a.tagged"])
def test_the_text_is_made_of_tokens_in_every_format(corpus: "Corpus", name: str) -> None:
    table = pa.table({"words": [WORDS], "pos": [TAGS]})
    file = io.BytesIO()
    pq.write_table(table, file)
    contents: dict[str, str | bytes] = {
        "a.jsonl": json.dumps({"words": WORDS, "pos": TAGS}),
        "a.parquet": file.getvalue(),
        "a.csv": f"words,pos\n{' '.join(WORDS)},{' '.join(TAGS)}\n",
        "a.tagged": "\n\tThe/at jury/nn said/vbd\n\n",
    }
    corpus.write(name, contents[name])
    (record,) = corpus.collect({"kind": "files", "label": "", "targets": TAGGED})
    assert (record["text"], record["tokens"], record["tags"]) == ("The jury said", WORDS, TAGS)


def test_several_columns_make_one_list_of_labels(corpus: "Corpus") -> None:
    corpus.write("a.csv", "text,kind,colour\nshirt,top,red\ncoat,,\nred,red,red\n")
    found = corpus.collect(
        {"kind": "files", "label": "", "targets": {"labels": ["kind", "colour"]}}
    )
    assert [record["labels"] for record in found] == [["top", "red"], [], ["red"]]


def test_a_label_that_a_record_has_twice_is_one(corpus: "Corpus") -> None:
    corpus.write("a.jsonl", json.dumps({"text": "a", "topics": ["b", "a ", "b", "a"]}) + "\n")
    (found,) = corpus.collect({"kind": "files", "label": "", "targets": {"labels": "topics"}})
    assert found["labels"] == ["b", "a"]


def test_columns_of_0_and_1_make_the_labels_that_they_are_called(corpus: "Corpus") -> None:
    source = {"kind": "files", "label": "", "targets": {"labels": ["spam", "rude"]}}
    corpus.write("a.csv", "text,spam,rude\na,1,0\nb,0,0\nc,1.0,True\n")
    found = corpus.collect({**source, "indicators": True})
    assert [record["labels"] for record in found] == [["spam"], [], ["spam", "rude"]]
    corpus.write("a.csv", "text,spam,rude\na,1,\n")
    assert fault(corpus, indicators=True, targets=source["targets"]) == (
        "a.csv: row 1: column 'rude' (setting targets.labels): expected 0 or 1 (setting "
        "indicators), found ''"
    )
    assert "indicators are columns of labels" in fault(
        corpus, indicators=True, targets={"labels": "spam"}
    )


NO_NUMBER = "expected a finite number, found {}: mend the source"
NO_TEXT = "expected text, found {}: mend the source"
NO_LIST = "expected a list of texts, found {}"
OF_COLUMN = "a.jsonl: row 2: column 'x' (setting targets.{}): "


@pytest.mark.parametrize(
    ("target", "value", "message"),
    [
        *(("value", value, NO_NUMBER.format(repr(value))) for value in (
            "many", " ", "4,5", "1_0", "1e400", 1e300, True, [1], {"a": 1}, float("nan"),
            float("-inf"),
        )),
        ("value", 10**400, "expected a finite number, found 1000"),
        *(("response", value, NO_TEXT.format(repr(value))) for value in (5, ["a"], float("nan"))),
        *(("response", value, "an empty response: fill it in, or leave") for value in ("", " \n")),
        ("response", "\ud800", "half a surrogate pair is no text: repair the file"),
        *(("text_b", value, NO_TEXT.format(repr(value))) for value in (5, ["a"], float("nan"))),
        *(("labels", value, NO_LIST.format(repr(value))) for value in (
            5, {"a": 1}, ["a", 1], ["a", None], [["a"]], float("nan"), "Home Decor", "",
        )),
        ("labels", "a", "write a list, or targets: {labels: [x]} where it is one label"),
        *(("labels", ["a", value], "an empty text in the list") for value in ("", " ")),
    ],
)  # fmt: skip
def test_a_target_of_the_wrong_kind_is_refused_in_one_line(
    corpus: "Corpus", target: str, value: Any, message: str
) -> None:
    good = {"value": 1, "labels": ["a"]}.get(target, "a")
    lines = [json.dumps({"text": "a", "x": one}) + "\n" for one in (good, value)]
    corpus.write("a.jsonl", "".join(lines))
    told = fault(corpus, targets={target: "x"})
    assert told.startswith(OF_COLUMN.format(target) + message) or message in told
    assert "\n" not in told
    assert len(told) < 200


@pytest.mark.parametrize(
    ("words", "tags", "message"),
    [
        (WORDS, TAGS[:2], "a.jsonl: row 1 has 3 tokens and 2 tags: one tag for each token"),
        (WORDS[:1], TAGS[:2], "a.jsonl: row 1 has 1 tokens and 2 tags: one tag for each token"),
        (WORDS, [1, 2, 3], "expected a list of texts, found [1, 2, 3]"),
        (["The", " "], TAGS[:2], "an empty text in the list"),
        (WORDS, ["at", "", "vbd"], "an empty text in the list"),
        (5, TAGS, "expected a list of texts, found 5"),
    ],
)
def test_tokens_without_their_tags_are_refused_in_one_line(
    corpus: "Corpus", words: Any, tags: Any, message: str
) -> None:
    write_line(corpus, words=words, pos=tags)
    told = fault(corpus, targets=TAGGED)
    assert message in told
    assert "\n" not in told


def test_a_word_without_its_tag_is_refused_in_one_line(corpus: "Corpus") -> None:
    corpus.write("b.tagged", "The/at jury\n")
    assert fault(corpus, targets=TAGGED) == (
        "b.tagged: row 1: 'jury' is no word with its tag, as in jury/nn: mend it"
    )


def test_labels_of_a_table_of_texts_have_spaces_between_and_nothing_else(
    corpus: "Corpus",
) -> None:
    corpus.write("a.csv", "text,topics\na,news  sport\nb,\n")
    found = corpus.collect({"kind": "files", "label": "", "targets": {"labels": "topics"}})
    assert [record["labels"] for record in found] == [["news", "sport"], []]
    for written in ("news,sport", "['news']", "news;sport", "news|sport"):
        corpus.write("a.csv", f'text,topics\na,"{written}"\n')
        assert fault(corpus, targets={"labels": "topics"}) == (
            "a.csv: row 1: column 'topics' (setting targets.labels): expected labels with spaces "
            f"between, found {written!r}: mend the source"
        )


def test_a_column_of_labels_in_a_table_of_texts_may_be_a_column_and_the_text_too(
    corpus: "Corpus",
) -> None:
    corpus.write("a.csv", "topics\nnews sport\n")
    for label in ("", "topics"):
        (found,) = corpus.collect(
            {
                "kind": "files",
                "text": "topics",
                "label": label,
                "columns": ["topics"],
                "targets": {"labels": "topics"},
            }
        )
        assert found["text"] == found["topics"] == "news sport"
        assert found["labels"] == ["news", "sport"]
        assert found["label"] == ("news sport" if label else None)


def test_a_column_of_a_type_that_no_target_has_is_named(corpus: "Corpus") -> None:
    import decimal

    file = io.BytesIO()
    pq.write_table(pa.table({"text": ["a"], "v": [decimal.Decimal(1)]}), file)
    corpus.write("a.parquet", file.getvalue())
    assert "found decimal128(1, 0) in the column 'v'" in fault(corpus, targets={"value": "v"})


def test_settings_that_name_no_target_are_refused_in_one_line(corpus: "Corpus") -> None:
    write_line(corpus, text="a", v=1)
    assert "'values' is unknown; " in fault(corpus, targets={"values": "v"})
    assert "tokens and tags go together" in fault(corpus, targets={"tags": "v"})
    assert "value is of one column" in fault(corpus, targets={"value": ["v"]})
    for columns in ([], ["v", "v"]):
        assert "name one column at least, and each once" in fault(
            corpus, targets={"labels": columns}
        )
    assert "has no column 'w' (setting targets.value)" in fault(corpus, targets={"value": "w"})
    assert "'value' is one of columns and of targets" in fault(
        corpus, columns=["value"], targets={"value": "v"}
    )


def test_nothing_is_divided_by_a_target(corpus: "Corpus") -> None:
    write_line(corpus, text="a", topics=["a"])
    corpus.collect({"kind": "files", "label": "", "targets": {"labels": "topics"}})
    root = corpus.output.parent
    clean.run(corpus.output / "records.parquet", root / "clean", CleanSettings())
    with pytest.raises(BadInput, match=r"has no column 'labels' \(setting split\.group_by\)"):
        split.run(
            root / "clean" / "records.parquet",
            root / "split",
            SplitSettings(group_by="labels"),
            seed=0,
        )


@pytest.mark.parametrize("targets", [TAGGED, {"response": "answer"}])
def test_targets_of_texts_are_not_masked_in_the_text_alone(
    corpus: "Corpus", targets: dict[str, str]
) -> None:
    write_line(corpus, text="a", words=WORDS, pos=TAGS, answer="me@example.com")
    corpus.collect({"kind": "files", "label": "", "targets": targets})
    settings = CleanSettings.parse({"personal_data": ["email"]}, "clean")
    with pytest.raises(
        BadSettings, match=r"clean\.personal_data would mask them in the text alone"
    ):
        clean.run(corpus.output / "records.parquet", corpus.output.parent / "clean", settings)


def test_a_pair_of_texts_is_cleaned_and_told_apart_by_both(corpus: "Corpus") -> None:
    lines = [f"{text},{title},{label}" for text, title, label in (
        ("a  dress,with care".replace(",", " "), "good &amp; nice", "Tops"),
        ("a dress with care", "good & nice", "Tops"),
        ("a dress with care", "bad", "Dresses"),
        ("a coat", "", "Tops"),
    )]  # fmt: skip
    corpus.write("a.csv", "text,title,label\n" + "\n".join(lines) + "\n")
    found = corpus.collect({"kind": "files", "targets": {"text_b": "title"}})
    assert found[0]["text_b"] == "good &amp; nice"
    root = corpus.output.parent
    clean.run(corpus.output / "records.parquet", root / "clean", CleanSettings())
    cleaned = root / "clean" / "records.parquet"
    assert [field.name for field in targets_of(pq.read_schema(cleaned))] == ["text_b"]
    rows = pq.read_table(cleaned).to_pylist()
    assert [(row["text"], row["text_b"], row["label"]) for row in rows] == [
        ("a dress with care", "good & nice", "Tops"),
        ("a dress with care", "bad", "Dresses"),
    ]
    assert rows[0]["id"] != rows[1]["id"]
    dropped = json.loads((root / "clean" / "report.json").read_text())["dropped"]
    assert {reason: count for reason, count in dropped.items() if count} == {
        "duplicate": 1,
        "empty": 1,
    }


def test_of_pairs_that_are_nearly_the_same_in_both_texts_the_longest_stays(
    corpus: "Corpus",
) -> None:
    asked, answered = (
        "how do I wash this dress by hand",
        "in cold water and with care I would say",
    )
    lines = [f"{text},{second},{label}" for text, second, label in (
        (asked, answered, "yes"),
        (f"{asked}?", f"{answered} my dear", "yes"),
        (f"{asked}!", f"{answered} my dear", "no"),
        (asked, "it is of wool and cannot be washed by hand", "yes"),
        ("does this coat have pockets in front", answered, "yes"),
    )]  # fmt: skip
    corpus.write("a.csv", "text,title,label\n" + "\n".join(lines) + "\n")
    corpus.collect({"kind": "files", "targets": {"text_b": "title"}})
    settings = CleanSettings.parse({"near_duplicates": {"similarity": 0.7}}, "clean")
    root = corpus.output.parent
    clean.run(corpus.output / "records.parquet", root / "clean", settings)
    kept = pq.read_table(root / "clean" / "records.parquet").to_pylist()
    assert [f"{row['text']},{row['text_b']},{row['label']}" for row in kept] == lines[1:]


def test_all_responses_to_a_text_are_kept_where_they_are_asked_for(corpus: "Corpus") -> None:
    rows = [(f"what is {n % 30}", f"answer {n}") for n in range(60)]
    lines = [f"{text},{response}" for text, response in [*rows, ("what is  5", "answer 5")]]
    corpus.write("a.csv", "text,answer\n" + "\n".join(lines) + "\n")
    corpus.collect({"kind": "files", "label": "", "targets": {"response": "answer"}})
    root, found = corpus.output.parent, corpus.output / "records.parquet"
    clean.run(found, root / "first", CleanSettings())
    assert pq.read_metadata(root / "first" / "records.parquet").num_rows == 30
    clean.run(found, root / "all", CleanSettings(responses="all"))
    kept = pq.read_table(root / "all" / "records.parquet").to_pylist()
    assert [(row["text"], row["response"]) for row in kept] == rows
    assert len({row["id"] for row in kept}) == 60
    assert json.loads((root / "all" / "report.json").read_text())["dropped"]["duplicate"] == 1
    split.run(
        root / "all" / "records.parquet", root / "split", SplitSettings(group_by="text"), seed=0
    )
    parts = [pq.read_table(root / "split" / f"{part}.parquet") for part in PARTS]
    texts = [{*part["text"].to_pylist()} for part in parts]
    assert sum(part.num_rows for part in parts) == 60
    assert sum(map(len, texts)) == len(set.union(*texts)) == 30
    test = read_test(root / "split" / "test.parquet", "generation")
    assert (len(test), test.num_left_out) == (len(texts[2]), 0)
    assert all(len(one["references"]) == 2 for one in test.true)
    given = [{"response": one["references"][-1], "nats": 1.0, "tokens": 1} for one in test.true]
    prepared = test.head.prepare(test.true, given, ["response"])
    exact = test.head.measures(["response"])["exact_match"](np.ones((1, len(test))), prepared)
    assert exact.tolist() == [1.0]
    corpus.write("a.csv", "text\nhello\n")
    corpus.collect({"kind": "files", "label": ""})
    with pytest.raises(
        BadSettings, match=r"has no target 'response', which clean\.responses is of"
    ):
        clean.run(found, root / "none", CleanSettings(responses="all"))


def test_a_shard_of_pairs_is_told_apart_by_both_texts_and_kept(corpus: "Corpus") -> None:
    from tasks.clean.shard_work import Kept

    root = corpus.output.parent
    for second in ("one", "two", "one"):
        corpus.write("a.csv", f"text,title,label\na dress,{second},Tops\n")
        corpus.collect({"kind": "files", "targets": {"text_b": "title"}})
        kept = Kept(root / "kept", "code")
        clean.run(corpus.output / "records.parquet", root / "clean", CleanSettings(), kept)
        (row,) = pq.read_table(root / "clean" / "records.parquet").to_pylist()
        assert row["text_b"] == second
    assert len([*(root / "kept").iterdir()]) == 2
