"""A 3×3 convolution of a bilinearly doubled image, without making the doubled image."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

_NAMES = ("of_pixels", "of_columns", "of_rows", "of_both")
_SMALLEST = 2  # pixels; the border lines are made from two


class UpsampledConvolution(nn.Module):
    """Doubles an image bilinearly and convolves it, with a quarter of the multiplications.

    Bilinear doubling is: repeat every pixel, then smooth with (1 2 1)/4. Smoothing and convolving
    commute, so the repeated image is convolved and the result smoothed, a few additions a pixel.
    In one dimension a kernel (a b c) on repeated pixels gives, with s = a + b + c,

        even: s·L[i] − a·(L[i] − L[i−1])        odd: s·L[i] + c·(L[i+1] − L[i])

    three products instead of six for two outputs; in two dimensions nine instead of 36 for four,
    all of them 1×1 convolutions at the small size. Only the outermost rows and columns differ,
    where the convolution's zeros meet the border: those are computed as they are defined. Equal
    to the plain order up to rounding, which is no larger in bfloat16 than the plain one's.

    Source: minimal filtering (Winograd, 1980; Lavin & Gray, arXiv:1509.09308) applied to
    sub-pixel convolution (Shi et al., arXiv:1609.05158); this combination is ours.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        assert convolution.kernel_size == (3, 3)
        assert convolution.padding == (1, 1)
        assert convolution.stride == (1, 1)
        assert convolution.bias is not None
        self.plain = convolution
        for name, weight in zip(_NAMES, _products(convolution.weight.detach()), strict=True):
            self.register_buffer(name, weight, persistent=False)
        self.of_pixels: Tensor
        self.of_columns: Tensor
        self.of_rows: Tensor
        self.of_both: Tensor

    def forward(self, x: Float[Tensor, "B I h w"]) -> Float[Tensor, "B O H W"]:
        """Return the convolution of the doubled image: H = 2h, W = 2w."""
        if min(x.shape[2:]) < _SMALLEST:
            plain: Tensor = self.plain(enlarge(x))
            return plain
        inner = _smooth(*self._of_repeated(x))[..., 1:-1, 1:-1]
        left = self._edge(enlarge(x[..., :2])[..., :2], (1, 0, 1, 1))
        right = self._edge(enlarge(x[..., -2:])[..., -2:], (0, 1, 1, 1))
        top = self._edge(enlarge(x[..., :2, :])[..., :2, :], (1, 1, 1, 0))
        bottom = self._edge(enlarge(x[..., -2:, :])[..., -2:, :], (1, 1, 0, 1))
        middle = torch.cat([left[..., 1:-1, :], inner, right[..., 1:-1, :]], 3)
        return torch.cat([top, middle, bottom], 2)

    def _of_repeated(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the convolution of the repeated image: even and odd columns of even, odd rows."""
        wide = F.pad(x, (1, 1, 1, 1), mode="replicate")
        across = wide[:, :, 1:-1, 1:] - wide[:, :, 1:-1, :-1]  # [B, I, h, w + 1]
        down = wide[:, :, 1:] - wide[:, :, :-1]  # [B, I, h + 1, w + 2]
        both = down[..., 1:] - down[..., :-1]  # [B, I, h + 1, w + 1]
        pixel = F.conv2d(x, self.of_pixels, self.plain.bias)
        left, right = F.conv2d(across, self.of_columns).chunk(2, 1)
        up, low = F.conv2d(down[..., 1:-1], self.of_rows).chunk(2, 1)
        left, right = left[..., :-1], right[..., 1:]
        up, low = up[..., :-1, :], low[..., 1:, :]
        up_left, up_right, low_left, low_right = F.conv2d(both, self.of_both).chunk(4, 1)
        return (
            pixel - left - up + up_left[..., :-1, :-1],
            pixel + right - up - up_right[..., :-1, 1:],
            pixel - left + low - low_left[..., 1:, :-1],
            pixel + right + low + low_right[..., 1:, 1:],
        )

    def _edge(self, lines: Tensor, zeros: tuple[int, int, int, int]) -> Tensor:
        """Return the outermost line of outputs, from the two lines of the doubled image there."""
        return F.conv2d(F.pad(lines, zeros), self.plain.weight, self.plain.bias)


def enlarge(x: Float[Tensor, "B I h w"]) -> Float[Tensor, "B I H W"]:
    """Return an image of twice the size, bilinear, half-pixel centres."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def _products(weight: Float[Tensor, "O I 3 3"]) -> tuple[Tensor, ...]:
    """Return the 1×1 kernels for pixels, differences across, differences down, and both."""
    a, _, c = weight.double().unbind(2)  # of the rows of the kernel, each [O, I, 3]
    total = weight.double().sum(2)
    kernels = (
        [total.sum(2)],
        [total[..., 0], total[..., 2]],
        [a.sum(2), c.sum(2)],
        [a[..., 0], a[..., 2], c[..., 0], c[..., 2]],
    )
    return tuple(torch.cat(kernel)[:, :, None, None].to(weight.dtype) for kernel in kernels)


def _smooth(
    even_even: Tensor, even_odd: Tensor, odd_even: Tensor, odd_odd: Tensor
) -> Float[Tensor, "B O H W"]:
    """Return (1 2 1)/4 in both directions over the image whose pixels are given by parity."""
    even_even, even_odd = _smooth_pair(even_even, even_odd, axis=3)
    odd_even, odd_odd = _smooth_pair(odd_even, odd_odd, axis=3)
    even_even, odd_even = _smooth_pair(even_even, odd_even, axis=2)
    even_odd, odd_odd = _smooth_pair(even_odd, odd_odd, axis=2)
    rows = [torch.stack([even_even, even_odd], -1), torch.stack([odd_even, odd_odd], -1)]
    both = torch.stack(rows, 3)  # [B, O, h, 2, w, 2]
    # Channels last in memory, as the inputs are: a compiler makes a view of it, not a copy.
    last = both.permute(0, 2, 3, 4, 5, 1).flatten(3, 4).flatten(1, 2)
    return last.permute(0, 3, 1, 2)


def _smooth_pair(even: Tensor, odd: Tensor, *, axis: int) -> tuple[Tensor, Tensor]:
    """Return the smoothed even and odd lines; beyond the border are zeros."""
    behind = [0, 0] * (even.dim() - axis - 1)
    n = even.shape[axis]
    before = F.pad(odd, [*behind, 1, 0]).narrow(axis, 0, n)
    after = F.pad(even, [*behind, 0, 1]).narrow(axis, 1, n)
    return (before + odd) / 4 + even / 2, (even + after) / 4 + odd / 2
