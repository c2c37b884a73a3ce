"""The forward kernels: places, columns and the fused product, by either plan of sizes.

TRITON_INTERPRET=1 pytest tests/yolact_bench/deform -k triton
"""

import os
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.support.deform_cases import device_for, largest_faults
from tests.support.deform_maps import LAYERS, layer, wanted_of
from tests.support.triton_assembly import assembly, compiled_nodes
from tests.support.triton_plans import overrule
from yolact_bench.build import load_detector
from yolact_bench.deform.layer import DeformableConv2d, torchvision_deform
from yolact_bench.deform.triton_layer import convolve_map, triton_deform
from yolact_bench.deform.triton_plan import COLUMNS, LaunchPlan, plan_for
from yolact_bench.model.inference.fused import InferenceNetwork

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
PLANS = {
    "columns": COLUMNS,
    "fused": LaunchPlan(way="fused", rows_block=64, out_block=16, channels_block=16, num_warps=4),
}


@pytest.mark.parametrize("plan", sorted(PLANS))
@pytest.mark.parametrize("case", sorted(LAYERS))
def test_triton_gives_what_torchvision_gives_of_the_parts_of_a_map(case: str, plan: str) -> None:
    tensors, stride = layer(LAYERS[case]), LAYERS[case].stride
    with torch.inference_mode(), overrule(PLANS[plan]):
        found = convolve_map(*tensors, stride)
    assert max(largest_faults([found], [wanted_of(tensors, stride)])) < 1e-5
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("plan", sorted(PLANS))
@pytest.mark.parametrize("values", [torch.bfloat16, torch.float16])
def test_triton_rounds_halves_at_columns_and_at_the_result(plan: str, values: torch.dtype) -> None:
    """Against float32 on the same rounded values; bfloat16 rounds by 2^-9 each."""
    tensors = layer(LAYERS["batch 2, 5×5, stride 1"], values)
    with torch.inference_mode(), overrule(PLANS[plan]):
        found = convolve_map(*tensors, 1)
    assert found.dtype == values
    assert max(largest_faults([found], [wanted_of(tensors, 1)])) < 1e-2


@pytest.mark.parametrize("plan", sorted(PLANS))
def test_triton_sees_zeros_outside_however_far(plan: str) -> None:
    """Row by row: at the border of -1 and of H, just inside it, far outside, and at infinity."""
    x, places, weight, bias = layer(LAYERS["batch 1, 9×7, stride 1"])
    places[:, :18] = 0.0
    for row, move in enumerate((-1.0, 9.0, -0.5, 0.99, 1e4, -3e9, float("inf"), -float("inf"))):
        places[:, 0:18:2, row] = move
        places[:, 1:18:2, row, ::2] = -move
    with torch.inference_mode(), overrule(PLANS[plan]):
        found = convolve_map(x, places, weight, bias, 1)
    assert max(largest_faults([found], [wanted_of([x, places, weight, bias], 1)])) < 1e-5


@pytest.mark.parametrize("channel", [0, 1, 18])
@pytest.mark.parametrize("plan", sorted(PLANS))
def test_triton_makes_nan_of_a_place_that_is_nan_and_of_no_other(channel: int, plan: str) -> None:
    """As torchvision on a GPU: bilinear fractions of a NaN are NaN, and so is what they weigh."""
    x, places, weight, bias = layer(LAYERS["batch 2, 5×5, stride 1"])
    wanted = wanted_of([x, places, weight, bias], 1)
    places[0, channel, 2, 3] = float("nan")
    with torch.inference_mode(), overrule(PLANS[plan]):
        found = convolve_map(x, places, weight, bias, 1)
    assert bool(found[0, :, 2, 3].isnan().all())
    assert int(found.isnan().sum()) == found.shape[1]
    assert torch.allclose(found.nan_to_num(0), wanted.where(~found.isnan(), 0), atol=1e-4)


def test_the_fused_product_of_triton_applies_a_relu_and_keeps_nan() -> None:
    x, places, weight, bias = layer(LAYERS["batch 2, 5×5, stride 1"])
    from yolact_bench.deform.column_operator import deformable_product

    wanted = wanted_of([x, places, weight, bias], 1).relu()
    bias[0] = float("nan")
    matrix = weight.permute(0, 2, 3, 1).reshape(len(weight), -1)
    rows = deformable_product(x, places, matrix, bias, 1, True, [64, 16, 16], 4, rectify=True)
    found = rows.view(2, 5, 5, -1).permute(0, 3, 1, 2)
    assert bool(found[:, 0].isnan().all())
    assert max(largest_faults([found[:, 1:]], [wanted[:, 1:]])) < 1e-5


def test_a_triton_layer_trains_as_torchvisions_does() -> None:
    """All gradients, of the 27 rows of offsets as well; the five that are added have none."""
    device = device_for("triton")
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 5, 3, stride=2, padding=1, bias=False)
    ours = DeformableConv2d(plain, triton_deform).to(device)
    theirs = DeformableConv2d(plain, torchvision_deform).to(device)
    nn.init.normal_(ours.offset_mask.weight, 0, 0.2)
    theirs.load_state_dict(ours.state_dict())
    found, wanted = (_gradients(one, device) for one in (ours, theirs))
    assert max(largest_faults(found, wanted)) < 1e-5


def _gradients(trained: DeformableConv2d, device: str) -> list[Tensor]:
    x = torch.randn(2, 6, 7, 9, generator=torch.Generator().manual_seed(1)).to(device)
    leaves = [x.requires_grad_(), *trained.parameters()]
    out = trained(x)
    seed = torch.randn(out.shape, generator=torch.Generator().manual_seed(2)).to(device)
    return [out.detach(), *torch.autograd.grad(out, leaves, seed)]


def test_a_copy_for_inference_of_a_triton_network_pads_maps() -> None:
    """27 + 5 = 32 outputs in the copy; the network, and what is stored of it, keeps 27."""
    device = device_for("triton")
    slots = {"dcn": {"name": "last_blocks", "n": 1}, "image_size": 65}
    made = load_detector("yolact_tiny", deform={"name": "triton"}, device=device, **slots).network
    plain = load_detector("yolact_tiny", device=device, **slots).network
    layers = [part for part in made.modules() if isinstance(part, DeformableConv2d)]
    nn.init.normal_(layers[0].offset_mask.weight, 0, 0.02)
    plain.load_state_dict(made.state_dict())
    copied = InferenceNetwork(made, device=device)  # type: ignore[arg-type]
    padded = [part for part in copied.modules() if isinstance(part, DeformableConv2d)]
    assert [len(part.offset_mask.weight) for part in (*layers, *padded)] == [27, 32]
    x = torch.randn(1, 3, 65, 65, device=device)
    with torch.no_grad():
        found, wanted = copied(x), plain.eval()(x)
    results, expected = ([one.boxes, one.class_logits] for one in (found, wanted))
    assert max(largest_faults(results, expected)) < 1e-4


def test_a_plan_is_a_function_of_sizes() -> None:
    """Pictures alone: 69² = 4761 rows. Eight: 8 × 69² = 38088, and 8 × 18² = 2592."""
    assert plan_for(rows=69**2, channels=128, out_channels=128) == COLUMNS
    assert plan_for(rows=8 * 69**2, channels=128, out_channels=128).out_block == 128
    assert plan_for(rows=8 * 35**2, channels=256, out_channels=256).out_block == 256
    assert plan_for(rows=32 * 35**2, channels=512, out_channels=512) == COLUMNS


@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
def test_the_compiler_sees_through_the_operators() -> None:
    """It launches both kernels itself; an operator in Python would cost a call for each layer."""
    pytest.importorskip("triton")
    from yolact_bench.deform.column_operator import deformable_gather

    def gather(x: Tensor, places: Tensor) -> object:
        return deformable_gather(x, places, 1, True)

    nodes = compiled_nodes(gather, torch.zeros(1, 16, 5, 5), torch.zeros(1, 32, 5, 5))
    assert sum("triton_kernel_wrapper" in node for node in nodes) == 2
    assert not any("deformable_gather" in node for node in nodes)


TYPES = {"pixel_ptr": "*i32", "weight_ptr": "*fp32"}
NUMBERS: dict[str, dict[str, object]] = {
    "find_places": {"channels": 32, "stride": 1, "sigmoid": True, "block": 128},
    "gather_columns": {"channels": 128, "samples_block": 16, "channels_block": 128},
    "convolve": {
        **{"channels": 128, "out_channels": 128, "precision": "ieee", "rectify": True},
        **{"rows_block": 64, "out_block": 128, "channels_block": 32},
    },
}


@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
@pytest.mark.parametrize("values", ["fp32", "bf16"])
@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_forward_kernels_compile_for_a_gpu_that_is_not_here(
    name: str, values: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gathering kernel loads whole vectors; halves are multiplied by the tensor cores."""
    pytest.importorskip("triton")
    from yolact_bench.deform import column_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    names = ("x_ptr", "places_ptr", "columns_ptr", "matrix_ptr", "bias_ptr", "out_ptr")
    types = {**dict.fromkeys(names, f"*{values}"), **TYPES}
    made = assembly(getattr(column_kernels, name), types, NUMBERS[name], warps=8)
    tensor_cores = "wgmma.mma_async" in made or "mma.sync" in made
    assert tensor_cores == (name == "convolve" and values == "bf16")
    assert "ld.global.v4.b32" in made or name != "gather_columns"
    assert re.search(r"\.local\b|\b(red|atom)\.", made) is None
