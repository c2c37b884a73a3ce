"""The head for inference: its three branches as one convolution, also on one map of all levels."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Int32
from torch import Tensor, nn

from yolact_bench.model.head import SharedHead, activate, flat
from yolact_bench.shapes import widen


class MergedHead(nn.Module):
    """`SharedHead` with its three branches as one convolution, a row of all values per anchor.

    With channels last, the convolution's output is the row of each anchor as it lies in memory:
    what remains is to put the levels behind one another, once instead of three times.
    """

    def __init__(self, head: SharedHead) -> None:
        super().__init__()
        self.shared = head.shared
        self.activation = head.activation
        self.widths = (4, head.num_classes + 1, head.k)
        self.merged = merge_branches([head.boxes, head.scores, head.coefficients], self.widths)
        self.row = sum(self.widths)  # outputs of an anchor

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes [B, A, 4], class logits [B, A, C + 1] and coefficients [B, A, k]."""
        return self._branches([self.merged(F.relu(self.shared(level))) for level in levels])

    def _branches(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores, coefficients = self._split(maps)
        # Here, where a compiler can join it to the copies above.
        return widen(boxes), widen(scores), widen(activate(coefficients, self.activation))

    def _split(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        rows = flat(maps, self.row)
        parts = [*self.widths, self.row - sum(self.widths)]
        boxes, scores, coefficients, _ = torch.split(rows, parts, 2)
        return boxes, scores, coefficients


class AtlasHead(MergedHead):
    """`MergedHead` on one map that holds all levels: 2 convolutions instead of 10, for a GPU.

    There the four small levels take as long as they have launches, not multiplications: 69×69 to
    5×5 cells are 6,416, and one map of 69×105 has 7,245. Levels are at least one cell of zeros
    apart, which is the padding that each would have, and the first convolution's outputs are made
    zero again between them. Each anchor's row is a multiple of 8 outputs, so that no kernel pads
    them and rows lie at one distance all over the map.
    """

    def __init__(self, head: SharedHead) -> None:
        super().__init__(head)
        self.merged = _pad_rows(self.merged, self.row, 8)
        self.row += -self.row % 8
        self.leaves_rows = False

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes [B, A, 4], class logits [B, A, C + 1] and coefficients [B, A, k].

        Where it leaves rows, they are those of the whole map, as views of it and in its precision,
        coefficients before their activation. `row_numbers` are the anchors'.
        """
        places, size = atlas_of([(level.shape[2], level.shape[3]) for level in levels])
        # Sums of padded maps, which inductor makes one kernel of. It fails (torch 2.14, on a CPU)
        # on slices that are assigned to before a convolution with frozen weights.
        atlas = sum(_pad_to(level, at, size) for level, at in zip(levels, places, strict=True))
        ones = [level.new_ones((1, 1, *level.shape[2:])) for level in levels]
        inside = sum(_pad_to(one, at, size) for one, at in zip(ones, places, strict=True))
        out = self.merged(F.relu(self.shared(atlas)) * inside)
        if self.leaves_rows:
            return self._split([out])
        return self._branches([out[:, :, rows, columns] for rows, columns in places])

    def row_numbers(self, sizes: Sequence[tuple[int, int]]) -> tuple[Int32[Tensor, " A"], int]:
        """Return which row of the map is each anchor's, for levels of these sizes; and all rows."""
        places, (height, width) = atlas_of(sizes)
        anchors = self.merged.out_channels // self.row
        number = torch.arange(height * width * anchors, dtype=torch.int32)
        cells = number.view(height, width, anchors)
        return torch.cat([cells[place].flatten() for place in places]), len(number)


def atlas_of(sizes: Sequence[tuple[int, int]]) -> tuple[list[tuple[slice, slice]], tuple[int, int]]:
    """Return rows and columns of each map on one map, a cell or more apart, and that map's size.

    It is as high as the first, which is the highest, and each lies as far left as it can.
    """
    height = sizes[0][0]
    assert all(h <= height for h, _ in sizes)
    taken: list[tuple[int, int, int, int]] = []  # top, left, and the ends with a cell more

    def is_free(top: int, left: int, h: int, w: int) -> bool:
        return top + h <= height and not any(
            top < bottom and above < top + h + 1 and left < right and before < left + w + 1
            for above, before, bottom, right in taken
        )

    for h, w in sizes:
        corners = [(0, max((right for *_, right in taken), default=0))]
        for above, before, bottom, right in taken:
            corners += [(above, right), (bottom, before)]
        free = (corner for corner in corners if is_free(*corner, h, w))
        top, left = min(free, key=lambda corner: (corner[1], corner[0]))
        taken.append((top, left, top + h + 1, left + w + 1))
    places = [
        (slice(above, bottom - 1), slice(before, right - 1))
        for above, before, bottom, right in taken
    ]
    return places, (height, max(right for *_, right in taken) - 1)


def _pad_to(level: Tensor, place: tuple[slice, slice], height_width: tuple[int, int]) -> Tensor:
    """Return a map of that size with the level in its place and zeros elsewhere."""
    rows, columns = place
    height, width = height_width
    sides = (columns.start, width - columns.stop, rows.start, height - rows.stop)
    return F.pad(level, sides)


def _pad_rows(layer: nn.Conv2d, row: int, multiple: int) -> nn.Conv2d:
    """Return the convolution with outputs of zeros behind each row of its own, to a multiple."""
    more = -row % multiple
    assert layer.bias is not None
    weight, bias = (x.detach().unflatten(0, (-1, row)) for x in (layer.weight, layer.bias))  # type: ignore[no-untyped-call]
    layer.weight = nn.Parameter(F.pad(weight, (0, 0, 0, 0, 0, 0, 0, more)).flatten(0, 1))
    layer.bias = nn.Parameter(F.pad(bias, (0, more)).flatten())
    layer.out_channels = len(layer.bias)
    return layer


def merge_branches(branches: Sequence[nn.Conv2d], widths: Sequence[int]) -> nn.Conv2d:
    """Return one convolution with all outputs of each anchor together, branch after branch.

    Each branch has `widths` outputs an anchor, anchors one after another.
    """
    first = branches[0]
    anchors = first.out_channels // widths[0]
    merged = nn.Conv2d(
        first.in_channels,
        anchors * sum(widths),
        first.kernel_size,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        device=first.weight.device,
        dtype=first.weight.dtype,
    )
    pairs = list(zip(branches, widths, strict=True))
    weights, biases = [], []
    for branch, width in pairs:
        assert branch.bias is not None
        weights.append(branch.weight.reshape(anchors, width, *branch.weight.shape[1:]))
        biases.append(branch.bias.reshape(anchors, width))
    merged.weight = nn.Parameter(torch.cat(weights, 1).flatten(0, 1).detach())
    merged.bias = nn.Parameter(torch.cat(biases, 1).flatten(0, 1).detach())
    return merged
