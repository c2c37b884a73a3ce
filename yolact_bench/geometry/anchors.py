"""Anchor sets: which box shapes stand on each cell, and the grid that repeats them."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Annotated, TypeAlias

import torch
from jaxtyping import Float32
from pydantic import Field
from torch import Tensor

from yolact_bench.errors import SpecError
from yolact_bench.geometry.protocols import AnchorShapes, MakeAnchors
from yolact_bench.ranges import Positive
from yolact_bench.slots import with_facts

YOLACT_SCALES = (24.0, 48.0, 96.0, 192.0, 384.0)
_MOST_SHAPES = 32  # in a list of them
PASCAL_SCALES = (32.0, 64.0, 128.0, 256.0, 512.0)  # 4/3 of YOLACT's
Ratios: TypeAlias = Annotated[Sequence[Positive], Field(min_length=1, max_length=_MOST_SHAPES)]
NUM_LEVELS = 5  # P3 to P7
Scales: TypeAlias = Annotated[
    Sequence[Positive], Field(min_length=NUM_LEVELS, max_length=NUM_LEVELS)
]
_Pair: TypeAlias = Annotated[Sequence[Positive], Field(min_length=2, max_length=2)]
_Level: TypeAlias = Annotated[Sequence[_Pair], Field(min_length=1, max_length=_MOST_SHAPES)]
Sizes: TypeAlias = Annotated[Sequence[_Level], Field(min_length=NUM_LEVELS, max_length=NUM_LEVELS)]
_P3_HALVINGS = 3  # P3 has stride 8


def level_sizes(image_size: int) -> list[int]:
    """Return the side of P3, P4, … P7 in cells: every stride-2 step is ceil(n / 2)."""
    sizes = [image_size]
    for _ in range(_P3_HALVINGS + NUM_LEVELS - 1):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes[_P3_HALVINGS:]


def prototype_size(image_size: int) -> int:
    """Return the side of the prototypes: twice that of P3."""
    return 2 * level_sizes(image_size)[0]


def anchor_grid(shapes: AnchorShapes, image_size: int) -> Float32[Tensor, "A 4"]:
    """Return all anchors [cx cy w h] as fractions: levels, then rows, columns, shapes.

    Computed in double precision and stored as float32, not clipped to the image.

    Source: dbolya/yolact@902073d yolact.py, `PredictionModule.make_priors`.
    """
    levels = []
    for side, level in zip(level_sizes(image_size), shapes, strict=True):
        centre = (torch.arange(side, dtype=torch.float64) + 0.5) / side
        cy, cx = torch.meshgrid(centre, centre, indexing="ij")
        size = torch.tensor(level, dtype=torch.float64) / image_size  # [a, 2]
        grid = torch.empty(side, side, len(level), 4, dtype=torch.float64)
        grid[..., 0] = cx[..., None]
        grid[..., 1] = cy[..., None]
        grid[..., 2:] = size
        levels.append(grid.reshape(-1, 4))
    return torch.cat(levels).float()


def num_anchors(shapes: AnchorShapes, image_size: int) -> int:
    """Return how many anchors `anchor_grid` has."""
    levels = zip(level_sizes(image_size), shapes, strict=True)
    return sum(side * side * len(level) for side, level in levels)


@with_facts(pixels=("scales",))
def one_scale(
    *, scales: Scales = YOLACT_SCALES, ratios: Ratios = (1.0, 0.5, 2.0), square: bool = True
) -> AnchorShapes:
    """Return YOLACT's anchors: one scale per level in three aspect ratios.

    `square` keeps a mistake that the released v1 weights were trained with: the height is set
    to the width, so three "ratios" are three square sizes s, s/√2 and s·√2.

    Source: YOLACT (arXiv:1904.02689) §4; the mistake: dbolya/yolact issue #19.
    Differs: from the paper by `square`, as the reference does.
    """
    return tuple(_shapes([scale], ratios, square=square) for scale in scales)


@with_facts(pixels=("scales",))
def three_scales(
    *,
    scales: Scales = YOLACT_SCALES,
    ratios: Ratios = (1.0, 0.5, 2.0),
    factors: Ratios = (1.0, 2 ** (1 / 3), 2 ** (2 / 3)),
) -> AnchorShapes:
    """Return YOLACT++'s anchors: three scales per level (scale outer, ratio inner), true ratios.

    Source: YOLACT++ (arXiv:1912.06218), section on optimised prediction heads.
    Differs: nothing.
    """
    return tuple(
        _shapes([scale * factor for factor in factors], ratios, square=False) for scale in scales
    )


@with_facts(pixels=("scales",), own=("ratios",))
def five_ratios(
    *, scales: Scales = YOLACT_SCALES, ratios: Ratios = (1.0, 0.5, 2.0, 1 / 3, 3.0)
) -> AnchorShapes:
    """Return the alternative that YOLACT++ compares with: one scale in five true ratios.

    Source: YOLACT++ (arXiv:1912.06218), section on optimised prediction heads.
    Differs: nothing.
    """
    return tuple(_shapes([scale], ratios, square=False) for scale in scales)


@with_facts(pixels=("scales",), own=("scales",))
def pascal(*, scales: Scales = PASCAL_SCALES, ratios: Ratios = (1.0, 0.5, 2.0)) -> AnchorShapes:
    """Return the Pascal set: YOLACT's scales times 4/3, true ratios.

    Source: dbolya/yolact@902073d data/config.py, `yolact_resnet50_pascal_config`.
    Differs: nothing.
    """
    return tuple(_shapes([scale], ratios, square=False) for scale in scales)


@with_facts(pixels=("sizes",))
def free(*, sizes: Sizes) -> AnchorShapes:
    """Return anchors written out by hand: per level a list of [width, height] in pixels.

    Source: YOLO9000 (arXiv:1612.08242), section 2 "Dimension Clusters": sizes from one's own data.
    Differs: the sizes are given, not clustered, and each level has its own.
    """
    counts = [len(level) for level in sizes]
    if len(set(counts)) != 1:
        raise SpecError(
            "anchors.free.sizes: expected equally many [width, height] pairs for each of P3 to P7, "
            f"since one head serves all levels, got {counts}"
        )
    return tuple(tuple((pair[0], pair[1]) for pair in level) for level in sizes)


ANCHORS: Mapping[str, MakeAnchors] = {
    "one_scale": one_scale,
    "three_scales": three_scales,
    "five_ratios": five_ratios,
    "pascal": pascal,
    "free": free,
}


def _shapes(
    scales: Sequence[float], ratios: Sequence[float], *, square: bool
) -> tuple[tuple[float, float], ...]:
    pairs = [(scale * sqrt(ratio), scale / sqrt(ratio)) for scale in scales for ratio in ratios]
    return tuple((width, width if square else height) for width, height in pairs)
