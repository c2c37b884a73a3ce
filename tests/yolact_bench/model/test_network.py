"""The whole network: size, anchors and stages of every preset."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from yolact_bench.build import build_network, load_detector
from yolact_bench.deform.layer import DeformableConv2d, torchvision_deform
from yolact_bench.errors import SpecError
from yolact_bench.geometry.anchors import anchor_grid, level_sizes, one_scale
from yolact_bench.model.backbone import BACKBONES
from yolact_bench.model.backbone.backbone import Block
from yolact_bench.model.backbone.dcn import every_nth, last_blocks
from yolact_bench.model.batch_norm import set_training_mode
from yolact_bench.resolve import resolve_architecture
from yolact_bench.slots import fact
from yolact_bench.spec.presets import PRESETS, preset
from yolact_bench.weights.initial import load_backbone

RESNET101 = (3, 4, 23, 3)

# Trainable parameters of the reference's models, from running it (buffers not counted).
REFERENCE_PARAMETERS = {
    "yolact_r50": 31_164_943,
    "yolact_r101": 50_157_071,
    "yolact_r101_im700": 50_157_071,
    "yolact_darknet53": 47_783_087,
    "yolact_r50_sbd": 30_734_623,
    "yolact_plus_r50": 33_766_460,
    "yolact_plus_r101": 52_571_142,
}
# Cells of P3 … P7 times anchors per cell: (69² + 35² + 18² + 9² + 5²) · 3 = 19 248, and so on.
REFERENCE_ANCHORS = {"yolact_r50": 19_248, "yolact_plus_r50": 57_744, "yolact_r101_im700": 30_963}


def on_meta(name: str) -> nn.Module:
    with torch.device("meta"):
        return build_network(resolve_architecture(preset(name)), initial=False)


@pytest.mark.parametrize("name", sorted(REFERENCE_PARAMETERS))
def test_a_preset_has_as_many_parameters_as_the_reference(name: str) -> None:
    assert sum(p.numel() for p in on_meta(name).parameters()) == REFERENCE_PARAMETERS[name]


@pytest.mark.parametrize("name", sorted(REFERENCE_ANCHORS))
def test_a_preset_has_as_many_anchors_as_the_reference(name: str) -> None:
    network = on_meta(name)
    assert len(network.anchors) == REFERENCE_ANCHORS[name]


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_gives_predictions_of_matching_shapes(name: str) -> None:
    network = on_meta(name).train()
    run = preset(name)
    with torch.device("meta"):
        raw = network(torch.empty(2, 3, run.image_size, run.image_size))
    anchors, k = len(raw.anchors), int(run.protonet["k"])
    p3 = level_sizes(run.image_size)[0]
    assert raw.boxes.shape == (2, anchors, 4)
    assert raw.class_logits.shape == (2, anchors, len(run.classes) + 1)
    assert raw.coefficients.shape == (2, anchors, k)
    assert raw.prototypes.shape == (2, 2 * p3, 2 * p3, k)
    assert raw.semantic is not None
    assert raw.semantic.shape == (2, len(run.classes), p3, p3)


def test_levels_of_550_and_700_px_have_the_sides_of_the_reference() -> None:
    assert level_sizes(550) == [69, 35, 18, 9, 5]
    assert level_sizes(700) == [88, 44, 22, 11, 6]


def test_square_anchors_are_three_sizes_and_not_three_ratios() -> None:
    """24 px: s, s/√2 and s·√2 are 24, 17.0 and 33.9; the height equals the width."""
    first_cell = anchor_grid(one_scale(), 550)[:3] * 550
    assert np.allclose(first_cell[:, 2], [24, 24 / 2**0.5, 24 * 2**0.5], atol=1e-3)
    assert torch.equal(first_cell[:, 2], first_cell[:, 3])


def test_interval_3_on_resnet101_gives_the_layers_of_the_published_model() -> None:
    """conv3_x: blocks 0, 3. conv4_x: 0, 3, …, 21. conv5_x: 0. So 2 + 8 + 1."""
    placed = every_nth(RESNET101, n=3)
    assert len(placed) == 11
    assert {block for stage, block in placed if stage == 1} == {0, 3}
    assert {block for stage, block in placed if stage == 2} == set(range(0, 23, 3))


@pytest.mark.parametrize("name", [n for n, make in BACKBONES.items() if fact(make, "blocks")])
def test_a_backbone_tells_its_placement_the_blocks_that_it_states(name: str) -> None:
    asked = []

    def place(blocks: Sequence[int]) -> frozenset[Block]:
        asked.append(tuple(blocks))
        return frozenset()

    with torch.device("meta"):
        BACKBONES[name](place, torchvision_deform)
    assert asked == [fact(BACKBONES[name], "blocks")]


def test_the_last_ten_blocks_of_resnet101_are_conv5_and_seven_of_conv4() -> None:
    placed = last_blocks(RESNET101, n=10)
    assert {b for s, b in placed if s == 3} == {0, 1, 2}
    assert {b for s, b in placed if s == 2} == set(range(16, 23))
    message = r"dcn\.last_blocks\.n: expected 1 to 33 blocks, got 34"  # 3 + 4 + 23 + 3
    with pytest.raises(SpecError, match=message):
        last_blocks(RESNET101, n=34)


def test_a_fresh_deformable_layer_is_half_of_the_plain_one() -> None:
    """Offsets start at 0 and the modulation at sigmoid(0) = 1/2."""
    torch.manual_seed(0)
    plain = nn.Conv2d(4, 6, 3, stride=2, padding=1, bias=False)
    x = torch.randn(1, 4, 9, 9)
    wanted = plain(x) / 2
    assert torch.allclose(DeformableConv2d(plain, torchvision_deform)(x), wanted, atol=1e-6)


def test_p6_and_p7_have_no_relu_and_p3_to_p5_have_one() -> None:
    torch.manual_seed(0)
    detector = load_detector("yolact_tiny")
    with torch.no_grad():
        levels = detector.network.fpn(detector.network.backbone(torch.randn(1, 3, 160, 160)))
    assert [bool((level < 0).any()) for level in levels] == [False, False, False, True, True]


def test_two_differently_configured_networks_live_in_one_process() -> None:
    """The reference's global configuration made this impossible."""
    small = load_detector("yolact_tiny", protonet={"name": "fcn", "k": 4, "channels": 64})
    large = load_detector("yolact_tiny")
    x = torch.zeros(1, 3, 160, 160)
    with torch.no_grad():
        shapes = [net.network(x).prototypes.shape[-1] for net in (small, large, small)]
    assert shapes == [4, 16, 4]


def test_frozen_batch_norm_neither_moves_nor_trains() -> None:
    network = load_detector("yolact_tiny").network
    set_training_mode(network, frozen_batch_norm=True)
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    before = [m.running_mean.clone() for m in norms]
    network(torch.randn(2, 3, 160, 160))
    assert all(torch.equal(a, m.running_mean) for a, m in zip(before, norms, strict=True))
    assert not any(p.requires_grad for m in norms for p in m.parameters())
    set_training_mode(network, frozen_batch_norm=False)
    assert all(p.requires_grad for m in norms for p in m.parameters())


def test_plain_imagenet_weights_fit_a_deformable_backbone_and_nothing_else_may_miss() -> None:
    plain = load_detector("yolact_tiny").network.backbone
    state = plain.state_dict() | {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    deformable = load_detector("yolact_tiny", dcn={"name": "every_block"}).network.backbone
    load_backbone(deformable, state, source="test")
    assert torch.equal(deformable.layer2[0].conv2.weight, plain.layer2[0].conv2.weight)

    del state["layer3.0.conv1.weight"]
    with pytest.raises(SpecError, match=r"layer3\.0\.conv1\.weight"):
        load_backbone(deformable, state, source="test")


def test_weights_are_loaded_by_the_names_that_a_backbone_gives_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Those of torchvision as those of a file: both go through `load_backbone`."""
    backbone = load_detector("yolact_tiny").network.backbone
    state = {f"features.{key}": value for key, value in backbone.state_dict().items()}
    with pytest.raises(SpecError, match=r"does not fit the backbone: .*features\."):
        load_backbone(backbone, state, source="test")
    monkeypatch.setattr(
        type(backbone),
        "own_names",
        lambda self, state: {key.removeprefix("features."): state[key] for key in state},
    )
    load_backbone(backbone, state, source="test")
