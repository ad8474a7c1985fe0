"""Regression: its metrics against other implementations, and what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from tasks.contracts import paths, records
from tasks.errors import BadInput
from tasks.finetune import stage as finetune
from tasks.finetune.settings import Settings
from tasks.heads import regression
from tasks.heads._evidence import read_test
from tasks.metrics.scores import once_each
from tasks.models.text import TextBackbone
from tests.tasks.heads.conftest import Splits


def test_metrics_are_those_of_other_implementations_on_every_resample() -> None:
    random = np.random.default_rng(3)
    true = random.integers(1, 6, 40).astype(float)
    predicted = np.round(true + random.normal(size=40), 1)
    counts = np.stack([np.ones(40), random.multinomial(40, np.ones(40) / 40)])
    prepared = regression.prepare(list(true), list(predicted), ["value"])
    measured = {n: f(counts, prepared) for n, f in regression.measures(["value"]).items()}
    for row, times in enumerate(counts.astype(int)):
        given, wanted = np.repeat(predicted, times), np.repeat(true, times)
        assert measured["mae"][row] == pytest.approx(mean_absolute_error(wanted, given))
        assert measured["rmse"][row] == pytest.approx(root_mean_squared_error(wanted, given))
        assert measured["r2"][row] == pytest.approx(r2_score(wanted, given))
        assert measured["spearman"][row] == pytest.approx(spearmanr(wanted, given).statistic)


def test_what_is_not_defined_is_not_a_number() -> None:
    prepared = regression.prepare([2.0, 2.0], [1.0, 3.0], ["value"])
    measured = {n: f(once_each(2), prepared)[0] for n, f in regression.measures([]).items()}
    assert np.isnan([measured["r2"], measured["spearman"]]).all()
    assert measured["mae"] == 1.0


def test_an_epoch_that_gives_all_records_one_answer_has_no_correlation_and_does_not_fail(
    corpora: dict[str, Splits], backbone: Path, tmp_path: Path
) -> None:
    trained: Splits = {part: corpora["reviews"][part] for part in paths.TRAINED_ON}
    settings = Settings(
        head="regression", distribution="median", epochs=1, learning_rate=1e-9, twin=False
    )
    finetune.run("row", backbone, trained, tmp_path / "out", settings, 0, tmp_path / "kept")
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    assert history["model"]["epochs"][0].keys() == {"loss", "mae", "rmse", "r2"}


def test_a_split_without_records_is_told_in_one_line(
    corpora: dict[str, Splits], tmp_path: Path
) -> None:
    records.write_records(
        tmp_path / "none.parquet", records.read_schema(corpora["reviews"]["test"]), []
    )
    with pytest.raises(BadInput, match=r"none\.parquet: no record has a target 'value'"):
        read_test(tmp_path / "none.parquet", "regression")


def test_records_without_a_value_and_values_all_alike_are_refused(
    corpora: dict[str, Splits], backbone: Path, tmp_path: Path
) -> None:
    table = records.read_table(corpora["reviews"]["train"])
    same = table.set_column(3, table.field("value"), [[1.0] * table.num_rows])
    lacking = table.set_column(3, table.field("value"), [[None, *[1.0] * (table.num_rows - 1)]])
    for name, changed in (("same", same), ("lacking", lacking)):
        records.write_records(tmp_path / name, changed.schema, changed.to_batches())
    loaded = TextBackbone(backbone)
    validation = corpora["reviews"]["validation"]
    with pytest.raises(BadInput, match="all values are the same: nothing can be learnt"):
        regression.read_corpus(loaded, {"train": tmp_path / "same", "validation": validation})
    with pytest.raises(BadInput, match=r"1 of \d+ records have no value: drop them"):
        regression.read_corpus(loaded, {"train": tmp_path / "lacking", "validation": validation})
    brown = corpora["brown"]
    with pytest.raises(BadInput, match="has no target 'value'; "):
        regression.read_corpus(loaded, {"train": brown["train"], "validation": validation})
