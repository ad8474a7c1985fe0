"""The vision transformer."""

import pytest
import torch

from tasks.errors import BadSettings
from tasks.inputs.traits import ImageTraits
from tasks.models.architectures import vit

SETTINGS = vit.Settings(patch_size=2, layers=1, hidden_size=16, heads=2, decoder_hidden_size=8)


def test_every_patch_knows_where_it_is() -> None:
    model = vit.build(SETTINGS, ImageTraits(1, 8, 8))
    for positions in (
        model["encoder"].vit.embeddings.position_embeddings,
        model["patch_decoder"].decoder_pos_embed,
    ):
        assert positions.shape[1] == 17
        assert len(positions[0].unique(dim=0)) == 17


def test_features_of_a_whole_image_take_nothing_from_chance_or_the_order_of_patches() -> None:
    torch.manual_seed(0)
    encoder = vit.build(SETTINGS, ImageTraits(3, 8, 8))["encoder"]
    images = torch.rand(4, 3, 8, 8)
    torch.manual_seed(1)
    first = encoder(images)
    torch.manual_seed(2)
    assert encoder(images).equal(first)
    shuffled = torch.stack([torch.randperm(16) for _ in images])
    hidden = encoder.vit(images, noise=shuffled).last_hidden_state
    torch.testing.assert_close(hidden[:, 1:].mean(1), first)


@pytest.mark.parametrize(("side", "patch"), [(8, 3), (28, 5), (7, 4)])
def test_patches_that_do_not_fit_are_refused(side: int, patch: int) -> None:
    settings = SETTINGS.model_copy(update={"patch_size": patch})
    expected = (
        f"vit.patch_size is {patch}, which does not divide the side of the images, {side} pixels: "
        f"choose one of {'1, 2, 4, 8' if side == 8 else '1, '}"
    )
    with pytest.raises(BadSettings) as error:
        vit.build(settings, ImageTraits(1, side, side))
    assert str(error.value).startswith(expected)


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(BadSettings, match=r"the images are 5 × 7 pixels.*set the corpus' clean\.s"):
        vit.build(SETTINGS, ImageTraits(1, 7, 5))


@pytest.mark.parametrize("name", ["hidden_size", "decoder_hidden_size"])
def test_heads_that_do_not_divide_the_width_are_refused(name: str) -> None:
    with pytest.raises(BadSettings, match=rf"vit: heads \(3\) must divide {name} \(16\)"):
        vit.Settings.parse(
            {"hidden_size": 24, "decoder_hidden_size": 24, "heads": 3, name: 16}, "vit"
        )
