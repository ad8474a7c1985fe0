"""Plots of a comparison are pictures of a size that can be read, however many slices there are."""

import base64
import io

import pytest
from PIL import Image

from tasks.metrics.predictions import Labelled
from tasks.promotion.comparison.comparison import Side, compare
from tasks.promotion.comparison.plots import reliability, slice_plot
from tasks.promotion.comparison.schema import Comparison
from tasks.promotion.settings import PromotionSettings

SETTINGS = PromotionSettings.parse({"review": {"bootstrap_samples": 100}}, "register")


@pytest.fixture(scope="module")
def comparison(strong: Side, weak: Side, digits: Labelled) -> Comparison:
    return compare("digits", strong, weak, digits, SETTINGS)


def _size(address: str) -> tuple[int, int]:
    png = base64.b64decode(address.removeprefix("data:image/png;base64,"))
    with Image.open(io.BytesIO(png)) as image:
        return image.size


def test_both_plots_can_be_read(comparison: Comparison) -> None:
    assert min(_size(reliability(comparison))) > 400
    assert min(_size(slice_plot(comparison))) > 400
    assert reliability(comparison) == reliability(comparison)


def test_many_slices_are_cut_to_the_worst_and_none_leave_an_empty_plot(
    comparison: Comparison,
) -> None:
    many: Comparison = {**comparison, "slices": comparison["slices"] * 30}
    assert _size(slice_plot(many))[1] < 1600
    assert _size(slice_plot({**comparison, "slices": []}))[1] > 100
