"""params.yaml: what is read, and what is refused before anything runs."""

import copy
from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import load_yaml
from hypothesis import given
from hypothesis import strategies as st

from tasks.contracts.params import (
    asks_for_probes,
    chain_of,
    check_params,
    on_code_change,
    read_params,
    row_of,
)
from tasks.errors import BadSettings

ROOT = Path(__file__).parents[3]


def written(folder: Path, text: str) -> Path:
    path = folder / "params.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "value",
    ["1e-3", "1.5e3", "no", "yes", "on", "true", "False", "0o17", "017", "0x1F", "1_000", "~", "",
     "null", ".5", "-.inf", "1.16.3", "12:30:45", "'1'", "+1", "1.", "-0x1F"],
)  # fmt: skip
def test_a_value_is_read_as_dvc_reads_it(tmp_path: Path, value: str) -> None:
    path = written(tmp_path, f"key: {value}\n")
    ours, theirs = read_params(path)["key"], load_yaml(path)["key"]
    assert (ours, type(ours)) == (theirs, type(theirs))


@given(number=st.floats(allow_nan=False, allow_infinity=False))
def test_any_float_survives(tmp_path_factory: pytest.TempPathFactory, number: float) -> None:
    path = written(tmp_path_factory.mktemp("params"), f"key: {number!r}\n")
    assert read_params(path)["key"] == number


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\n", "is not YAML"),
        (
            "just words\n",
            "expected the keys seed, corpora, backbones and models, found 'just words'",
        ),
        ("", "found None"),
        ("seed: 0\nseed: 1\n", "the key 'seed' stands twice in line 2, column 1"),
        ("seed: 2026-11-22\n", "is a date, which DVC refuses: put it into quotes in line 1"),
        ("seed: !!bool maybe\n", "'maybe' is no bool in line 1, column 7"),
        ("? [a]\n: 1\n", "found unhashable key in line 1, column 3"),
        ("a: &a [*a]\n", "an alias stands inside of what it is an alias of in line 1, column 4"),
    ],
)
def test_what_is_no_mapping_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadSettings) as error:
        read_params(written(tmp_path, text))
    assert message in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"is missing: run from the repository's root"):
        read_params(tmp_path / "params.yaml")


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_bytes(b"seed: 0 # \xff\n")
    with pytest.raises(BadSettings, match=r"byte 10 is not UTF-8"):
        read_params(tmp_path / "params.yaml")


def test_an_unknown_row_lists_those_there_are() -> None:
    with pytest.raises(BadSettings, match=r"corpora has no row 'reuter'; .*did you mean 'reuters'"):
        row_of({"corpora": {"reuters": {}, "digits": {}}}, "corpora", "reuter")


@pytest.fixture
def params() -> dict[str, Any]:
    """Return the shipped rows, and a model on a backbone that has learnt labels."""
    found = copy.deepcopy(read_params(ROOT / "params.yaml"))
    convnet = {"objective": "classification", "architecture": "convnet"}
    found["backbones"]["digits-convnet"] = {"corpus": "digits", "pretrain": convnet}
    found["models"]["digits-from-convnet"] = {
        **found["models"]["digits-few-labels"],
        "backbone": "digits-convnet",
        "finetune": {},
    }
    return found


def test_the_shipped_params_are_good(params: dict[str, Any]) -> None:
    check_params(params)


def put(params: dict[str, Any], path: str, value: object) -> None:
    *parents, key = path.split("/")
    for parent in parents:
        params = params[parent]
    params[key] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("sed", 1, "sed: unknown key; allowed: adapted, backbones, corpora, engine, libraries, "
         "memory, models, restarts, seed, students, threads; did you mean"),
        ("libraries", "torch", "libraries: expected a list of packages, found 'torch'"),
        ("libraries", ["torhc"], "libraries: 'torhc' is not installed here; allowed: "),
        ("models/reuters-topics/libraries", ["no-such-package"],
         "models.reuters-topics.libraries: 'no-such-package' is not installed here"),
        ("seed", "zero", "seed: expected a whole number from 0, found 'zero'"),
        ("seed", True, "seed: expected a whole number from 0, found True"),
        ("models/digits-from-convnet/finetune/labels", 1,
         "models.digits-from-convnet.finetune.labels: the backbone digits-convnet was pretrained "
         "with all labels of digits"),
        ("models/digits-from-convnet/finetune/folds", 3,
         "models.digits-from-convnet.finetune.folds: the backbone digits-convnet was pretrained "),
        ("engine", "spark", "engine: expected one of processes, ray, found 'spark'"),
        ("memory", 511, "memory: expected a whole number of MiB from 512, found 511"),
        ("memory", "1 GiB", "memory: expected a whole number of MiB from 512, found '1 GiB'"),
        ("restarts", -1, "restarts: expected a whole number from 0, found -1"),
        ("threads", 0, "threads: expected a whole number from 1, found 0"),
        ("corpora/reuters/clean/responses", "all", "corpora.reuters.clean.responses: all keeps "
         "several records of a text: set split.group_by: text, so that no test text is a"),
        ("threads", "all", "threads: expected a whole number from 1, found 'all'"),
        ("models", None, "models: expected rows ({} for none), found None"),
        ("corpora/my.corpus", {}, "corpora: the row name 'my.corpus' is not of a-z, 0-9 and"),
        ("corpora/-", {}, "corpora: the row name '-' is not of a-z, 0-9 and '-' alone, a letter"),
        ("models/--help", {}, "models: the row name '--help' is not of"),
        ("models/" + "a" * 101, {}, f"models: the row name '{'a' * 40}…' is not of"),
        ("models/" + "-" * 240, {}, f"models: the row name '{'-' * 40}…' is not of a-z, 0-9 "
         "and '-' alone, a letter or digit first, 100 at most"),
        ("backbones/..", {}, "backbones: the row name '..' is not of"),
        ("backbones/a\n", {}, "backbones: the row name 'a\\n' is not of"),
        ("models/reuters-topics/on_changed_pins", "always",
         "models.reuters-topics.on_changed_pins: expected one of ask, promote, found 'always'"),
        ("backbones/reuters-bert/on_changed_pins", "ask",
         "backbones.reuters-bert.on_changed_pins: unknown key"),
        ("models/reuters-topics/backbone", "reuters-bart",
         "models.reuters-topics.backbone: no row 'reuters-bart' in backbones; allowed: "
         "digits-contrastive, digits-convnet, reuters-bert, reuters-vectors; did you mean "
         "'reuters-bert'?"),
        ("models/reuters-topics/backbone", ["reuters-bert"],
         "models.reuters-topics.backbone: no row ['reuters-bert'] in backbones"),
        ("models/reuters-topics/finetun", {}, "models.reuters-topics.finetun: unknown key"),
        ("models/reuters-topics/finetune", {"learning_rat": 1},
         "models.reuters-topics.finetune.learning_rat: unknown key"),
        ("backbones/reuters-bert/pretrain/bert", {"heads": 3},
         "backbones.reuters-bert.pretrain.bert: heads (3) must divide hidden_size (256)"),
        ("backbones/reuters-bert/pretrain/objective", "maskd",
         "backbones.reuters-bert.pretrain.objective: 'maskd' is unknown"),
        ("backbones/reuters-bert/pretrain/convnet", {},
         "backbones.reuters-bert.pretrain.convnet: unknown key"),
        ("backbones/reuters-bert/pretrain/masked", {"probability": 2},
         "backbones.reuters-bert.pretrain.masked.probability: input should be less than 1, "
         "found 2"),
        ("corpora/digits/collect/sources", [{"kind": "sklearm"}],
         "corpora.digits.collect.sources.0.kind"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_its_key_path(
    params: dict[str, Any], path: str, value: object, message: str
) -> None:
    put(params, path, value)
    with pytest.raises(BadSettings) as error:
        check_params(params)
    assert str(error.value).startswith(f"params.yaml: {message}")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    "path", ["seed", "models", "corpora/digits/clean", "backbones/reuters-bert/corpus"]
)
def test_a_missing_section_is_named(params: dict[str, Any], path: str) -> None:
    parent: Any = params
    *parents, key = path.split("/")
    for name in parents:
        parent = parent[name]
    del parent[key]
    with pytest.raises(BadSettings, match=f"{path.replace('/', '.')} is missing"):
        check_params(params)


def test_a_backbone_with_a_checkpoint_cannot_share_its_pins_with_a_corpus(
    params: dict[str, Any],
) -> None:
    pretrain = {"objective": "none", "architecture": "bert", "init": {"hub": "org/bert"}}
    row = {"corpus": "reuters", "pretrain": pretrain}
    check_params({**params, "backbones": {**params["backbones"], "from-hub": row}})
    with pytest.raises(BadSettings) as error:
        check_params({**params, "backbones": {**params["backbones"], "reuters": row}})
    assert str(error.value) == (
        "params.yaml: backbones.reuters: a corpus has the same name, and the pins of both would "
        "be data/sources/reuters/pin.json: rename one"
    )


def adapted(backbone: str, corpus: str, objective: str, **more: Any) -> dict[str, Any]:
    return {"backbone": backbone, "corpus": corpus, "adapt": {"objective": objective, **more}}


def test_a_model_may_name_a_backbone_that_goes_on_from_others(params: dict[str, Any]) -> None:
    params["adapted"] = {
        "further": adapted("reuters-bert", "reuters", "masked"),
        "twice": adapted("further", "reuters", "masked", masked={"tokens": 64}),
    }
    params["models"]["reuters-topics"]["backbone"] = "twice"
    check_params(params)
    assert chain_of(params, "twice") == [
        ("adapt", "twice"),
        ("adapt", "further"),
        ("pretrain", "reuters-bert"),
    ]
    assert chain_of(params, "reuters-bert") == [("pretrain", "reuters-bert")]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (None, "adapted: expected rows ({} for none), found None"),
        ({"a.b": {}}, "adapted: the row name 'a.b' is not of"),
        (
            {"reuters-bert": adapted("reuters-bert", "reuters", "masked")},
            "adapted.reuters-bert: a row of backbones has the same name, and both would write "
            "data/pretrain/reuters-bert: rename one",
        ),
        (
            {"a": adapted("reuters-bart", "reuters", "masked")},
            "adapted.a.backbone: no row 'reuters-bart' in backbones or adapted; allowed: ",
        ),
        (
            {"a": adapted("b", "reuters", "masked"), "b": adapted("a", "reuters", "masked")},
            "adapted: rows go on from each other in a circle, a -> b -> a: let one of them name a "
            "row of backbones",
        ),
        (
            {"a": adapted("a", "reuters", "masked")},
            "adapted: rows go on from each other in a circle, a -> a: let",
        ),
        (
            {"a": adapted("digits-convnet", "digits", "masked")},
            "adapted.a.adapt.objective: 'masked' cannot train the backbone, which is a 'convnet'; "
            "set objective to one of: classification",
        ),
        (
            {"a": adapted("reuters-bert", "reuters", "none")},
            "adapted.a.adapt.objective: 'none' goes on from no other backbone; set it to one of: ",
        ),
        (
            {"a": adapted("reuters-bert", "reuters", "masked", masked={"vocabulary_size": 90})},
            "adapted.a.adapt.masked.vocabulary_size: the backbone decides it: remove it",
        ),
        (
            {
                "a": adapted(
                    "reuters-bert", "reuters", "masked", masked={"embeddings": "cooccurrence"}
                )
            },
            "adapted.a.adapt.masked.embeddings: the backbone decides it: remove it",
        ),
        (
            {"a": {**adapted("reuters-bert", "reuters", "masked"), "pretrain": {}}},
            "adapted.a.pretrain: unknown key",
        ),
    ],
)
def test_a_fault_in_an_adapted_row_is_one_line(
    params: dict[str, Any], rows: Any, message: str
) -> None:
    params["adapted"] = rows
    with pytest.raises(BadSettings) as error:
        check_params(params)
    assert str(error.value).startswith(f"params.yaml: {message}")
    assert len(str(error.value).splitlines()) == 1


def student(teacher: str, backbone: str, corpus: str = "reuters") -> dict[str, Any]:
    return {"teacher": teacher, "backbone": backbone, "corpus": corpus, "distill": {}}


def model_on(backbone: str, **finetune: Any) -> dict[str, Any]:
    row = {"backbone": backbone, "corpus": "reuters", "finetune": finetune}
    return {**row, "evaluate": {}, "register": {}}


def test_a_model_may_learn_from_another_one(params: dict[str, Any]) -> None:
    params["students"] = {"small": student("reuters-topics", "reuters-vectors")}
    params["models"]["small-topics"] = model_on("small")
    check_params(params)
    assert chain_of(params, "small") == [("distill", "small"), ("pretrain", "reuters-vectors")]


@pytest.mark.parametrize(
    ("rows", "finetune", "message"),
    [
        (
            {"reuters-bert": student("reuters-topics", "reuters-bert")},
            {},
            "students.reuters-bert: a row of backbones has the same name, and both would write "
            "data/pretrain/reuters-bert: rename one",
        ),
        (
            {"small": student("reuters-topic", "reuters-bert")},
            {},
            "students.small.teacher: no row 'reuters-topic' in models; allowed: ",
        ),
        (
            {"small": student("pupil", "reuters-bert")},
            {},
            "students: models learn from each other in a circle, pupil -> pupil: let one of them",
        ),
        (
            {"small": student("reuters-topics", "reuters-bert")},
            {"head": "tagging"},
            "models.pupil.finetune.head: its teacher, reuters-topics, has another head: set the",
        ),
        (
            {"small": student("scores", "reuters-bert")},
            {"head": "regression"},
            "students.small.teacher: head regression of scores is not distilled, classification "
            "and tagging are: name another model",
        ),
        (
            {"small": student("reuters-topics", "reuters-bert")},
            {"mode": "frozen", "solver": "lbfgs"},
            "models.pupil.finetune.solver: lbfgs fits a head to labels alone, and this one has a",
        ),
        (
            {"small": student("reuters-topics", "reuters-bert", "digits")},
            {},
            "students.small.corpus: expected that of the teacher reuters-topics, reuters",
        ),
        (
            {"small": student("reuters-topics", "reuters-bert")},
            {"labels": 5},
            "models.pupil.finetune.labels: the backbone small was pretrained with all labels of",
        ),
    ],
)
def test_a_fault_in_a_student_is_one_line(
    params: dict[str, Any], rows: Any, finetune: dict[str, Any], message: str
) -> None:
    params["students"] = rows
    params["models"]["scores"] = model_on("reuters-bert", head="regression")
    params["models"]["pupil"] = model_on(next(iter(rows)), **finetune)
    with pytest.raises(BadSettings) as error:
        check_params(params)
    assert str(error.value).startswith(f"params.yaml: {message}")
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            {"small": student("reuters-topics", "reuters-bert", "digits")},
            "students.small.corpus: expected that of the teacher reuters-topics, reuters",
        ),
        (
            {"small": student("scores", "reuters-bert")},
            "students.small.teacher: head regression of scores is not distilled, classification ",
        ),
        (
            {
                "small": student("pupil", "reuters-bert"),
                "smaller": student("pupil", "reuters-bert"),
            },
            "students: models learn from each other in a circle, pupil -> pupil: let one of them",
        ),
    ],
)
def test_a_fault_of_a_teacher_is_told_before_any_model_learns_from_it(
    params: dict[str, Any], rows: Any, message: str
) -> None:
    params["students"] = rows
    params["models"]["scores"] = model_on("reuters-bert", head="regression")
    if "smaller" in rows:
        params["models"]["pupil"] = model_on("small")
    with pytest.raises(BadSettings) as error:
        check_params(params)
    assert str(error.value).startswith(f"params.yaml: {message}")


@pytest.mark.parametrize("supervised", [0, 1, 2])
def test_labels_that_any_backbone_of_a_chain_has_learnt_are_not_counted(
    params: dict[str, Any], supervised: int
) -> None:
    objectives = ["reconstruction"] * 3
    objectives[supervised] = "classification"
    pretrain = {"objective": objectives[0], "architecture": "autoencoder"}
    params["backbones"]["digits-contrastive"]["pretrain"] = pretrain
    params["adapted"] = {
        "further": adapted("digits-contrastive", "digits", objectives[1]),
        "twice": adapted("further", "digits", objectives[2]),
    }
    model = params["models"]["digits-few-labels"]
    model["backbone"], model["finetune"] = "twice", {}
    check_params(params)
    model["finetune"]["labels"] = 5
    learnt = ("digits-contrastive", "further", "twice")[supervised]
    with pytest.raises(BadSettings, match=f"the backbone {learnt} was pretrained with all labels"):
        check_params(params)


@pytest.mark.parametrize("table", ["backbones", "models"])
def test_a_row_may_say_what_changed_code_makes_of_its_results(table: str) -> None:
    params = read_params(ROOT / "params.yaml")
    row = next(iter(params[table]))
    stage = "pretrain" if table == "backbones" else "evaluate"
    assert (on_code_change(params, stage, row), asks_for_probes(params)) == ("rerun", False)
    params[table][row]["on_code_change"] = "probe"
    check_params(params)
    assert (on_code_change(params, stage, row), asks_for_probes(params)) == ("probe", True)
    params[table][row]["on_code_change"] = "ask"
    with pytest.raises(BadSettings, match=f"{table}.{row}.on_code_change: expected one of rerun"):
        check_params(params)
