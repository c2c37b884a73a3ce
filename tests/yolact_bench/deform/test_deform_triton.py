"""The Triton kernels: interpreted on a CPU, compiled for a GPU without one, run where one is.

TRITON_INTERPRET=1 pytest tests/yolact_bench/deform tests/contracts/test_contracts.py -k triton
pytest -m gpu tests/yolact_bench/deform
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from runners.units.check import check
from tests.support.deform_cases import CASES, Case, device_for, largest_faults, value_and_gradients
from tests.support.paths import ROOT
from yolact_bench.build import load_detector
from yolact_bench.deform.layer import torchvision_deform
from yolact_bench.deform.triton_layer import triton_deform
from yolact_bench.errors import SpecError
from yolact_bench.spec.base_run import read_run

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
ON_A_CPU = pytest.mark.skipif(INTERPRETED, reason="interpreted, any device will do")


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is what that test starts")
def test_interpreted_kernels_pass_the_tests_of_every_implementation() -> None:
    """In a process of its own: Triton asks for its interpreter when it is imported.

    Of the contract: 2 checks of every slot and 4 of this one. Of this file:
    the meta device, float64, 2 halves, autocast, a NaN. Of columns: by 2 plans 4 layers, 2 halves,
    1 of zeros and 3 NaN; 1 ReLU, 1 layer that trains, 1 copy of a network. Of gradients: 4 layers,
    1 of far places, 1 of one place, 1 NaN, 1 of order.
    """
    pytest.importorskip("triton")
    command = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-k", "triton")
    done = subprocess.run(
        [*command, "-m", "not gpu", "tests/contracts/test_contracts.py", Path(__file__).parent],
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert f"{2 + 4 + 6 + 2 * 10 + 3 + 8} passed" in done.stdout


@ON_A_CPU
def test_on_a_cpu_it_says_what_to_write_instead() -> None:
    with pytest.raises(SpecError, match=r"triton needs a CUDA device.*write deform: gather"):
        triton_deform(*CASES["odd sizes"].tensors(), 1)


@ON_A_CPU
def test_an_arm_for_a_cpu_is_refused_before_anything_runs(tmp_path: Path) -> None:
    run = read_run("yolact_tiny", relative_to=tmp_path).changed({"deform": {"name": "triton"}})
    with pytest.raises(SpecError, match=r"arm kernel: deform: triton needs a CUDA device"):
        check(run, where="arm kernel", data_root=None, device="cpu", data=False)


def test_a_network_on_no_device_needs_no_triton() -> None:
    """As `check` builds it: shapes alone, on the meta device."""
    with torch.device("meta"):
        made = load_detector("yolact_tiny", deform={"name": "triton"}, device="meta")
        side = 160
        raw = made.network(torch.empty(1, 3, side, side))
    assert raw.boxes.is_meta


def test_values_of_another_precision_are_refused() -> None:
    tensors = CASES["odd sizes"].tensors(torch.float64, device_for("triton"))
    with pytest.raises(TypeError, match=r"float32, bfloat16 or float16, not torch\.float64"):
        triton_deform(*tensors, 1)


@pytest.mark.parametrize("values", [torch.bfloat16, torch.float16])
def test_half_values_are_summed_in_float32(values: torch.dtype) -> None:
    """Against float32 on the same rounded values: samples and the result are rounded, 2^-9 each."""
    case = Case(batch=1, channels=20, out_channels=18, height=5, width=6, stride=2)
    x, offset, modulation, weight, bias = case.tensors(device=device_for("triton"))
    half = [x.to(values), offset, modulation, weight.to(values), bias.to(values)]
    wanted = value_and_gradients(torchvision_deform, [one.float() for one in half], 2)
    found = value_and_gradients(triton_deform, half, 2)
    assert [one.dtype for one in found] == [
        *(values, values, torch.float32, torch.float32, values, values)
    ]
    assert max(largest_faults(found, wanted)) < 1e-2


def test_autocast_keeps_its_precision() -> None:
    device = device_for("triton")
    x, *others = CASES["one pixel"].tensors(device=device)
    with torch.autocast(device, torch.bfloat16):
        assert triton_deform(x, *others, 1).dtype == torch.bfloat16


def test_a_place_that_is_nan_gives_nan() -> None:
    x, offset, modulation, weight, bias = CASES["one pixel"].tensors(device=device_for("triton"))
    offset[0, 0] = float("nan")
    found = triton_deform(x, offset, modulation, weight, bias, 1)
    assert bool(found[0].isnan().all())
    assert not bool(found[1].isnan().any())


@pytest.mark.gpu
@pytest.mark.parametrize("values", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("side", "channels"), [(69, 128), (35, 256), (18, 512)])
def test_layers_of_the_network_are_those_of_torchvision(
    side: int, channels: int, values: torch.dtype
) -> None:
    _needs_a_gpu()
    case = Case(channels=channels, out_channels=channels, height=side, width=side)
    x, offset, modulation, weight, bias = case.tensors(device="cuda")
    half = [x.to(values), offset, modulation, weight.to(values), bias.to(values)]
    wanted = value_and_gradients(torchvision_deform, [one.float() for one in half], 1)
    found = value_and_gradients(triton_deform, half, 1)
    limit = 2e-5 if values == torch.float32 else 1e-2
    assert max(largest_faults(found, wanted)) < limit


@pytest.mark.gpu
def test_a_captured_layer_follows_its_input() -> None:
    """In a CUDA graph, after a call that compiles the kernels."""
    _needs_a_gpu()
    case = Case(channels=64, out_channels=64, height=35, width=35)
    tensors = case.tensors(torch.bfloat16, "cuda")
    with torch.inference_mode():
        triton_deform(*tensors, 1)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            captured = triton_deform(*tensors, 1)
        tensors[0].normal_()
        graph.replay()
        assert torch.equal(captured, triton_deform(*tensors, 1))


@pytest.mark.gpu
def test_a_network_gives_the_same_with_the_kernel() -> None:
    _needs_a_gpu()
    plain = load_detector("yolact_tiny", device="cuda", dcn={"name": "every_block"})
    ours = load_detector(
        "yolact_tiny", device="cuda", dcn={"name": "every_block"}, deform={"name": "triton"}
    )
    ours.network.load_state_dict(plain.network.state_dict())
    x = torch.randn(2, 3, 160, 160, device="cuda")
    with torch.inference_mode():
        wanted, found = plain.network(x), ours.network(x)
    results, expected = ([one.boxes, one.class_logits] for one in (found, wanted))
    assert max(largest_faults(results, expected)) < 1e-3


def _needs_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
