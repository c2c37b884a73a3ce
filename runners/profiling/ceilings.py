"""What a device can do at most, measured: a product, a convolution and a copy."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from runners.timing.clocks import TIMERS, timer_for
from yolact_bench.results.profile import Ceiling

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the probes are."""

    side: int  # of the square matrices
    map_side: int  # of the convolution's maps of 256 channels
    floats: int  # that are copied

    @classmethod
    def for_device(cls, device: torch.device) -> "Sizes":
        """Return sizes that fill the device for milliseconds, and no cache holds the copy."""
        if device.type == "cuda":
            return cls(side=8192, map_side=276, floats=1 << 28)
        return cls(side=1024, map_side=69, floats=1 << 24)


def measure_ceiling(
    device: torch.device, precision: str, *, seconds: float = 1.0, sizes: Sizes | None = None
) -> Ceiling:
    """Return the best of each probe, each repeated for `seconds`.

    The convolution is there because a CPU's convolutions may come from another library than its
    products, and be twice as fast.
    """
    sizes = sizes or Sizes.for_device(device)
    dtype = _DTYPES[precision]
    side, layout = sizes.map_side, torch.channels_last
    a = torch.randn(sizes.side, sizes.side, device=device).to(dtype)
    maps = torch.randn(1, 256, side, side, device=device).to(dtype, memory_format=layout)
    kernel = torch.randn(256, 256, 3, 3, device=device).to(dtype, memory_format=layout)
    source = torch.ones(sizes.floats, device=device)
    target = torch.empty_like(source)
    with torch.inference_mode():
        product_ms = _best_ms(lambda: a @ a, device, seconds)
        conv_ms = _best_ms(lambda: F.conv2d(maps, kernel, padding=1), device, seconds)
        copy_ms = _best_ms(lambda: target.copy_(source), device, seconds)
    rates = {
        f"a matrix product of side {sizes.side}": 2 * sizes.side**3 / product_ms,
        f"a 3×3 convolution of 256 channels at {side}²": 2 * side**2 * 256**2 * 9 / conv_ms,
    }
    copied = 2 * source.numel() * 4 / copy_ms
    by = max(rates, key=lambda name: rates[name])
    return Ceiling(gflops=rates[by] / 1e6, gflops_by=by, gigabytes_per_second=copied / 1e6)


def _best_ms(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    timer = TIMERS[timer_for(device.type)]
    end = time.perf_counter() + seconds
    times: list[float] = []
    while len(times) < 3 or time.perf_counter() < end:
        times.append(timer(call).ms)
    return min(times)
