"""The backward kernels: lists of readers, sums over them, and gradients of places.

TRITON_INTERPRET=1 pytest tests/yolact_bench/deform -k triton
"""

import os
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.support.deform_cases import Case, device_for, largest_faults
from tests.support.deform_maps import LAYERS, layer, wanted_of
from tests.support.triton_assembly import assembly, compiled_nodes
from yolact_bench.deform.layer import MAP_CHANNELS
from yolact_bench.deform.triton_layer import convolve_map

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


def ours(tensors: list[Tensor], stride: int) -> list[Tensor]:
    """The convolution, and its gradients against a fixed random one."""
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    return _with_gradients(convolve_map(*leaves, stride), leaves)


def theirs(tensors: list[Tensor], stride: int) -> list[Tensor]:
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    return _with_gradients(wanted_of(leaves, stride), leaves)


def _with_gradients(out: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    seed = torch.randn(out.shape, generator=torch.Generator().manual_seed(1))
    return [out.detach(), *torch.autograd.grad(out, leaves, seed.to(out))]


@pytest.mark.parametrize("case", sorted(LAYERS))
def test_triton_gradients_of_a_map_are_those_of_torchvision(case: str) -> None:
    tensors, stride = layer(LAYERS[case]), LAYERS[case].stride
    found = ours(tensors, stride)
    assert max(largest_faults(found, theirs(tensors, stride))) < 1e-5
    assert not bool(found[2][:, 27:].any())
    assert all(torch.equal(a, b) for a, b in zip(found, ours(tensors, stride), strict=True))


def test_triton_gradients_at_and_beyond_the_border_are_those_of_torchvision() -> None:
    """At -1 a move down brings a pixel into reach, at H a move up does not: as torchvision."""
    tensors = layer(LAYERS["batch 1, 9×7, stride 1"])
    places = tensors[1]
    places[:, :18] = 0.0
    for row, move in enumerate((-1.0, 9.0, -0.5, 0.99, 1e4, -3e9, -1.5, 8.0)):
        places[:, 0:18:2, row] = move
        places[:, 1:18:2, row, ::2] = -move
    assert max(largest_faults(ours(tensors, 1), theirs(tensors, 1))) < 1e-5


def test_triton_adds_all_samples_of_one_place() -> None:
    """All 225 look between the same four pixels, and a list is sorted 64 keys at a time."""
    tensors = layer(LAYERS["batch 2, 5×5, stride 1"])
    places, side = tensors[1], torch.arange(5.0)
    for tap in range(9):
        places[:, 2 * tap] = 2.5 - (side[:, None] - 1 + tap // 3)
        places[:, 2 * tap + 1] = 1.25 - (side[None, :] - 1 + tap % 3)
    found, wanted = ours(tensors, 1), theirs(tensors, 1)
    assert max(largest_faults(found, wanted)) < 1e-5
    assert int(found[1][0, 0].count_nonzero()) == 4


def test_triton_gives_pixels_no_gradient_of_a_place_that_is_nan() -> None:
    """As torchvision's sum over neighbours, whose distance from a NaN is not below 1."""
    tensors = layer(LAYERS["batch 2, 5×5, stride 1"])
    tensors[1][1, 4, 2, 3] = float("nan")
    (of_x,) = ours(tensors, 1)[1:2]
    tensors[1][1, 4, 2, 3] = -100.0
    assert max(largest_faults([of_x], theirs(tensors, 1)[1:2])) < 1e-5


def test_triton_sorts_lists_of_any_length() -> None:
    """Of 0, 1, 63, 64, 65 and 150 keys, from any order of slots."""
    device = device_for("triton")
    from yolact_bench.deform.gradient_kernels import sort_readers

    lengths = torch.tensor([0, 1, 63, 64, 65, 0, 150])
    starts = torch.cat([torch.zeros(1), lengths.cumsum(0)]).int()
    random = torch.Generator().manual_seed(0)
    keys = torch.randperm(int(starts[-1]), generator=random).int().to(device)
    found = torch.full_like(keys, -1)
    sort_readers[(len(lengths),)](keys, starts.to(device), found, block=64)
    wanted = torch.cat([part.sort().values for part in keys.split(lengths.tolist())])
    assert torch.equal(found, wanted)


@pytest.mark.gpu
@pytest.mark.parametrize(("side", "channels"), [(35, 128), (18, 256), (9, 512)])
def test_gradients_come_back_bit_for_bit(side: int, channels: int) -> None:
    """On a GPU, where programs run in another order at every call."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    case = Case(batch=8, channels=channels, out_channels=channels, height=side, width=side)
    tensors = layer(case, device="cuda")
    found = ours(tensors, 1)
    assert max(largest_faults(found, theirs(tensors, 1))) < 2e-5
    for _ in range(5):
        assert all(torch.equal(a, b) for a, b in zip(found, ours(tensors, 1), strict=True))


_PLACES = {"channels": MAP_CHANNELS, "stride": 1, "sigmoid": True, "block": 128}
NUMBERS: dict[str, dict[str, object]] = {
    "count_readers": _PLACES,
    "list_readers": {"block": 128},
    "sort_readers": {"block": 64},
    "add_readers": {"channels": 128, "channels_block": 128, "keys_block": 8},
    "move_places": _PLACES,
}
NOT_COMPILED = pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")


@NOT_COMPILED
@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_backward_kernels_compile_for_a_gpu_that_is_not_here(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one atomic counts, in integers: sums of floats would depend on the order of programs."""
    pytest.importorskip("triton")
    from yolact_bench.deform import gradient_kernels

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    halves = ("places_ptr", "of_columns_ptr", "x_ptr", "of_x_ptr", "of_places_ptr")
    integers = ("pixel_ptr", "count_ptr", "slot_ptr", "start_ptr", "list_ptr", "sorted_ptr")
    types = {
        **dict.fromkeys(halves, "*bf16"),
        **dict.fromkeys(integers, "*i32"),
        **dict.fromkeys(("weight_ptr", "dot_ptr"), "*fp32"),
    }
    made = assembly(getattr(gradient_kernels, name), types, NUMBERS[name], warps=1)
    atomics = set(re.findall(r"\b(?:red|atom)\.\S+", made))
    assert bool(atomics) == (name == "count_readers")
    assert not any(".f" in atomic or ".b" in atomic for atomic in atomics)
    assert ".local " not in made


@NOT_COMPILED
def test_the_compiler_sees_through_the_backward_operator() -> None:
    """It launches all five kernels itself."""
    pytest.importorskip("triton")
    from yolact_bench.deform.column_gradient import deformable_scatter

    def scatter(*tensors: Tensor) -> object:
        return deformable_scatter(*tensors, 1, True)

    nodes = compiled_nodes(
        scatter,
        *(torch.zeros(25, 9 * 16), torch.zeros(1, 16, 5, 5), torch.zeros(1, MAP_CHANNELS, 5, 5)),
        *(torch.zeros(225, 4, dtype=torch.int32), torch.zeros(225, 4)),
    )
    assert sum("triton_kernel_wrapper" in node for node in nodes) == 5
