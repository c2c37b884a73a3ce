"""The sample quantile that records, tables and commands share."""

from collections.abc import Sequence


def quantile(samples: Sequence[float], fraction: float) -> float:
    """The sample quantile, linearly interpolated from the lower neighbour up."""
    ordered = sorted(samples)
    place = fraction * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
