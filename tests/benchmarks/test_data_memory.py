"""A made corpus, and how the memory of a stage on it is measured."""

from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.data_memory import in_own_process, write_source
from tasks.duplicates.text import clusters


def test_a_stage_is_measured_on_a_corpus_that_repeats_itself_with_changes(tmp_path: Path) -> None:
    words = [[f"word{(place * step) % 997}" for place in range(120)] for step in range(1, 40)]
    texts = [(" ".join(some), "xy"[number % 2]) for number, some in enumerate(words)]
    write_source(tmp_path / "sources" / "all.parquet", texts, 100_000)
    found = pq.read_table(tmp_path / "sources" / "all.parquet").column("text").to_pylist()
    assert sum(map(len, found)) >= 100_000
    some = found[:200]
    assert 20 < len(some) - len(set(clusters(some, similarity=0.8).tolist())) < 150
    figures = in_own_process("collect", tmp_path)
    assert 20 < figures["peak_mb"] < figures["peak_with_files_mb"]
