"""Convolutions that add a residual and apply the ReLU behind them, in a recorded graph."""

import logging
from collections.abc import Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.library import custom_op

from yolact_bench.shapes import HALVES
from yolact_bench.torch_internals import addmm_relu, cudnn_relu

log = logging.getLogger(__name__)

aten = torch.ops.aten
_RELUS = (aten.relu.default, aten.relu_.default)
_SUMS = (aten.add.Tensor, aten.add_.Tensor)
# 7×7 on three channels is slower fused, by far: pytorch/pytorch#68506.
_KERNEL_SIZES = ((1, 1), (3, 3))
_CHANNELS = 8  # of which cuDNN's fused kernels take multiples


@custom_op("yolact_bench::convolution_relu", mutates_args=())
def convolution_relu(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    rest: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    """Return the ReLU of a convolution, to which `rest` is added before where there is one.

    One call of cuDNN on a GPU, whose sums are then rounded once; operators one by one elsewhere.
    """
    way = (stride, padding, dilation, groups)
    if not x.is_cuda:
        out = F.conv2d(x, weight, bias, *way)
        return torch.relu(out if rest is None else out + rest)
    operators = cudnn_relu()
    assert operators is not None  # or nothing would have been fused
    alone, with_sum = operators
    result: Tensor = (
        alone(x, weight, bias, *way) if rest is None else with_sum(x, weight, rest, 1.0, bias, *way)
    )
    return result


@convolution_relu.register_fake
def _shape_of(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    rest: Tensor | None,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    groups: int,
) -> Tensor:
    return F.conv2d(x, weight, bias, stride, padding, dilation, groups)


def fuse_epilogues(recorded: nn.Module) -> int:
    """Let convolutions in a recorded graph apply the ReLU of their results; return how many do.

    So do those with a residual in between, of the same shape. One whose result is read elsewhere
    stays as it is. In halves a 1×1 convolution without one becomes the matrix product that it is.

    Source: epilogues of cuDNN and cuBLASLt, as `cudnn_relu` and `addmm_relu` call them.
    """
    assert isinstance(recorded, fx.GraphModule)
    if cudnn_relu() is None:
        version = torch.__version__
        log.warning("epilogues stay separate: torch %s has no operators for them", version)
        return 0
    fused = sum(_fuse(recorded, node) for node in list(recorded.graph.nodes))
    recorded.graph.lint()
    recorded.recompile()
    return fused


def _fuse(recorded: fx.GraphModule, relu: fx.Node) -> bool:
    """Replace a ReLU, and what is before it, by one operator; return whether there is one."""
    if relu.target not in _RELUS:
        return False
    total, rest = relu.args[0], None
    assert isinstance(total, fx.Node)
    convolution = total
    if total.target in _SUMS:
        parts = _summands(total)
        if parts is None:
            return False
        convolution, rest = parts
    if not _is_fusible(convolution, relu) or len(total.users) > 1:
        return False
    with recorded.graph.inserting_before(relu):
        fused = _product(recorded.graph, convolution) if rest is None else None
        if fused is None:
            x, weight, bias, stride, padding, dilation, _, _, groups = convolution.args
            given = (x, weight, bias, rest, stride, padding, dilation, groups)
            fused = recorded.graph.call_function(
                torch.ops.yolact_bench.convolution_relu.default, given
            )
    fused.meta = dict(relu.meta)
    relu.replace_all_uses_with(fused)
    for node in dict.fromkeys((relu, total, convolution)):
        recorded.graph.erase_node(node)
    return True


def _summands(total: fx.Node) -> tuple[fx.Node, fx.Node] | None:
    """Return the convolution of a sum and what is added, if that has its shape and precision."""
    if total.kwargs or not all(isinstance(node, fx.Node) for node in total.args):
        return None
    one, other = total.args
    pairs = [(one, other)] if total.target is aten.add_.Tensor else [(one, other), (other, one)]
    for convolution, rest in pairs:
        assert isinstance(convolution, fx.Node) and isinstance(rest, fx.Node)
        if convolution.target is aten.convolution.default:
            ours, theirs = _value(convolution), _value(rest)
            if (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype):
                return convolution, rest
    return None


def _is_fusible(convolution: fx.Node, relu: fx.Node) -> bool:
    if convolution.target is not aten.convolution.default or len(convolution.users) > 1:
        return False
    _, weight, _, _, _, _, is_transposed, _, groups = convolution.args
    outputs, inputs, *kernel = _shape(weight)
    return (
        not is_transposed
        and tuple(kernel) in _KERNEL_SIZES
        and outputs % (_CHANNELS * cast(int, groups)) == 0
        and inputs % _CHANNELS == 0
        # What it reads must be what it was: the convolution moves down to its ReLU.
        and not any(map(_writes, _between(convolution, relu)))
    )


def _between(first: fx.Node, last: fx.Node) -> Iterable[fx.Node]:
    """Yield the nodes between two but for the sum that the last reads."""
    node = first.next
    while node is not last:
        if node is not last.args[0]:
            yield node
        node = node.next


def _writes(node: fx.Node) -> bool:
    return bool(getattr(getattr(node.target, "_schema", None), "is_mutable", False))


def _product(graph: fx.Graph, convolution: fx.Node) -> fx.Node | None:
    """Return a 1×1 convolution with its ReLU as a product of matrices, where it is one in halves.

    In float32 the libraries' products are not the precision of their convolutions (TF32).
    """
    x, weight, bias, stride, padding, _, _, _, groups = convolution.args
    fused = addmm_relu()
    way = [*cast(Sequence[int], stride), *cast(Sequence[int], padding), groups]
    plain = _shape(weight)[2:] == (1, 1) and way == [1, 1, 0, 0, 1]
    if fused is None or not plain or bias is None or _value(weight).dtype not in HALVES:
        return None
    batch, _, height, width = _shape(x)
    outputs, inputs = _shape(weight)[:2]

    def call(operator: object, *given: object) -> fx.Node:
        return graph.call_function(operator, given)  # type: ignore[arg-type]

    rows = call(aten.reshape.default, call(aten.permute.default, x, [0, 2, 3, 1]), [-1, inputs])
    matrix = call(aten.t.default, call(aten.reshape.default, weight, [outputs, inputs]))
    out = call(fused, bias, rows, matrix)
    shaped = call(aten.reshape.default, out, [batch, height, width, outputs])
    return call(aten.permute.default, shaped, [0, 3, 1, 2])


def _value(node: object) -> Tensor:
    """Return what a node was when it was recorded, or its like without values."""
    assert isinstance(node, fx.Node)
    value = node.meta.get("val")
    if value is None:
        assert node.op == "get_attr"
        value = getattr(node.graph.owning_module, str(node.target))
    assert isinstance(value, Tensor)
    return value


def _shape(node: object) -> tuple[int, ...]:
    return tuple(_value(node).shape)
