"""Residual and ReLU behind a convolution become part of it in a recorded graph."""

from collections import Counter
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from tests.support.small_detector import empty_program, small_detector
from yolact_bench.model.inference.fused import InferenceNetwork
from yolact_bench.model.network import Yolact
from yolact_bench.runtime import fused_epilogues
from yolact_bench.runtime.compiled import compiled
from yolact_bench.runtime.cuda_graph import cuda_graph
from yolact_bench.runtime.fused_epilogues import convolution_relu, fuse_epilogues
from yolact_bench.runtime.inductor import Compilation, CompiledStage
from yolact_bench.runtime.runtime import Runtime
from yolact_bench.torch_internals import addmm_relu, operator_graph

FUSED = torch.ops.yolact_bench.convolution_relu.default


def drawn(*sizes: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    values = torch.randn(sizes, generator=torch.Generator().manual_seed(seed)).to(dtype)
    return values.contiguous(memory_format=torch.channels_last)


def layer(**options: int) -> nn.Conv2d:
    """16 channels in and out, with a bias that is not 0."""
    torch.manual_seed(1)
    made = nn.Conv2d(16, 16, **{"kernel_size": 3, "padding": 1, **options})  # type: ignore[arg-type]
    return made.requires_grad_(False).to(memory_format=torch.channels_last)


def _stages(runtime: Runtime) -> list[CompiledStage]:
    network = runtime.prepare(empty_program())
    return [part for part in network.modules() if isinstance(part, CompiledStage)]


class Call(nn.Module):
    """A function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def operators(graph: nn.Module) -> Counter[object]:
    assert isinstance(graph, fx.GraphModule)
    return Counter(node.target for node in graph.graph.nodes if node.op == "call_function")


def rewritten(function: Callable[..., object], *given: Tensor, fused: int) -> nn.Module:
    """The graph of a function, with so many fused epilogues and the same result, bit for bit.

    What the function writes into its inputs, the graph writes, too.
    """
    graph = operator_graph(function, [x.clone() for x in given])
    assert fuse_epilogues(graph) == fused
    ours, theirs = ([x.clone() for x in given] for _ in range(2))
    pairs = [(graph(*ours), function(*theirs)), *zip(ours, theirs, strict=True)]
    for found, wanted in pairs:
        assert torch.equal(found, wanted)
    assert operators(graph)[FUSED] == fused
    return graph


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"dilation": 2, "padding": 2},
        {"groups": 2},
        {"kernel_size": 1, "padding": 0},
        {"bias": False},
    ],
)
def test_a_convolution_applies_the_relu_behind_it(options: dict[str, int]) -> None:
    """With its own stride, dilation and groups; the ReLU in place or not."""
    convolve = layer(**options)
    for relu in (torch.relu, torch.relu_):
        graph = rewritten(nn.Sequential(convolve, Call(relu)), drawn(1, 16, 9, 7), fused=1)
        assert sum(operators(graph).values()) == 1


def test_a_residual_is_added_by_the_convolution() -> None:
    """In either order, or in place of the convolution's result."""
    x, y = drawn(2, 16, 5, 5), drawn(2, 16, 5, 5, seed=1)
    for add in (torch.add, _add_first, Tensor.add_):
        graph = rewritten(partial(_relu_of_sum, add), x, y, fused=1)
        assert sum(operators(graph).values()) == 1


def test_of_two_convolutions_that_are_added_one_adds_the_other() -> None:
    first, second = layer(), layer(kernel_size=1, padding=0)
    graph = rewritten(lambda x: F.relu(first(x) + second(x)), drawn(1, 16, 6, 6), fused=1)
    assert operators(graph)[torch.ops.aten.convolution.default] == 1


CONVOLVE = layer()
X = drawn(1, 16, 6, 6)


def _add_first(made: Tensor, rest: Tensor) -> Tensor:
    return rest + made


def _relu_of_sum(add: Callable[[Tensor, Tensor], Tensor], x: Tensor, y: Tensor) -> Tensor:
    return torch.relu_(add(CONVOLVE(x), y))


def _twice(x: Tensor) -> Tensor:
    made = CONVOLVE(x)
    return torch.relu(made) + made


def _viewed(x: Tensor) -> Tensor:
    made = CONVOLVE(x)
    return torch.relu(made) + made.view_as(made)


def _sum_twice(x: Tensor) -> Tensor:
    total = CONVOLVE(x) + x
    return torch.relu(total) + total


def _beside_sum(x: Tensor) -> Tensor:
    made = CONVOLVE(x)
    return torch.relu(made + x) + made


def _into_residual(x: Tensor) -> Tensor:
    """What is added to is the caller's."""
    return torch.relu(x.add_(CONVOLVE(x)))


def _input_changes(x: Tensor) -> Tensor:
    """Moved down to its ReLU, the convolution would see what was not there."""
    made = CONVOLVE(x)
    x.mul_(2)
    return torch.relu(made) + x


@pytest.mark.parametrize(
    "function",
    [
        _twice,
        _viewed,
        _sum_twice,
        _beside_sum,
        _into_residual,
        _input_changes,
        lambda x: torch.relu(torch.add(CONVOLVE(x), x, alpha=2)),
        lambda x: torch.relu(CONVOLVE(x) + x[..., :1, :1]),
        lambda x: torch.relu(CONVOLVE(x) + 1),
        lambda x: torch.relu(CONVOLVE(x) + x.double()),
        lambda x: torch.relu(x + x),
        lambda x: torch.tanh(CONVOLVE(x)),
        lambda x: torch.relu(F.conv_transpose2d(x, CONVOLVE.weight)),
        lambda x: torch.relu(F.conv2d(x[:, :3], CONVOLVE.weight[:, :3])),
        lambda x: torch.relu(F.conv2d(x, CONVOLVE.weight[:12])),
        lambda x: torch.relu(F.conv2d(x, CONVOLVE.weight.repeat(1, 1, 2, 2))),
    ],
)
def test_what_is_read_elsewhere_or_differs_in_shape_stays(
    function: Callable[[Tensor], Tensor],
) -> None:
    """Neither other sums, nor 3 channels, nor 12, nor kernels of 6×6."""
    rewritten(function, X, fused=0)


def test_in_halves_a_1x1_convolution_is_a_product() -> None:
    """16 inputs for each of 2 × 9 × 7 rows; with a stride, or a residual, it stays one."""
    convolve, x = layer(kernel_size=1, padding=0).bfloat16(), drawn(2, 16, 9, 7).bfloat16()

    def relu(x: Tensor) -> Tensor:
        return torch.relu(convolve(x))

    graph = operator_graph(relu, [x])
    assert fuse_epilogues(graph) == 1
    assert operators(graph)[addmm_relu()] == 1
    assert graph(x).is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(graph(x), relu(x), atol=1e-2)
    rewritten(lambda x: torch.relu(convolve(x) + x), x, fused=1)
    strided = layer(kernel_size=1, padding=0, stride=2).bfloat16()
    rewritten(lambda x: torch.relu(strided(x)), x, fused=1)


def test_all_of_a_backbone_is_fused_but_its_first_layer() -> None:
    """Of a ResNet-18: 16 convolutions of 8 blocks, 8 of them with a residual, and 7×7 stays."""
    trained = small_detector().network
    assert isinstance(trained, Yolact)
    network = InferenceNetwork(trained, device="meta")  # as for any but a CPU
    x = network.prepare(drawn(1, 3, 72, 72))

    def features(x: Tensor) -> tuple[Tensor, ...]:
        return tuple(network.backbone(x))

    graph = operator_graph(features, [x])
    before = operators(graph)
    assert before[torch.ops.aten.convolution.default] == 20  # 3 of them halve a residual's side
    wanted = graph(x)
    assert fuse_epilogues(graph) == 16
    left = operators(graph)
    assert left[torch.ops.aten.convolution.default] == 4
    assert left[torch.ops.aten.relu_.default] == 1
    assert left[torch.ops.aten.add_.Tensor] == before[torch.ops.aten.add_.Tensor] - 8
    for found, want in zip(graph(x), wanted, strict=True):
        assert torch.equal(found, want)


def test_shapes_are_known_without_values() -> None:
    x, weight = drawn(2, 16, 9, 7).to("meta"), drawn(32, 8, 3, 3).to("meta")
    made = convolution_relu(x, weight, None, None, [2, 1], [1, 0], [1, 2], 2)
    assert made.shape == (2, 32, 5, 3)  # (9 + 2 − 3) // 2 + 1, and 7 − 4


def test_without_operators_or_on_another_device_epilogues_stay_separate_with_a_note(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The runtimes fuse them on a GPU: a CPU's compiler has epilogues of its own."""
    for make in (compiled, cuda_graph):
        (stage,) = {part.how for part in _stages(make(epilogues="fused"))}
        assert stage.fused_epilogues_on == "cuda"
        (plain,) = {part.how for part in _stages(make())}
        assert not plain.fused_epilogues_on
    monkeypatch.setattr(torch, "compile", lambda recorded, **_: recorded)
    net = nn.Sequential(CONVOLVE, nn.ReLU())
    for kind, has_operators, note in (
        ("cuda", True, "stage: epilogues stay separate, they are fused on cuda alone"),
        ("cpu", False, f"epilogues stay separate: torch {torch.__version__} has no operators"),
        ("cpu", True, ""),
    ):
        caplog.clear()
        monkeypatch.setattr(fused_epilogues, "cudnn_relu", lambda has=has_operators: has or None)
        stage = CompiledStage(net, name="stage", how=Compilation(fused_epilogues_on=kind))
        assert torch.equal(stage(X), net(X))  # type: ignore[arg-type]
        assert [r.message.startswith(note) for r in caplog.records if r.levelname == "WARNING"] == (
            [True] if note else []
        )
        ((program, _),) = stage._programs.values()
        assert (FUSED in operators(program)) == (not note)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_program_with_fused_epilogues_computes_what_the_plain_one_does(
    dtype: torch.dtype,
) -> None:
    first, second = (layer(**how) for how in ({}, {"kernel_size": 1, "padding": 0}))  # type: ignore[arg-type]
    net = nn.Sequential(first, nn.ReLU(), second, nn.ReLU()).to(dtype)
    x = drawn(1, 16, 20, 20, dtype=dtype)
    wanted = CompiledStage(net, name="plain")(x)
    found = CompiledStage(net, name="fused", how=Compilation(fused_epilogues_on="cpu"))(x)
    assert isinstance(found, Tensor) and isinstance(wanted, Tensor)
    assert torch.allclose(found, wanted, atol=1e-2 if dtype == torch.bfloat16 else 1e-5)
    assert found.stride() == wanted.stride()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("has_rest", [False, True])
def test_cudnn_computes_what_the_operators_do(dtype: torch.dtype, has_rest: bool) -> None:
    """Over the shapes of a ResNet-50, with strides; in halves a sum is rounded once."""
    shapes = [(64, 64, 3, 35, 1), (256, 64, 1, 35, 1), (64, 256, 1, 35, 1), (128, 128, 3, 35, 2)]
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for inputs, outputs, kernel, side, stride in shapes:
            x, weight = drawn(2, inputs, side, side), drawn(outputs, inputs, kernel, kernel, seed=1)
            weight, bias = weight / (inputs * kernel**2) ** 0.5, drawn(1, outputs, 1, 1).flatten()
            out = -(-side // stride)
            rest = drawn(2, outputs, out, out, seed=2) if has_rest else None
            way = ([stride] * 2, [kernel // 2] * 2, [1, 1], 1)
            given = [None if t is None else t.to("cuda", dtype) for t in (x, weight, bias, rest)]
            found = convolution_relu(*given, *way)
            exact = [None if t is None else t.double().cpu() for t in given]
            wanted = convolution_relu(*exact, *way)
            limit = 1e-4 if dtype == torch.float32 else 2e-2
            assert torch.allclose(found.double().cpu(), wanted, atol=limit, rtol=limit)
            assert found.is_contiguous(memory_format=torch.channels_last)
