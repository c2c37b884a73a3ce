"""What every initialisation and deformable-layer implementation must do."""

import pytest
import torch
from torch import nn

from tests.support.deform_cases import CASES, device_for, largest_faults, value_and_gradients
from yolact_bench.deform import DEFORM_IMPLEMENTATIONS, torchvision_deform
from yolact_bench.errors import SpecError
from yolact_bench.model.backbone import BACKBONES
from yolact_bench.model.backbone.dcn import nowhere
from yolact_bench.model.backbone.weights import INITS


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", sorted(DEFORM_IMPLEMENTATIONS))
def test_without_offsets_a_deformable_convolution_is_a_plain_one(name: str, stride: int) -> None:
    """Offsets 0 and modulation 1 leave weight, bias, stride and padding 1."""
    device = device_for(name)
    torch.manual_seed(0)
    plain = nn.Conv2d(5, 7, 3, stride=stride, padding=1, device=device)
    x = torch.randn(2, 5, 11, 8, device=device)
    wanted = plain(x)
    h, w = wanted.shape[-2:]
    assert plain.bias is not None
    offset, modulation = x.new_zeros(2, 18, h, w), x.new_ones(2, 9, h, w)
    found = DEFORM_IMPLEMENTATIONS[name](x, offset, modulation, plain.weight, plain.bias, stride)
    assert torch.allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("name", sorted(DEFORM_IMPLEMENTATIONS))
def test_offsets_are_dy_dx_of_each_tap_in_turn(name: str) -> None:
    """Moving the centre tap (number 4) one row down reads the pixel below."""
    x = torch.arange(25.0, device=device_for(name)).reshape(1, 1, 5, 5)
    weight = x.new_zeros(1, 1, 3, 3)
    weight[0, 0, 1, 1] = 1.0
    offset = x.new_zeros(1, 18, 5, 5)
    offset[:, 2 * 4] = 1.0  # dy of tap 4
    modulation, bias = x.new_ones(1, 9, 5, 5), x.new_zeros(1)
    found = DEFORM_IMPLEMENTATIONS[name](x, offset, modulation, weight, bias, 1)
    assert torch.equal(found[0, 0, :4], x[0, 0, 1:])
    assert bool((found[0, 0, 4] == 0).all())  # below the last row lies nothing


@pytest.mark.parametrize("case", sorted(CASES))
@pytest.mark.parametrize("name", sorted(DEFORM_IMPLEMENTATIONS))
def test_every_implementation_gives_values_and_gradients_of_torchvision(
    name: str, case: str
) -> None:
    """Float32 has 24 bits, 6e-8; sums of 9 × 18 products lose a few of them."""
    tensors, stride = CASES[case].tensors(device=device_for(name)), CASES[case].stride
    wanted = value_and_gradients(torchvision_deform, tensors, stride)
    found = value_and_gradients(DEFORM_IMPLEMENTATIONS[name], tensors, stride)
    assert [one.shape for one in found] == [one.shape for one in wanted]
    assert max(largest_faults(found, wanted)) < 2e-6
    with torch.inference_mode():
        again = DEFORM_IMPLEMENTATIONS[name](*tensors, stride)
    assert max(largest_faults([again], wanted[:1])) < 2e-6


@pytest.mark.parametrize("name", sorted(DEFORM_IMPLEMENTATIONS))
def test_a_layer_may_lie_in_memory_as_it_likes(name: str) -> None:
    """Channels last, a batch cut from a larger one, offsets and modulation of one convolution."""
    case = CASES["odd sizes"]
    x, offset, modulation, weight, bias = case.tensors(device=device_for(name))
    wanted = torchvision_deform(x, offset, modulation, weight, bias, 1)
    both = torch.cat([offset, modulation], 1).contiguous(memory_format=torch.channels_last)
    cut = torch.cat([x, x, x])[2:4].contiguous(memory_format=torch.channels_last)
    last = weight.contiguous(memory_format=torch.channels_last)
    strided = torch.stack([x, x], -1)[..., 0]
    for other in (cut, strided):
        found = DEFORM_IMPLEMENTATIONS[name](other, both[:, :18], both[:, 18:], last, bias, 1)
        assert max(largest_faults([found], [wanted])) < 2e-6


@pytest.mark.parametrize("name", sorted(INITS))
def test_an_initialisation_fills_a_backbone_or_says_why_it_cannot(
    name: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights on this machine load; those that would be downloaded are refused in words."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", _no_network)
    backbone = BACKBONES["resnet18"](nowhere, torchvision_deform)
    other = BACKBONES["resnet18"](nowhere, torchvision_deform)
    assert isinstance(backbone, nn.Module)
    assert isinstance(other, nn.Module)
    file = f"{tmp_path}/weights.pth"
    torch.save(other.state_dict(), file)
    before = [p.clone() for p in backbone.parameters()]
    if name == "imagenet":
        with pytest.raises(SpecError, match=r"init: \{name: none\}"):
            INITS[name](backbone)
    else:
        INITS[name](backbone, **({"file": file} if name == "checkpoint" else {}))
    if name == "zero_gamma":
        return  # test_residual_blocks_that_begin_at_zero_are_the_identity
    wanted = list(other.parameters()) if name == "checkpoint" else before
    pairs = zip(backbone.parameters(), wanted, strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


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
