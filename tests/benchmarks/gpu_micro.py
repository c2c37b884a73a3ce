"""What single operations cost: the numbers on which the choice between two designs rests."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.profiling.ceilings import Sizes, measure_ceiling
from tests.benchmarks.gpu_graphs import CALLS, as_graphs
from tests.benchmarks.gpu_size import Part, Size, timed_together
from yolact_bench.loss.classify import cross_entropy_by_sorting
from yolact_bench.loss.hardest import hardest_cross_entropy
from yolact_bench.runtime.cuda_graph import record_cuda_graph
from yolact_bench.runtime.cudnn_choice import with_cudnn_benchmark
from yolact_bench.runtime.fused_epilogues import convolution_relu
from yolact_bench.runtime.strided_pair import StridedPair
from yolact_bench.torch_internals import addmm_relu

Arms = Mapping[str, Callable[[], object]]

_LAUNCHES = 100  # of one operation, so that one call takes longer than a clock's step
_BENCHMARK = "separate, cudnn.benchmark"
_SMALL = 16  # divides the sides and channels on a CPU
# Convolutions of a ResNet-50 at 550 pixels: channels in and out, kernel, side.
_CONVOLUTIONS = (
    *((64, 64, 3, 138), (128, 128, 3, 69), (256, 256, 3, 35), (512, 512, 3, 18)),
    *((64, 256, 1, 138), (1024, 256, 1, 35)),
)


def micro_part(size: Size, device: torch.device) -> Part:
    """Return the times of all micro measurements, and the ceilings of the device."""
    short = replace(size, seconds=size.micro_seconds)
    probe = Sizes(side=128, map_side=18, floats=1 << 16) if size.name == "small" else None
    ceiling = measure_ceiling(device, "bf16", seconds=size.micro_seconds, sizes=probe)
    rows, failed = {}, {}
    for name, arms in _measurements(size, device):
        try:
            rows[name] = timed_together(arms(), device, short)
        except Exception as error:  # the other measurements go on
            failed[name] = f"{type(error).__name__}: {error}"
    return {
        "kind": "micro",
        "gflops": ceiling.gflops,
        "gigabytes_per_second": ceiling.gigabytes_per_second,
        "rows": rows,
        "failed": failed,
    }


def _measurements(size: Size, device: torch.device) -> Iterator[tuple[str, Callable[[], Arms]]]:
    cuda = device.type == "cuda"
    least = 1 if cuda else _SMALL
    yield f"{_LAUNCHES} launches by the host", partial(_launches, device)
    yield "an image to the device, 480×640", partial(_uploads, (480, 640, 3), device)
    yield "100 masks from the device", partial(_downloads, (100, 138 // least, 138), device)
    for inputs, outputs, kernel, side in _CONVOLUTIONS:
        sizes = [max(8, number // least) for number in (inputs, outputs, side)]
        shape = (*sizes[:2], kernel, sizes[2])
        layer = f"{sizes[0]}→{sizes[1]}, {sizes[2]}²"
        name = f"{CALLS} {kernel}×{kernel} convolutions, bias, ReLU: {layer}"
        yield name, partial(_epilogues, shape, device)
    width = max(8, 256 // least)
    batch = size.train_batch
    upsampling = partial(_upsampling, (batch, width, 69 // (1 if cuda else 4)), device)
    yield f"upsampling ×2 backward, {batch}×{width}", upsampling
    anchors = 57_744 // least**2
    name = f"class loss of {batch}×{anchors} anchors, forward and backward"
    yield name, partial(_class_loss, (batch, anchors, 81), device)
    yield "mask-IoU layers 1 and 2 on 100 masks", partial(_first_layers, 138 // least, device)
    yield "mask-IoU layers on as many masks as came up", partial(_plans, least, device)


def _launches(device: torch.device) -> Arms:
    small = torch.ones(8, device=device)
    work = torch.ones(1 << (20 if device.type == "cuda" else 12), device=device)

    def repeated(call: Callable[[], object]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(_LAUNCHES):
                call()

        return calls

    return {
        "views": repeated(lambda: small.view(2, 4)),
        "additions of 8 numbers": repeated(lambda: small + 1),
        f"additions of {len(work)} numbers": repeated(lambda: work + 1),
    }


def _uploads(shape: tuple[int, ...], device: torch.device) -> Arms:
    pageable = torch.zeros(shape, dtype=torch.uint8)
    target = torch.empty(shape, dtype=torch.uint8, device=device)
    arms: dict[str, Callable[[], object]] = {"pageable": lambda: target.copy_(pageable)}
    if device.type == "cuda":
        pinned = pageable.pin_memory()
        arms["pinned"] = lambda: target.copy_(pinned, non_blocking=True)
        arms["into pinned memory, then pinned"] = lambda: target.copy_(
            pinned.copy_(pageable), non_blocking=True
        )
    return arms


def _downloads(shape: tuple[int, ...], device: torch.device) -> Arms:
    source = torch.zeros(shape, device=device)
    pageable = torch.empty(shape)
    arms: dict[str, Callable[[], object]] = {"pageable": lambda: pageable.copy_(source)}
    if device.type == "cuda":
        pinned = torch.empty(shape).pin_memory()
        arms["pinned"] = lambda: pinned.copy_(source, non_blocking=True)
    return arms


def _epilogues(shape: tuple[int, int, int, int], device: torch.device) -> Arms:
    """Inductor makes one kernel of sum, bias and ReLU, for which the ReLU or the sum stands here.

    The fused operators have no form for a CPU.
    """
    inputs, outputs, kernel, side = shape
    layout, pad = torch.channels_last, kernel // 2

    def drawn(*sizes: int) -> Tensor:
        return torch.randn(sizes, device=device).to(torch.bfloat16, memory_format=layout)

    x, weight = drawn(1, inputs, side, side), drawn(outputs, inputs, kernel, kernel)
    rest = drawn(1, outputs, side, side)
    bias = torch.zeros(outputs, device=device, dtype=torch.bfloat16)

    def separate() -> Tensor:
        return F.conv2d(x, weight, padding=pad).relu_()

    calls: dict[str, Callable[[], object]] = {
        "separate": separate,
        "separate, with residual": lambda: F.conv2d(x, weight, padding=pad).add_(rest),
    }
    if device.type == "cuda":
        way = ([1, 1], [pad, pad], [1, 1], 1)
        calls[_BENCHMARK] = separate
        calls["fused"] = lambda: convolution_relu(x, weight, bias, None, *way)
        calls["fused, with residual"] = lambda: convolution_relu(x, weight, bias, rest, *way)
        if kernel == 1 and (product := addmm_relu()) is not None:
            rows, matrix = x.permute(0, 2, 3, 1).reshape(-1, inputs), weight.flatten(1).t()
            calls["as a product"] = lambda: product(bias, rows, matrix)
    recorders = {_BENCHMARK: with_cudnn_benchmark(record_cuda_graph)}
    recorded = {name: _without_gradients(call) for name, call in calls.items()}
    arms, _ = as_graphs(recorded, device, recorders)
    return arms


def _upsampling(shape: tuple[int, int, int], device: torch.device) -> Arms:
    batch, channels, side = shape
    x = torch.randn(batch, channels, side, side, device=device)
    x = x.contiguous(memory_format=torch.channels_last)
    eye = torch.eye(side, device=device)[None, None]
    resize = partial(F.interpolate, align_corners=False, mode="bilinear")
    matrix = resize(eye, size=(2 * side, side))[0, 0]

    def backward(forward: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Callable[[], None]:
        leaf = x.to(dtype).requires_grad_()
        gradient = torch.ones_like(forward(leaf.detach()))

        def call() -> None:
            torch.autograd.grad(forward(leaf), leaf, gradient)

        return call

    def products(maps: Tensor) -> Tensor:
        way = matrix.to(maps.dtype)
        return way @ maps @ way.T

    return {
        "interpolate, fp32": backward(partial(resize, scale_factor=2), torch.float32),
        "interpolate, bf16": backward(partial(resize, scale_factor=2), torch.bfloat16),
        "two products, bf16": backward(products, torch.bfloat16),
    }


def _class_loss(shape: tuple[int, int, int], device: torch.device) -> Arms:
    """A positive in a thousand anchors; the kernels run on a GPU alone."""
    scores = torch.randn(shape, device=device).to(torch.bfloat16).requires_grad_()
    labels = (torch.rand(shape[:2], device=device) < 0.001).long()

    def both(loss: Callable[[Tensor], Tensor]) -> Callable[[], object]:
        return lambda: torch.autograd.grad(loss(scores), scores)

    arms = {"sort": both(lambda x: cross_entropy_by_sorting(x.float(), labels, 3))}
    if device.type == "cuda":
        arms["kernels"] = both(lambda x: hardest_cross_entropy(x, labels, 3))
    return arms


def _first_layers(side: int, device: torch.device) -> Arms:
    """As the inference copy runs them in bf16, from float32 masks; the kernel on a GPU alone."""
    first, second = nn.Conv2d(1, 8, 3, stride=2), nn.Conv2d(8, 16, 3, stride=2)
    pair = StridedPair(first, second).to(device, torch.bfloat16)
    pair = pair.to(memory_format=torch.channels_last)
    masks = torch.rand(100, 1, side, side, device=device)

    def layers() -> Tensor:
        out: Tensor = pair.plain(masks.to(torch.bfloat16, memory_format=torch.channels_last))
        return out

    arms = {"layers": _without_gradients(layers)}
    if device.type == "cuda":
        arms["kernel"] = _without_gradients(lambda: pair(masks))
    return arms


def _plans(least: int, device: torch.device) -> Arms:
    """A new number of masks in every call costs cuDNN new plans; the same number does not."""
    side = 138 // least
    layers = nn.Sequential(
        *(nn.Conv2d(i, o, 3, stride=2) for i, o in ((1, 8), (8, 16), (16, 32))),
    ).to(device)
    masks = torch.rand(400 // least, 1, max(32, side), max(32, side), device=device)
    counts = iter(range(10**9))

    def changing() -> None:
        count = len(masks) // 2 + next(counts) % (len(masks) // 2)
        layers(masks[:count]).sum().backward()

    def fixed() -> None:
        layers(masks[: 3 * len(masks) // 4]).sum().backward()

    return {"the same number": fixed, "another number in each call": changing}


def _without_gradients(call: Callable[[], object]) -> Callable[[], object]:
    def inference() -> object:
        with torch.inference_mode():
            return call()

    return inference
