"""A 3×3 convolution with 16 multiplications for every 36 of the plain one, on a CPU."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from yolact_bench.model.inference.upsampled_convolution import UpsampledConvolution
from yolact_bench.shapes import HALVES

# What F(2×2, 3×3) makes of a kernel, in each direction: 3 weights → 4 factors.
_KERNEL = ((1.0, 0.0, 0.0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0.0, 0.0, 1.0))
# Fewer tiles than this in an image cost more to take apart than their products do.
_FEWEST_TILES = 64
_FEWEST_CHANNELS = 64
_MANY = 512
_PIECE_GROUPED, _PIECE_BATCHED = 128, 352


class MinimalConvolution(nn.Module):
    """A 3×3 convolution by minimal filtering F(2×2, 3×3): a tile of 4×4 inputs, 2×2 outputs.

    Inputs are taken apart into 16 images of a quarter of the size, each is multiplied with a
    matrix of its own, and sums of the products are the outputs. What is added before and after
    is moved, not multiplied, and a compiler fuses it. In float32 rounding stays that of the plain
    order (1e-6 of the largest value); in bfloat16 it is about twice as large.

    Source: Winograd (1980); Lavin & Gray (arXiv:1509.09308), section 4.1.
    """

    def __init__(self, convolution: nn.Conv2d, *, grouped: bool) -> None:
        """Make it of a plain one, whose products are a convolution's groups or a batch's."""
        super().__init__()
        assert takes(convolution)
        self.plain, self.grouped = convolution, grouped
        factors = _factors(convolution.weight.detach())
        self.pieces = nn.ModuleList(
            _Products(piece, grouped=grouped)
            for piece in torch.split(factors, _piece(factors.shape[2], grouped=grouped), 2)
        )

    def forward(self, x: Float[Tensor, "B I H W"]) -> Float[Tensor, "B O H W"]:
        """Return the convolution, padded by one; small images are convolved plainly."""
        rows, columns = (x.shape[2] + 1) // 2, (x.shape[3] + 1) // 2
        if rows * columns < _FEWEST_TILES:
            plain: Tensor = self.plain(x)
            return plain
        images = _split_tiles(x, rows, columns)
        if self.grouped:
            joined = torch.cat(images, -1).permute(0, 3, 1, 2)
        else:
            joined = torch.stack([image.flatten(0, 2) for image in images])
        out = torch.cat([_join_tiles(piece(joined, rows, columns)) for piece in self.pieces], -1)
        if self.plain.bias is not None:
            out = out + self.plain.bias
        return out[:, : x.shape[2], : x.shape[3]].permute(0, 3, 1, 2)


class _Products(nn.Module):
    """The 16 products for some of the outputs."""

    def __init__(self, factors: Float[Tensor, "16 I O"], *, grouped: bool) -> None:
        super().__init__()
        self.grouped = grouped
        if grouped:
            factors = factors.transpose(1, 2).flatten(0, 1)[:, :, None, None]
        # Its own memory: a view of another tensor cannot change its precision for a compiler.
        own = factors.clone(memory_format=torch.contiguous_format)
        self.register_buffer("factors", own, persistent=False)
        self.factors: Tensor

    def forward(self, joined: Tensor, rows: int, columns: int) -> tuple[Tensor, ...]:
        """Return 16 times [B, rows, columns, O]."""
        if self.grouped:
            products = F.conv2d(joined, self.factors, groups=16).permute(0, 2, 3, 1)
            return products.chunk(16, -1)
        products = torch.bmm(joined, self.factors)
        return products.view(16, -1, rows, columns, products.shape[2]).unbind(0)


def _piece(outputs: int, *, grouped: bool) -> int:
    """Return how many outputs are made at once.

    All the products of many would be a buffer so large that the C library takes it from the
    system anew at each call, and the pages cost more than the multiplications saved.
    """
    return outputs if outputs <= _MANY else _PIECE_GROUPED if grouped else _PIECE_BATCHED


def takes(convolution: nn.Conv2d) -> bool:
    """Return whether a convolution is one that minimal filtering is written for."""
    return (
        convolution.kernel_size == (3, 3)
        and convolution.stride == (1, 1)
        and convolution.padding == (1, 1)
        and convolution.dilation == (1, 1)
        and convolution.groups == 1
    )


def reduce_products(module: nn.Module, dtype: torch.dtype) -> nn.Module:
    """Replace in place the convolutions that are faster with fewer products, on a CPU in `dtype`.

    In float32 those with 64 inputs or more and no fewer outputs; in halves those with twice as many
    outputs, such as the merged head's, for the others' products are too cheap to save, and none
    where the processor multiplies tiles of halves in hardware (AMX).
    """
    halves = dtype in HALVES
    if halves and torch.cpu.get_capabilities().get("amx_tile", False):
        return module
    for owner in list(module.modules()):
        if isinstance(owner, MinimalConvolution | UpsampledConvolution):
            continue  # they read the convolution's weight, and do not call it
        for name, part in list(owner.named_children()):
            if type(part) is nn.Conv2d and takes(part) and _pays(part, halves=halves):
                # In float32 the libraries' product of many matrices is the slower one.
                setattr(owner, name, MinimalConvolution(part, grouped=not halves))
    return module


def _pays(convolution: nn.Conv2d, *, halves: bool) -> bool:
    inputs = convolution.in_channels
    fewest_outputs = 2 * inputs if halves else inputs
    return inputs >= _FEWEST_CHANNELS and convolution.out_channels >= fewest_outputs


def _factors(weight: Float[Tensor, "O I 3 3"]) -> Float[Tensor, "16 I O"]:
    """Return the kernel's matrix for each of the 16 images, rounded once."""
    kernel = torch.tensor(_KERNEL, dtype=torch.float64, device=weight.device)
    factors = torch.einsum("ar, oirs, bs -> abio", kernel, weight.double(), kernel)
    return factors.flatten(0, 1).to(weight.dtype)


def _split_tiles(x: Tensor, rows: int, columns: int) -> list[Tensor]:
    """Return the 16 images [B, rows, columns, I], row by row of a tile."""
    bottom, right = 2 * rows + 1 - x.shape[2], 2 * columns + 1 - x.shape[3]
    wide = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, right, 1, bottom))
    down, across = 2 * rows - 1, 2 * columns - 1
    pixels = [[wide[:, i : i + down : 2, j : j + across : 2] for j in range(4)] for i in range(4)]
    lines = [_differences(line) for line in pixels]
    stood = [_differences([line[j] for line in lines]) for j in range(4)]
    return [stood[j][i] for i in range(4) for j in range(4)]


def _differences(d: Sequence[Tensor]) -> list[Tensor]:
    return [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]]


def _join_tiles(products: Sequence[Tensor]) -> Tensor:
    """Return the outputs [B, 2·rows, 2·columns, O] of the 16 products."""
    lines = [_sums(products[4 * i : 4 * i + 4]) for i in range(4)]
    left, right = (_sums([line[j] for line in lines]) for j in range(2))
    pairs = [torch.stack([a, b], 3) for a, b in zip(left, right, strict=True)]
    return torch.stack(pairs, 2).flatten(3, 4).flatten(1, 2)


def _sums(m: Sequence[Tensor]) -> list[Tensor]:
    return [m[0] + m[1] + m[2], m[1] - m[2] - m[3]]
