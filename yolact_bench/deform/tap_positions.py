"""Where the taps of a deformable 3×3 convolution look, and what they see there."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


class Places(NamedTuple):
    """Where the taps look, in a table of pixels with a border of zeros; `n` counts taps.

    A bordered row has W + 2 pixels and an image H + 2 of those, so that every corner of every
    place is a row of the table, and no corner needs a separate test.
    """

    corner: Int[Tensor, "n 4"]  # above left, above right, below left, below right
    down: Float[Tensor, " n"]  # fraction of a pixel below the upper corners
    right: Float[Tensor, " n"]
    modulation: Float[Tensor, " n"]
    moves: Tensor  # bool [n]; False where a small move of the place changes nothing


def find_places(
    offset: Float[Tensor, "B 18 h w"],
    modulation: Float[Tensor, "B 9 h w"],
    shape: torch.Size,
    stride: int,
    *,
    as_image: bool,
) -> Places:
    """Return the taps' places in `bordered(x)`, for an x of `shape`.

    They are ordered as rows of a 3h × 3w image (y, tap row, x, tap column) or, not `as_image`,
    as columns of a matrix product (y, x, tap row, tap column). A place at or beyond the border
    of zeros is drawn back to it. A place that is NaN makes its sample NaN.
    """
    batch, _, height, width = shape
    h, w = offset.shape[2:]
    exact = torch.promote_types(offset.dtype, torch.float32)
    order = (0, 3, 1, 4, 2) if as_image else (0, 3, 4, 1, 2)
    move = offset.to(exact).view(batch, 3, 3, 2, h, w).movedim(3, 0)
    move = move.permute(0, *(axis + 1 for axis in order)).contiguous()
    count = modulation.to(exact).view(batch, 3, 3, h, w).permute(order).contiguous()
    down, across = _grid(h, w, stride, as_image=as_image, like=move)
    y, x = down + move[0], across + move[1]
    moves = (y >= -1) & (y < height) & (x >= -1) & (x < width)
    y, x = y.clamp(-1, height), x.clamp(-1, width)
    top, left = y.floor().clamp(max=height - 1), x.floor().clamp(max=width - 1)
    row = width + 2
    first = top.int() * row + left.int()
    # A NaN has no integer: any pixel will do, since its fraction stays NaN.
    first = first.clamp(-row - 1, (height - 1) * row + width - 1)
    if batch > 1:
        images = torch.arange(batch, device=x.device, dtype=torch.int32)
        first = first + (images * ((height + 2) * row)).view(-1, 1, 1, 1, 1)
    # 0, 1, row, row + 1, and the border before the first pixel; made where x is, nothing is copied.
    steps = torch.arange(4, device=x.device, dtype=torch.int32)
    steps = steps + steps // 2 * (row - 2) + (row + 1)
    return Places(
        corner=(first.unsqueeze(-1) + steps).view(-1, 4),
        down=(y - top).view(-1),
        right=(x - left).view(-1),
        modulation=count.view(-1),
        moves=moves.view(-1),
    )


def add_border(x: Float[Tensor, "B I H W"]) -> Float[Tensor, "R I"]:
    """Return the pixels of a batch as rows of a table, each image inside a border of zeros."""
    return F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).reshape(-1, x.shape[1])


def sample(table: Float[Tensor, "R I"], places: Places) -> Float[Tensor, "n I"]:
    """Return the modulated bilinear samples; sums are made in float32 or better."""
    counts = corner_weights(places)
    if table.is_cuda and torch.compiler.is_compiling():
        # The compiler makes one kernel of this, and of what follows; eagerly it is slow.
        corners = zip(places.corner.unbind(-1), counts.unbind(-1), strict=True)
        parts = [table[row] * count.unsqueeze(-1) for row, count in corners]
        return (parts[0] + parts[1] + parts[2] + parts[3]).to(table.dtype)
    return F.embedding_bag(
        places.corner, table, mode="sum", per_sample_weights=counts.to(table.dtype)
    )


def corner_weights(places: Places) -> Float[Tensor, "n 4"]:
    """Return how much each corner counts: bilinear weight × modulation."""
    below = places.down * places.modulation
    above = places.modulation - below
    below_right, above_right = below * places.right, above * places.right
    parts = (above - above_right, above_right, below - below_right, below_right)
    return torch.stack(parts, -1)


def _grid(h: int, w: int, stride: int, *, as_image: bool, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the taps of a plain convolution look, y and x, broadcastable over the places."""
    tap = torch.arange(-1, 2, device=like.device, dtype=like.dtype)
    top = torch.arange(0, h * stride, stride, device=like.device, dtype=like.dtype)
    left = torch.arange(0, w * stride, stride, device=like.device, dtype=like.dtype)
    if as_image:  # [h, 3, 1, 1] and [w, 3]
        return (top[:, None] + tap)[:, :, None, None], left[:, None] + tap
    return top[:, None, None, None] + tap[:, None], left[:, None, None] + tap
