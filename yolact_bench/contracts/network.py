"""What the parts of a network, and what executes it, must do."""

import torch

from yolact_bench.build import load_detector
from yolact_bench.catalog import components
from yolact_bench.deform.layer import torchvision_deform
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import level_sizes
from yolact_bench.model.backbone import Backbone
from yolact_bench.model.backbone.dcn import every_block, nowhere
from yolact_bench.model.inference.fold import fold_batch_norm
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.network import Yolact
from yolact_bench.runtime.runtime import Runtime
from yolact_bench.shapes import needs_features
from yolact_bench.slots import defaults_of, fact, options_of, pick

_STRIDES = (8, 16, 32)  # of C3, C4 and C5


def backbone_halves_sides_rounded_up(slot: str, name: str) -> None:
    """C3, C4 and C5 have strides of 8, 16 and 32, and the channels that are stated."""
    with torch.device("meta"):
        backbone = _backbone(name)
        for side in (96, 101):
            features = backbone(torch.empty(2, 3, side, side))
            wanted = zip(backbone.channels, _STRIDES, strict=True)
            assert [tuple(f.shape) for f in features] == [
                (2, channels, -(-side // stride), -(-side // stride)) for channels, stride in wanted
            ]


def backbone_states_its_facts(slot: str, name: str) -> None:
    """Normalisation of red, green and blue, ImageNet weights, the ends of residual branches."""
    with torch.device("meta"):
        backbone = _backbone(name)
    assert len(backbone.mean) == len(backbone.std) == 3
    assert all(0 <= m < 256 for m in backbone.mean)
    assert all(s > 0 for s in backbone.std)
    assert (fact(components(slot)[name], "imagenet") or "") == backbone.imagenet
    own = set(backbone.modules())
    assert all(norm in own for norm in backbone.residual_norms())


def backbone_places_deformable_layers_or_refuses(slot: str, name: str) -> None:
    """A refusal says what to write instead."""
    with torch.device("meta"):
        try:
            backbone = components(slot)[name](every_block, torchvision_deform)
        except SpecError as error:
            assert "nowhere" in str(error)
            return
        layers = sum(key.endswith("offset_mask.weight") for key in backbone.state_dict())
        assert backbone.placed, "it ignores where deformable layers are to be; raise a SpecError"
        assert layers == len(backbone.placed)
        backbone(torch.empty(1, 3, 64, 64))


def backbone_is_folded(slot: str, name: str) -> None:
    """All batch norms but the stated go into convolutions; features stay, up to rounding."""
    stated = fact(components(slot)[name], "unfolded_norms") or 0
    backbone = _backbone(name).eval()
    for part in backbone.modules():
        if isinstance(part, torch.nn.BatchNorm2d) and part.running_mean is not None:
            part.running_mean.fill_(0.1)
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = backbone(x)
        left = fold_batch_norm(backbone, x)
        assert left == stated, f"{left} batch norms stay, which costs time; {stated} are stated"
        for level, want in zip(backbone(x), wanted, strict=True):
            assert torch.allclose(level, want, rtol=1e-3, atol=1e-4 * float(want.abs().max()))


def runtime_keeps_what_a_network_computes(slot: str, name: str) -> None:
    """Prepared from what it asks for: the network as trained, or its inference copy."""
    runtime: Runtime = pick(slot, components(slot), {"name": name})()
    network = load_detector("yolact_tiny", image_size=72, protonet={"name": "fcn", "k": 4}).network
    assert isinstance(network, Yolact)
    x = torch.randn(1, 3, 72, 72, generator=torch.Generator().manual_seed(0))
    given = InferenceNetwork(network) if runtime.inference_copy else network
    with torch.no_grad(), runtime.context("cpu"):
        raw, wanted = runtime.prepare(given)(x), network(x)
    for output in ("boxes", "class_logits", "coefficients", "prototypes"):
        assert torch.allclose(getattr(raw, output), getattr(wanted, output), atol=1e-4)


def init_fills_a_backbone_or_refuses(slot: str, name: str) -> None:
    """Names and shapes stay, values are finite; those with a required option are left out.

    Nothing is downloaded: what needs ImageNet weights gets a backbone that has none.
    """
    init = components(slot)[name]
    if defaults_of(init).keys() < options_of(init).keys():
        return
    backbone = _backbone("resnet18")
    before = {key: value.shape for key, value in backbone.state_dict().items()}
    backbone.imagenet = "" if fact(init, "needs_imagenet") else backbone.imagenet
    try:
        init(backbone)
    except SpecError as error:
        assert "init: {name: " in str(error)
    else:
        assert not fact(init, "needs_imagenet"), "it has no weights for a backbone without ImageNet"
    assert {key: value.shape for key, value in backbone.state_dict().items()} == before
    assert all(bool(value.isfinite().all()) for value in backbone.state_dict().values())


def placement_names_blocks_that_exist(slot: str, name: str) -> None:
    """Of a ResNet-50."""
    blocks = (3, 4, 6, 3)
    for stage, block in components(slot)[name](blocks):
        assert 0 <= block < blocks[stage]


def fpn_halves_five_levels(slot: str, name: str) -> None:
    """Of the width that it states."""
    fpn = components(slot)[name]((32, 64, 128))
    levels = fpn([torch.rand(1, c, s, s) for c, s in ((32, 20), (64, 10), (128, 5))])
    assert [tuple(x.shape) for x in levels] == [(1, fpn.channels, s, s) for s in (20, 10, 5, 3, 2)]


def protonet_has_twice_the_side_of_p3(slot: str, name: str) -> None:
    """Channels last, and as many as it states."""
    protonet = components(slot)[name](16)
    prototypes = protonet(torch.randn(2, 16, 9, 9))
    assert prototypes.shape == (2, 18, 18, protonet.k)
    assert bool(prototypes.isfinite().all())


def head_has_a_row_for_every_anchor(slot: str, name: str) -> None:
    """Boxes, class logits and coefficients."""
    head = components(slot)[name](16, 3, 5, 7)
    outputs = head([torch.randn(2, 16, side, side) for side in (4, 2)])
    assert [tuple(x.shape) for x in outputs] == [(2, 3 * (16 + 4), width) for width in (4, 6, 7)]
    assert all(bool(x.isfinite().all()) for x in outputs)


def rescore_net_has_a_value_for_every_class(slot: str, name: str) -> None:
    """From masks alone, or from masks, boxes and P3 … P7 where it says so; of no mask too."""
    net = components(slot)[name](5, 138, 8, 550)
    if net is None:
        assert fact(components(slot)[name], "makes_nothing")
        return
    features = tuple(torch.rand(1, 8, side, side) for side in level_sizes(550))
    for count in (3, 0):
        where = (torch.tensor([[0.1, 0.2, 0.5, 0.9]]).expand(count, 4), features)
        iou = net(torch.rand(count, 1, 138, 138), *(where if needs_features(net) else ()))
        assert iou.shape == (count, 5)


def _backbone(name: str) -> Backbone:
    backbone: Backbone = components("backbone")[name](nowhere, torchvision_deform)
    return backbone
