"""The inference copy of a network computes what the network does, up to rounding."""

import pytest
import torch
from torch import Tensor, nn

from yolact_bench.build import load_detector
from yolact_bench.deform.layer import DeformableConv2d
from yolact_bench.model.inference.fold import fold_batch_norm
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.inference.merged_head import merge_branches
from yolact_bench.model.network import Yolact
from yolact_bench.model.protocols import Head
from yolact_bench.shapes import Predictions

OUTPUTS = ("boxes", "class_logits", "coefficients", "prototypes")


def network(preset: str = "yolact_tiny", **slots: object) -> Yolact:
    """With statistics and offsets that are not those of a fresh network."""
    torch.manual_seed(0)
    made = load_detector(preset, image_size=96, **slots).network
    assert isinstance(made, Yolact)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None and module.running_var is not None
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
        if isinstance(module, DeformableConv2d):
            nn.init.normal_(module.offset_mask.weight, 0, 0.02)
    return made


def furthest(found: Predictions, wanted: Predictions) -> float:
    """The largest difference of any output, in parts of its largest value."""
    return max(
        float((getattr(found, name) - getattr(wanted, name)).abs().max())
        / float(getattr(wanted, name).abs().max())
        for name in OUTPUTS
    )


def predicted(net: nn.Module, dtype: torch.dtype = torch.float32) -> Predictions:
    x = torch.randn(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        raw: Predictions = net(x.to(dtype))
    return raw


@pytest.mark.parametrize(
    ("backbone", "dcn", "folded"),
    # 1 + 2·8 + 3 shortcuts; 1 + 3·16 + 4 shortcuts; 1 + 5 strided + 2·23.
    [
        ("resnet18", "every_block", 20),
        ("resnet50", "every_block", 53),
        ("darknet53", "nowhere", 52),
    ],
)
def test_every_batch_norm_is_folded_and_nothing_but_rounding_changes(
    backbone: str, dcn: str, folded: int
) -> None:
    """In float64, where rounding cannot hide a mistake; a wrong eps alone makes 1e-6."""
    made = network(backbone={"name": backbone}, dcn={"name": dcn})
    anchors = made.anchors
    made.double().anchors = anchors
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in made.modules())
    assert norms == folded
    copied = InferenceNetwork(made, dtype=torch.float64)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in copied.modules())
    assert furthest(predicted(copied, torch.float64), predicted(made, torch.float64)) < 1e-10


def test_in_float32_a_copy_agrees_to_rounding() -> None:
    made = network()
    assert furthest(predicted(InferenceNetwork(made)), predicted(made)) < 2e-5


def test_a_copy_leaves_the_network_as_it_was() -> None:
    made = network(dcn={"name": "every_block"})
    before = {name: value.clone() for name, value in made.state_dict().items()}
    InferenceNetwork(made, dtype=torch.bfloat16)
    after = made.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(value.is_contiguous() for value in after.values())


def test_a_batch_norm_that_does_not_follow_its_convolution_is_left_alone() -> None:
    """In a pre-activation block bn1 comes before conv1; the order seen is what counts."""

    class PreActivation(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = self.conv1(self.bn1(x))
            return out

    block = PreActivation().eval()
    assert block.bn1.running_mean is not None
    block.bn1.running_mean.fill_(5.0)
    x = torch.randn(1, 3, 4, 4)
    wanted = block(x)
    assert fold_batch_norm(block, x) == 1
    assert torch.equal(block(x), wanted)


class Plain(Head):
    """A head of another package, without a form for inference."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, levels: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        out: tuple[Tensor, Tensor, Tensor] = self.head(levels)
        return out


def test_a_head_without_a_form_for_inference_is_copied_as_it_is() -> None:
    made = network()
    made.head = Plain(made.head)
    copied = InferenceNetwork(made)
    assert isinstance(copied.head, Plain)
    assert copied.unfolded_norms == 0
    assert furthest(predicted(copied), predicted(made)) < 2e-5


class Shared(nn.Module):
    """A convolution whose output the batch norm behind it is not alone to read, and one before."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.of_stem = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)
        self.both, self.of_both = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        stem: Tensor = self.both(self.of_stem(self.stem(x)))
        return stem + self.of_both(stem)


def test_a_convolution_that_others_read_too_keeps_its_batch_norm() -> None:
    """Names do not matter: what runs shows that `stem` can be folded and `both` cannot."""
    module, x = Shared().eval(), torch.randn(1, 3, 4, 4)
    for norm in (module.of_stem, module.of_both):
        assert norm.running_mean is not None
        norm.running_mean.fill_(5.0)
    wanted = module(x)
    assert fold_batch_norm(module, x) == 1
    assert isinstance(module.of_stem, nn.Identity)
    assert isinstance(module.of_both, nn.BatchNorm2d)
    assert torch.allclose(module(x), wanted, atol=1e-5)


def test_a_copy_knows_how_many_batch_norms_stay() -> None:
    made = network()
    made.fpn = nn.Sequential(made.fpn, _Norms(made.fpn.channels))  # type: ignore[assignment]
    assert InferenceNetwork(made).unfolded_norms == 1


class _Norms(nn.Module):
    """A batch norm of levels, which follows no convolution directly."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        return [self.norm(level + 1.0) for level in levels]


def test_merged_branches_give_each_anchor_one_row() -> None:
    """Two anchors, widths 1 and 2: rows are a0 b0 b1 of the first anchor, then of the second."""
    a, b = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 4, 1)
    merged = merge_branches([a, b], (1, 2))
    order = torch.cat([a.weight[:1], b.weight[:2], a.weight[1:], b.weight[2:]])
    assert torch.equal(merged.weight, order)
    assert a.bias is not None and b.bias is not None
    assert torch.equal(merged.bias, torch.cat([a.bias[:1], b.bias[:2], a.bias[1:], b.bias[2:]]))


def test_in_bf16_the_whole_copy_is_halves_but_the_anchors_and_what_it_returns() -> None:
    made = network()
    copied = InferenceNetwork(made, dtype=torch.bfloat16)
    stages = (copied.backbone, copied.fpn, copied.protonet, copied.head)
    assert {p.dtype for stage in stages for p in stage.parameters()} == {torch.bfloat16}
    assert copied.anchors.dtype == torch.float32
    raw, wanted = predicted(copied), predicted(made)
    assert raw.boxes.dtype == raw.prototypes.dtype == torch.float32  # what decoding needs
    assert furthest(raw, wanted) < 0.1


def test_torchvisions_deformable_layer_keeps_its_float32_weights_in_bf16() -> None:
    """It has no kernel for halves; autocast, too, gives it the weights unrounded."""
    made = network(dcn={"name": "every_block"})
    copied = InferenceNetwork(made, dtype=torch.bfloat16)
    layers = [m for m in copied.modules() if isinstance(m, DeformableConv2d)]
    assert len(layers) == 6  # two blocks in each of C3, C4 and C5
    assert {layer.weight.dtype for layer in layers} == {torch.float32}
    assert {layer.offset_mask.weight.dtype for layer in layers} == {torch.bfloat16}
    assert furthest(predicted(copied), predicted(made)) < 0.1


def test_a_copy_has_the_feature_maps_for_a_network_that_re_scores_from_them() -> None:
    slots = {"rescore_net": {"name": "mask_scoring", "hidden": 8}, "rescore": {"name": "mask_iou"}}
    made = network(**slots)
    features = predicted(InferenceNetwork(made)).features
    wanted = predicted(made).features
    assert features is not None and wanted is not None
    for ours, theirs in zip(features, wanted, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max()))


def test_a_copy_has_no_semantic_branch() -> None:
    copied = InferenceNetwork(network())
    assert not any("semantic" in name for name, _ in copied.named_parameters())


@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)])
def test_a_copy_re_scores_masks_in_its_precision(dtype: torch.dtype, limit: float) -> None:
    made = network(rescore_net={"name": "mask_iou", "channels": [8, 8]})
    copied = InferenceNetwork(made, dtype=dtype)
    assert made.rescore_net is not None and copied.rescore_net is not None
    assert {p.dtype for p in copied.rescore_net.parameters()} == {dtype}
    assert {p.dtype for p in made.rescore_net.parameters()} == {torch.float32}
    masks = torch.rand(3, 1, 24, 24)
    with torch.no_grad():
        found, wanted = copied.rescore_net(masks), made.rescore_net(masks)
    assert found.dtype == torch.float32
    assert torch.allclose(found, wanted, rtol=0, atol=limit * float(wanted.max()))


def test_a_network_that_re_scores_from_feature_maps_stays_as_trained() -> None:
    made = network(rescore_net={"name": "mask_scoring", "hidden": 8})
    assert InferenceNetwork(made, dtype=torch.bfloat16).rescore_net is made.rescore_net
