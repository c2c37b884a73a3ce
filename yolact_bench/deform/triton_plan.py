"""How the Triton layer computes a forward pass: by columns, or by the fused kernel, in what tiles.

The choice is a table of sizes, so that no first call is timed and every process chooses alike.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchPlan:
    """One way to compute the layer where no gradient is needed."""

    way: Literal["columns", "fused"]
    rows_block: int = 64  # of the fused kernel, as the next three
    out_block: int = 128
    channels_block: int = 32
    num_warps: int = 8


COLUMNS = LaunchPlan(way="columns")
# Below so many output pixels the columns stay in the 50 MB second-level cache of an H100, and the
# fused kernel has fewer programs than that has multiprocessors.
_MIN_FUSED_ROWS = 8192
# Above, the fused kernel samples every pixel once for each block of outputs.
_MAX_FUSED_CHANNELS = 256


def plan_for(*, rows: int, channels: int, out_channels: int) -> LaunchPlan:
    """Return the plan of a layer with so many output pixels over the batch.

    The bounds are estimates from counted traffic, to be corrected by measurement.
    """
    widest = max(channels, out_channels)
    if rows < _MIN_FUSED_ROWS or widest > _MAX_FUSED_CHANNELS:
        return COLUMNS
    return fused_plan(out_channels)


def fused_plan(out_channels: int) -> LaunchPlan:
    """Return the plan of the fused kernel whose programs hold all outputs, or 256 of them."""
    return LaunchPlan(way="fused", out_block=128 if out_channels <= 128 else 256)
