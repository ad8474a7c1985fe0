"""Latency and size are measured on a real model."""

from pathlib import Path

import pytest

from tasks.errors import BadInput
from tasks.promotion.comparison.serving import measure_serving
from tests.classifiers import sample_texts, save_text_classifier


def test_one_record_at_a_time_is_timed_and_the_files_weighed(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    save_text_classifier(folder, "lstm", {"hidden_size": 8})
    found = measure_serving(folder, sample_texts()[0][:12])
    assert found["size_bytes"] == sum(path.stat().st_size for path in folder.iterdir())
    assert 0 < found["median_ms"] <= found["p95_ms"] < 10_000
    with pytest.raises(BadInput, match=r"model: there is no record to measure the latency with"):
        measure_serving(folder, [])
