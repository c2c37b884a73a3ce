"""What an image costs: known totals, sums by hand, and that nothing passes uncounted."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from runners.units.mac_formulas import FORMULAS, Formula
from runners.units.macs import IMAGE_SIZE, OBJECTS, count_stages
from runners.units.operator_cost import Cost, Counter, UncountableError, total
from yolact_bench.build import build_network
from yolact_bench.detect.nms import NMS
from yolact_bench.model.backbone import BACKBONES
from yolact_bench.model.rescore import RESCORE_NETS
from yolact_bench.resolve import resolve_architecture
from yolact_bench.spec.base_run import read_run
from yolact_bench.spec.presets import PRESETS
from yolact_bench.spec.run import Run


def run_of(name: str, **slots: object) -> Run:
    return resolve_architecture(read_run(name, relative_to=Path()).changed(slots))


def cost_of(function: object, *args: object) -> Cost:
    counter = Counter()
    with torch.inference_mode(), counter, counter.clock("head"):
        function(*args)  # type: ignore[operator]
    return counter.costs["head"]


@pytest.mark.parametrize(
    ("preset", "gflop"),
    [
        ("yolact_r50", 118.3),
        ("yolact_plus_r50", 142.3),
        ("yolact_r101", 164.7),
        ("yolact_plus_r101", 188.2),
    ],
)
def test_networks_cost_the_tally_of_their_layers(preset: str, gflop: float) -> None:
    """The tallies, made apart from this code, hold 0.3 less for sampling at deformable layers."""
    stages = count_stages(run_of(preset))
    network = [cost for stage, cost in stages.items() if stage not in {"assembly", "upsample"}]
    assert 2 * sum(cost.macs for cost in network) / 1e9 == pytest.approx(gflop, rel=0.003)


@pytest.mark.parametrize(
    ("preset", "parameters"),
    [
        ("yolact_r50", 31_164_943),
        ("yolact_r101", 50_157_071),
        ("yolact_darknet53", 47_783_087),
        ("yolact_plus_r50", 33_766_460),
        ("yolact_plus_r101", 52_571_142),
    ],
)
def test_parameters_are_those_of_the_reference_without_its_semantic_layer(
    preset: str, parameters: int
) -> None:
    """The semantic layer, 256 · 80 weights and 80 biases, serves a loss and is never run."""
    assert total(count_stages(run_of(preset))).parameters == parameters - (256 * 80 + 80)


def test_a_deformable_layer_costs_its_product_its_sampling_and_its_offsets() -> None:
    """R50: C5's second block, 18² cells: 324 · (512·512·9 + 4·9·512) + offsets 324 · 512·9·27.

    The plain convolution it replaces costs 324 · 512·512·9.
    """
    from yolact_bench.deform.layer import DeformableConv2d, torchvision_deform

    with torch.device("meta"):
        layer = DeformableConv2d(nn.Conv2d(512, 512, 3, padding=1), torchvision_deform)
        x = torch.empty(1, 512, 18, 18)
    product, sampling, offsets = 324 * 512 * 512 * 9, 324 * 4 * 9 * 512, 324 * 512 * 9 * 27
    assert cost_of(layer, x).macs == product + sampling + offsets


def test_assembly_and_upsampling_are_counted_for_100_objects() -> None:
    """Assembly: 138² · 32 for each object, which a CPU makes in blocks of 16, so for 112.

    Upsampling: four multiply-adds for each pixel of the image.
    """
    stages = count_stages(run_of("yolact_r50"))
    assert OBJECTS == 100
    assert stages["assembly"].macs == 112 * 138 * 138 * 32
    assert stages["upsample"].macs == 4 * 100 * IMAGE_SIZE[0] * IMAGE_SIZE[1]


def test_rescoring_costs_its_five_layers_on_every_mask() -> None:
    """138 → 68 → 33 → 16 → 7 → 3; 3×3 layers of 8 … 128 channels, a 1×1 to 80 classes."""
    layers = [(68, 1, 8), (33, 8, 16), (16, 16, 32), (7, 32, 64), (3, 64, 128)]
    each = sum(side**2 * 9 * inputs * outputs for side, inputs, outputs in layers)
    expected = 100 * (each + 3**2 * 128 * 80)
    assert count_stages(run_of("yolact_plus_r50"))["rescore"].macs == expected


def test_traffic_of_a_matrix_product_is_what_it_reads_and_writes() -> None:
    """[3, 4] · [4, 5]: 60 MACs, 12 + 20 + 15 floats of 4 bytes; its view costs nothing."""
    cost = cost_of(lambda a, b: (a @ b).reshape(15), torch.ones(3, 4), torch.ones(4, 5))
    assert (cost.macs, cost.moved_bytes, cost.fused_bytes) == (60, 4 * 47, 4 * 47)


def test_what_is_broadcast_is_read_once() -> None:
    """Six sums of a [2, 3] and an expanded [1, 3] write 6 floats and read 6 and 3."""
    cost = cost_of(torch.add, torch.ones(2, 3), torch.ones(1, 3).expand(2, 3))
    assert (cost.operations, cost.moved_bytes) == (6, 4 * (6 + 6 + 3))


def test_an_operator_without_a_formula_is_an_error_that_names_it() -> None:
    assert "aten::erfinv" not in FORMULAS
    with pytest.raises(UncountableError, match=r"aten::erfinv .*mac_formulas"):
        cost_of(torch.erfinv, torch.zeros(2))


def test_every_entry_without_macs_says_why() -> None:
    without = Formula(reason="").macs  # the default of all
    assert all(formula.reason for formula in FORMULAS.values() if formula.macs is without)


@pytest.mark.parametrize("nms", sorted(NMS))
def test_every_nms_can_be_counted(nms: str) -> None:
    cost = count_stages(run_of("yolact_tiny", nms={"name": nms}))["nms"]
    assert cost.operations > 0 and cost.parameters == 0


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_can_be_counted(preset: str) -> None:
    stages = count_stages(run_of(preset))
    assert {"preprocess", "backbone", "fpn", "protonet", "head", "nms"} <= stages.keys()


@pytest.mark.parametrize("backbone", sorted(BACKBONES))
def test_every_backbone_can_be_counted(backbone: str) -> None:
    run = run_of("yolact_tiny", backbone={"name": backbone})
    with torch.device("meta"):
        network = build_network(run, initial=False)
    assert count_stages(run)["backbone"].parameters == sum(
        p.numel() for p in network.backbone.parameters()
    )


@pytest.mark.parametrize("net", sorted(set(RESCORE_NETS) - {"none"}))
def test_every_rescoring_network_can_be_counted(net: str) -> None:
    slots = {"rescore_net": {"name": net}, "rescore": {"name": "mask_iou"}}
    run = run_of("yolact_tiny", image_size=320, **slots)
    assert count_stages(run)["rescore"].macs > 0


def test_how_an_arm_is_executed_does_not_change_what_it_costs() -> None:
    run = run_of("yolact_tiny")
    half = run.changed({"runtime": {"name": "eager", "precision": "bf16"}})
    assert count_stages(half) == count_stages(run)


def test_counting_leaves_tensors_as_they_are() -> None:
    def doubled(x: Tensor) -> Tensor:
        return x * 2

    x = torch.ones(3)
    cost_of(doubled, x)
    assert x.tolist() == [1, 1, 1]
