"""The rows of the benchmark of heads."""

import pytest
import yaml

from benchmarks.heads import PARTS, make_params
from tasks.contracts.params import check_params


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("parts", [list(PARTS), *([part] for part in PARTS)])
def test_its_rows_are_valid_of_all_parts_and_of_each(parts: list[str], quick: bool) -> None:
    params = make_params(parts, 2, quick=quick)
    check_params(yaml.safe_load(yaml.safe_dump(params)))
    num_models = {"regression": 2, "student": 3}
    assert len(params["models"]) == 2 * sum(num_models.get(part, 1) for part in parts)
    assert len(params["corpora"]) == len(parts)


def test_a_student_has_at_most_a_quarter_of_its_teachers_vectors() -> None:
    params = make_params(["student"], 1, quick=False)
    sizes = {
        name: row["pretrain"]["cooccurrence"]["vocabulary_size"]
        * row["pretrain"]["wordvectors"]["hidden_size"]
        for name, row in params["backbones"].items()
    }
    assert 4 * sizes["r8-small-0"] <= sizes["r8-large-0"]
