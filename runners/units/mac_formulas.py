"""The cost of every operator: one table, operator → formula. A missing operator is an error.

A multiply-accumulate (MAC) is a product that is added to a sum: matrix products, convolutions and
interpolation have them. Work on single values is counted separately, as operations; moving values
is traffic.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from torch import Tensor

CostFunction = Callable[[Sequence[Any], Tensor], int]  # arguments and (first) result → number

_BILINEAR = 4  # neighbours of a sampled value, a multiply-add each
_PAIR = 12  # operations for one IoU: 4 corners, 2 sides, 2 clamps, product, sum, difference, ratio


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """The cost of one operator; `reason` explains why one has no MACs."""

    reason: str
    macs: CostFunction = lambda args, out: 0
    operations: CostFunction = lambda args, out: 0
    moves: bool = True  # reads its arguments and writes its result; a view does neither


def _convolution(args: Sequence[Any], out: Tensor) -> int:
    x, weight, transposed = args[0], args[1], bool(args[6])
    each: int = weight[0].numel()
    return (x.numel() if transposed else out.numel()) * each


def _deform_conv2d(args: Sequence[Any], out: Tensor) -> int:
    """The product, and four multiply-adds for each tap and input channel of an output cell."""
    x, weight = args[0], args[1]
    taps, channels, each = weight.shape[2:].numel(), int(x.shape[1]), int(weight[0].numel())
    cells = out.shape[0] * out.shape[2:].numel()
    return out.numel() * each + _BILINEAR * cells * int(taps) * channels


def _roi_align(args: Sequence[Any], out: Tensor) -> int:
    points = int(args[5])
    assert points > 0, "roi_align chooses its sampling points by the box: it has no one formula"
    return _BILINEAR * points * points * out.numel()


def _weighted_bags(args: Sequence[Any], out: Tensor) -> int:
    table, indices = args[0], args[1]
    weighted = len(args) > 6 and args[6] is not None
    return int(indices.numel() * table.shape[1]) if weighted else 0


def _of_argument(args: Sequence[Any], out: Tensor) -> int:
    first: int = args[0].numel()
    return first


def _entries(names: str, reason: str = "", **costs: Any) -> dict[str, Formula]:  # noqa: ANN401
    """One entry for each of the names of aten; `costs` are fields of `Formula`."""
    return {f"aten::{name}": Formula(reason=reason, **costs) for name in names.split()}


_PRODUCTS = {
    **_entries("convolution", macs=_convolution),
    **_entries("mm bmm mv dot", macs=lambda args, out: out.numel() * int(args[0].shape[-1])),
    **_entries("addmm addmv baddbmm", macs=lambda args, out: out.numel() * int(args[1].shape[-1])),
    **_entries("_embedding_bag", "a sum of weighted rows", macs=_weighted_bags),
    **_entries("upsample_bilinear2d grid_sampler_2d", macs=lambda _, out: _BILINEAR * out.numel()),
    "torchvision::deform_conv2d": Formula(reason="", macs=_deform_conv2d),
    "torchvision::roi_align": Formula(reason="", macs=_roi_align),
    "torchvision::nms": Formula(
        reason="compares pairs of boxes",
        operations=lambda args, _: _PAIR * len(args[0]) * (len(args[0]) - 1) // 2,
    ),
}

# Operator, as its schema names it, → formula. All overloads of an operator share one.
FORMULAS: Mapping[str, Formula] = MappingProxyType(
    _PRODUCTS
    | _entries(
        "abs add add_ addcmul addcmul_ bitwise_and bitwise_not bitwise_or ceil clamp clamp_ "
        "clamp_min clamp_min_ clamp_max clamp_max_ cos div div_ eq exp exp_ floor fmod ge gelu gt "
        "hardswish_ hardsigmoid hardsigmoid_ hardswish hardtanh hardtanh_ elu elu_ mish mish_ "
        "softplus _prelu_kernel erf threshold threshold_ isfinite isnan le leaky_relu leaky_relu_ "
        "log log2 "
        "logical_and logical_not logical_or logsumexp lt maximum minimum mul mul_ ne neg "
        "pow reciprocal relu relu_ remainder round rsqrt sigmoid sigmoid_ sign silu silu_ sin sqrt "
        "square sub sub_ tanh trunc where bitwise_left_shift floor_divide rsub",
        "one operation for each value: no product is summed",
        operations=lambda _, out: out.numel(),
    )
    | _entries(
        "native_batch_norm _native_batch_norm_legit_no_training cudnn_batch_norm native_layer_norm "
        "native_group_norm",
        "one scale and shift for each value, which folds into the product before it",
        operations=_of_argument,
    )
    | _entries(
        "_softmax _log_softmax all amax amin any argmax argmin count_nonzero cummax cumsum "
        "max max_pool2d_with_indices mean min prod sum avg_pool2d _adaptive_avg_pool2d "
        "adaptive_max_pool2d max_pool2d aminmax equal",
        "values are reduced without being multiplied",
        operations=_of_argument,
    )
    | _entries(
        "argsort sort topk searchsorted bucketize _unique2 unique_dim unique_consecutive nonzero "
        "masked_select",
        "values are compared, not multiplied",
        operations=_of_argument,
    )
    | _entries(
        "_to_copy arange cat clone constant_pad_nd contiguous copy_ embedding empty "
        "empty_strided empty_like fill_ flip full full_like gather index index_add_ index_copy_ "
        "index_put_ index_select linspace masked_fill masked_fill_ new_empty new_empty_strided "
        "new_full new_ones new_zeros ones ones_like repeat repeat_interleave roll scalar_tensor "
        "scatter scatter_ scatter_add_ split_with_sizes_copy stack tril triu triu_ tril_ "
        "upsample_nearest2d zero_ zeros zeros_like index_fill_ _index_put_impl_ take",
        "values are moved or set",
    )
    | _entries(
        "_local_scalar_dense _reshape_alias _unsafe_view alias as_strided detach detach_ diagonal "
        "expand is_same_size item lift_fresh movedim permute resize_ select slice split "
        "split_with_sizes squeeze squeeze_ sym_numel sym_size t transpose unbind unfold unsqueeze "
        "unsqueeze_ view view_as_real chunk narrow expand_as reshape is_nonzero t_ transpose_",
        "another look at the same memory",
        moves=False,
    )
    | {"prim::device": Formula(reason="no tensor", moves=False)}
)
