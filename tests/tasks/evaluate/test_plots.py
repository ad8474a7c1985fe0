"""Plots are drawn for any labels, byte for byte the same."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.contracts import files
from tasks.evaluate.evaluation import Evaluation, Metrics
from tasks.evaluate.plots import write_plots
from tasks.metrics.scores import Scored


def _evaluation(labels: list[str], num_records: int) -> Evaluation:
    generator = np.random.default_rng(0)
    true = generator.integers(len(labels), size=num_records)
    scores = generator.dirichlet(np.ones(len(labels)), num_records)
    model = Scored(true, scores.argmax(axis=1), scores)
    return Evaluation(
        name="m",
        corpus="c",
        modality="text",
        labels=labels,
        split_sizes={},
        num_trained=80,
        num_unlabelled=0,
        folds=None,
        model=model,
        slices=[],
        baselines={},
        metrics={"model": Metrics({}, {})},
    )


@pytest.mark.parametrize(
    ("labels", "num_records"),
    [
        (["earn", "acq", "grain"], 200),
        (["costs $5", "and $6", "体育", "\n"], 50),
        ([f"class number {n} of very many" for n in range(70)], 300),
        (["a", "b"], 1),
    ],
)
def test_all_plots_are_written_whatever_the_labels(
    labels: list[str], num_records: int, tmp_path: Path
) -> None:
    write_plots(tmp_path, _evaluation(labels, num_records), 15)
    sizes = {}
    for path in sorted(tmp_path.iterdir()):
        with Image.open(path) as image:
            assert "Software" not in image.info
            sizes[path.name] = min(image.size)
    assert list(sizes) == ["confusion.png", "reliability.png", "roc.png"]
    assert min(sizes.values()) >= 400


def test_equal_results_give_equal_bytes_whatever_the_user_has_configured(tmp_path: Path) -> None:
    import matplotlib

    evaluation = _evaluation(["a", "b", "c"], 60)
    write_plots(tmp_path / "one", evaluation, 15)
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "savefig.dpi": 30}):
        write_plots(tmp_path / "two", evaluation, 15)
        assert matplotlib.rcParams["font.size"] == 30
    assert files.sha256_of_folder(tmp_path / "one") == files.sha256_of_folder(tmp_path / "two")
