"""Two strided convolutions as one kernel against the layers of `MaskIouNet`."""

import logging
from copy import deepcopy
from pathlib import Path

import pytest
import torch
from torch import Tensor, fx, nn

from tests.support.triton_kernels import (
    DEVICES,
    INTERPRETED,
    assert_interpreted_tests_pass,
    device_or_skip,
    stack_bytes,
)
from yolact_bench.build import load_detector
from yolact_bench.model.inference import fused
from yolact_bench.model.inference.fused import InferenceNetwork, MaskRescoring
from yolact_bench.model.network import Yolact
from yolact_bench.model.rescore import MaskIouNet
from yolact_bench.runtime import strided_pair as module
from yolact_bench.runtime.strided_pair import StridedPair, pair_fault
from yolact_bench.torch_internals import operator_graph

ON_EACH = pytest.mark.parametrize("device_name", DEVICES)
# Channels of both layers, number of masks, their sides: the paper's; the least and odd sides, and
# the most channels.
CASES = [
    ((8, 16), 3, (138, 138)),
    ((1, 1), 1, (7, 8)),
    ((14, 64), 2, (30, 21)),
    ((5, 20), 0, (9, 9)),
]
# Of the largest value. bf16 keeps 8 bits of inputs and of what lies between the layers.
LIMITS = {torch.float32: 1e-6, torch.bfloat16: 0.02, torch.float16: 0.003}


def layers(channels: tuple[int, int], seed: int = 0) -> tuple[nn.Conv2d, nn.Conv2d]:
    torch.manual_seed(seed)
    return nn.Conv2d(1, channels[0], 3, stride=2), nn.Conv2d(*channels, 3, stride=2)


def masks(count: int, sides: tuple[int, int]) -> Tensor:
    """Soft, and outside of a box 0, as they are cropped."""
    made = torch.rand(count, 1, *sides, generator=torch.Generator().manual_seed(1))
    made[..., : sides[0] // 3, :] = 0
    return made


def plainly(first: nn.Conv2d, second: nn.Conv2d, x: Tensor) -> Tensor:
    out: Tensor = second(first(x).relu()).relu()
    return out


@ON_EACH
@pytest.mark.parametrize("dtype", LIMITS, ids=str)
@pytest.mark.parametrize(("channels", "count", "sides"), CASES, ids=str)
@torch.no_grad()
def test_interpreted_or_run_maps_are_those_of_the_layers(
    channels: tuple[int, int],
    count: int,
    sides: tuple[int, int],
    dtype: torch.dtype,
    device_name: str,
) -> None:
    device = device_or_skip(device_name)
    pair, x = layers(channels), masks(count, sides)
    wanted = plainly(*pair, x)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        found = StridedPair(*pair).to(device, dtype)(x.to(device))
    assert found.dtype == dtype
    assert found.shape == wanted.shape
    assert found.is_contiguous(memory_format=torch.channels_last)
    furthest = (found.cpu().float() - wanted).abs().max() if count else torch.tensor(0.0)
    assert furthest <= LIMITS[dtype] * (wanted.max() if count else 1)


@ON_EACH
@torch.no_grad()
def test_interpreted_or_run_a_pixel_that_is_no_number_spoils_what_sees_it(
    device_name: str,
) -> None:
    device = device_or_skip(device_name)
    pair, x = layers((3, 4)), masks(1, (19, 19))
    x[0, 0, 9, 5] = torch.nan
    found = StridedPair(*pair).to(device)(x.to(device)).cpu()
    assert torch.equal(found.isnan(), plainly(*pair, x).isnan())
    assert found.isnan().any() and not found.isnan().all()


@ON_EACH
@torch.no_grad()
def test_interpreted_or_run_predicted_ious_are_those_of_the_whole_network(
    device_name: str,
) -> None:
    device = device_or_skip(device_name)
    net, x = net_of((8, 16, 32)), masks(5, (24, 24))
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        found = in_a_copy(net).to(device)(x.to(device)).cpu()
    torch.testing.assert_close(found, net(x), rtol=1e-5, atol=1e-6)


def net_of(channels: tuple[int, ...]) -> MaskIouNet:
    torch.manual_seed(0)
    return MaskIouNet(5, 24, 8, 96, channels=channels)


def in_a_copy(net: MaskIouNet) -> MaskRescoring:
    """As the inference copy for a GPU has it."""
    copied = deepcopy(net)
    return MaskRescoring(copied, None if fused._join_first_layers(copied) else torch.float32)


def joins(copied: nn.Module | None) -> bool:
    assert isinstance(copied, MaskRescoring)
    assert isinstance(copied.net, MaskIouNet)
    assert isinstance(copied.net.layers[0], StridedPair) == (copied.dtype is None)
    return copied.dtype is None


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="this is what that test starts")
def test_the_kernel_passes_where_a_cpu_interprets_it() -> None:
    assert_interpreted_tests_pass(__file__, least=len(CASES) * len(LIMITS) + 2)


@pytest.mark.slow
@pytest.mark.skipif(INTERPRETED, reason="interpreted kernels are not compiled")
@pytest.mark.parametrize("dtype", ["*bf16", "*fp32"])
@pytest.mark.parametrize(("outputs", "hidden"), [(16, 128), (64, 128)])
def test_compiled_for_a_gpu_that_is_not_here_it_spills_nothing(
    outputs: int, hidden: int, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton")
    from yolact_bench.runtime.strided_kernel import _ROWS_BLOCK, convolve_twice

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    names = ("first_ptr", "first_bias_ptr", "second_ptr", "second_bias_ptr", "out_ptr")
    numbers = {
        "outputs": outputs,
        "precision": "tf32",
        "rows_block": _ROWS_BLOCK,
        "pixels_block": module._PIXELS_BLOCK,
        "hidden_block": hidden,
        "outputs_block": outputs,
    }
    assert stack_bytes(convolve_twice, dict.fromkeys(names, dtype), numbers, num_warps=4) == 0


def test_a_copy_for_a_gpu_joins_the_layers_and_one_for_a_cpu_keeps_them() -> None:
    choice = {"name": "mask_iou", "channels": (8, 16)}
    rescoring = {"rescore_net": choice, "mask_iou_loss": {"name": "smooth_l1"}}
    network = load_detector("yolact_tiny", image_size=96, **rescoring).network
    assert isinstance(network, Yolact)
    assert not joins(InferenceNetwork(network, device="cpu").rescore_net)
    assert joins(InferenceNetwork(network, device="cuda").rescore_net)
    assert isinstance(network.rescore_net, MaskIouNet)
    assert isinstance(network.rescore_net.layers[0], nn.Conv2d)  # as it was


@pytest.mark.skipif(INTERPRETED, reason="interpreted, the kernel runs on a CPU")
@torch.no_grad()
def test_where_the_kernel_cannot_run_the_layers_do_and_a_note_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    module.note_layers.cache_clear()
    net, x = net_of((8, 16, 32)), masks(2, (24, 24))
    copied = in_a_copy(net)
    assert joins(copied)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            torch.testing.assert_close(copied(x), net(x))
    assert len(caplog.records) == 1
    assert "first two layers of mask re-scoring run one by one" in caplog.text


@pytest.mark.parametrize(
    ("channels", "words"),
    [
        ((15, 16), "their 15 and 16 channels are above 14 and 64"),
        ((8, 65), "their 8 and 65 channels are above 14 and 64"),
        ((8,), "is no 3×3 convolution of stride 2"),
    ],
)
@torch.no_grad()
def test_layers_of_another_size_stay_as_they_are_and_a_note_says_so(
    channels: tuple[int, ...], words: str, caplog: pytest.LogCaptureFixture
) -> None:
    module.note_layers.cache_clear()
    net, x = net_of(channels), masks(2, (24, 24))
    with caplog.at_level(logging.WARNING):
        copied = in_a_copy(net)
    assert not joins(copied)
    assert words in caplog.text
    torch.testing.assert_close(copied(x), net(x))


def test_what_is_like_the_network_is_left_alone() -> None:
    """A subclass may call its layers otherwise."""

    class Halved(MaskIouNet):
        def forward(self, masks: Tensor) -> Tensor:
            return super().forward(masks) / 2

    assert not joins(in_a_copy(Halved(5, 24, 8, 96, channels=(8, 16))))


@torch.no_grad()
def test_a_compiler_sees_one_operator_and_the_shape_it_makes() -> None:
    """138 → 68 → 33; on the device "meta" nothing runs."""
    pytest.importorskip("triton")
    pair = StridedPair(*layers((8, 16))).to("meta", torch.bfloat16)
    recorded = operator_graph(pair, [torch.empty(5, 1, 138, 138, device="meta")])
    assert isinstance(recorded, fx.GraphModule)
    calls = [node for node in recorded.graph.nodes if node.op == "call_function"]
    assert [node.name for node in calls] == ["strided_pair", "permute"]
    assert calls[-1].meta["val"].shape == (5, 16, 33, 33)


def test_two_layers_that_do_not_follow_each_other_are_no_pair() -> None:
    first, second = layers((8, 16))
    assert pair_fault(first, second) == ""
    assert "do not take one channel" in pair_fault(second, first)
    assert "do not take one channel" in pair_fault(first, layers((4, 16))[1])
    assert "no 3×3 convolution" in pair_fault(first, nn.Conv2d(8, 16, 3, stride=2, padding=1))
