"""Initial weights of the backbone: what each entry leaves, loads or refuses."""

from pathlib import Path

import pytest
import torch
from torch import nn

from yolact_bench.deform.layer import torchvision_deform
from yolact_bench.errors import SpecError
from yolact_bench.model.backbone import BACKBONES, Backbone
from yolact_bench.model.backbone.dcn import nowhere
from yolact_bench.weights.initial import INITS


def resnet18() -> Backbone:
    return BACKBONES["resnet18"](nowhere, torchvision_deform)


def test_imagenet_weights_that_cannot_be_downloaded_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to write instead."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_network)
    with pytest.raises(SpecError, match=r"init: \{name: none\}"):
        INITS["imagenet"](resnet18())


def test_a_checkpoint_gives_a_backbone_the_weights_of_its_file(tmp_path: Path) -> None:
    other, backbone = resnet18(), resnet18()
    torch.save(other.state_dict(), tmp_path / "weights.pth")
    INITS["checkpoint"](backbone, file=str(tmp_path / "weights.pth"))
    pairs = zip(backbone.parameters(), other.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_none_leaves_the_random_weights() -> None:
    backbone = resnet18()
    before = [parameter.clone() for parameter in backbone.parameters()]
    INITS["none"](backbone)
    assert all(torch.equal(a, b) for a, b in zip(backbone.parameters(), before, strict=True))


@pytest.mark.parametrize(("name", "blocks"), [("resnet18", 8), ("resnet50", 16), ("darknet53", 23)])
def test_residual_blocks_that_begin_at_zero_are_the_identity(name: str, blocks: int) -> None:
    """2 + 2 + 2 + 2, 3 + 4 + 6 + 3 and 1 + 2 + 8 + 8 + 4 blocks; no other batch norm is at 0."""
    backbone = BACKBONES[name](nowhere, torchvision_deform)
    assert isinstance(backbone, nn.Module)
    INITS["zero_gamma"](backbone)
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    zero = [m for m in norms if not m.weight.any()]
    assert len(zero) == blocks
    assert all(m.weight.eq(1).all() for m in norms if m not in zero)


def _no_network(*_: object, **__: object) -> None:
    raise OSError("there is no network here")
