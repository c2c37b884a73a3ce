"""What every backbone must do."""

import pytest
import torch

from yolact_bench.deform import torchvision_deform
from yolact_bench.errors import SpecError
from yolact_bench.model.backbone import BACKBONES
from yolact_bench.model.backbone.dcn import every_block, nowhere

EVERY = pytest.mark.parametrize("name", sorted(BACKBONES))


@EVERY
@pytest.mark.parametrize("side", [96, 101])
def test_features_have_strides_8_16_32_rounded_up(name: str, side: int) -> None:
    with torch.device("meta"):
        backbone = BACKBONES[name](nowhere, torchvision_deform)
        features = backbone(torch.empty(2, 3, side, side))
    sides = [-(-side // stride) for stride in (8, 16, 32)]
    assert [tuple(f.shape) for f in features] == [
        (2, channels, s, s) for channels, s in zip(backbone.channels, sides, strict=True)
    ]


@EVERY
def test_normalisation_is_stated_for_red_green_blue(name: str) -> None:
    with torch.device("meta"):
        backbone = BACKBONES[name](nowhere, torchvision_deform)
    assert len(backbone.mean) == len(backbone.std) == 3
    assert all(0 <= m < 256 for m in backbone.mean)
    assert all(s > 0 for s in backbone.std)


@EVERY
def test_deformable_layers_are_placed_or_refused_in_words(name: str) -> None:
    with torch.device("meta"):
        try:
            backbone = BACKBONES[name](every_block, torchvision_deform)
        except SpecError as error:
            assert name in str(error)
            assert "nowhere" in str(error)
            return
        keys = backbone.state_dict()
        assert sum(key.endswith("offset_mask.weight") for key in keys) == len(backbone.placed) > 0
        backbone(torch.empty(1, 3, 64, 64))
