"""A model's folder."""

from pathlib import Path

import pytest

from tasks.errors import BadInput
from tasks.models.architectures import convnet, vit
from tasks.models.model import architecture_of, describe


def test_a_folder_says_which_architecture_it_holds(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no downstream\.json"):
        architecture_of(tmp_path)
    describe(tmp_path, architecture="convnet")
    assert architecture_of(tmp_path) is convnet
    describe(tmp_path, architecture="vit")
    assert architecture_of(tmp_path) is vit
