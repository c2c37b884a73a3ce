"""The ranges of numbers and lists: of the options of components, of settings and of specs.

Annotations say them, so that one reader refuses what is outside, NaN and infinity included, and
messages and `list components` can name them. Ends are far beyond every use. What takes memory or
time ends where a machine would be full; all else where kernels count, in 32 bits, or where float32
still holds the product of several such numbers.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Le, MaxLen, MinLen  # not pydantic: --help must start at once

_MOST_SEEDS, _MOST_PROCESSES = 1000, 1024
LARGEST_SEED = 2**32 - 1  # of NumPy's, Optuna's and PyTorch's generators
# Below it P6 is a single cell. P7's convolution would see nothing but that cell, and PyTorch 2.15
# leaves the other eight taps of its bf16 weight gradient uninitialised on a CPU.
SMALLEST_IMAGE = 65  # px
_LARGEST_IMAGE = 8192  # px; the largest network input in use has about 1,500
_MOST, _SMALLEST, _LARGEST = 1_000_000_000, 1e-9, 1_000_000

Fraction: TypeAlias = Annotated[float, Ge(0), Le(1)]
Efficiency: TypeAlias = Annotated[float, Ge(_SMALLEST), Le(1)]
Share: TypeAlias = Annotated[float, Ge(_SMALLEST), Le(0.999)]
Positive: TypeAlias = Annotated[float, Ge(_SMALLEST), Le(_LARGEST)]
NotNegative: TypeAlias = Annotated[float, Ge(0), Le(_LARGEST)]
AtLeastOne: TypeAlias = Annotated[float, Ge(1), Le(_LARGEST)]
Count: TypeAlias = Annotated[int, Ge(1), Le(_MOST)]
CountOrZero: TypeAlias = Annotated[int, Ge(0), Le(_MOST)]
Seed: TypeAlias = Annotated[int, Ge(0), Le(LARGEST_SEED)]
# Of single images; a list ends where a session of a day would.
Times: TypeAlias = Annotated[Sequence[Positive], MinLen(1), MaxLen(_LARGEST)]
Seeds: TypeAlias = Annotated[Sequence[Seed], MinLen(1), MaxLen(_MOST_SEEDS)]
NumSeeds: TypeAlias = Annotated[int, Ge(1), Le(_MOST_SEEDS)]
# Optuna's take 32 bits, of which trials are added to it.
SamplerSeed: TypeAlias = Annotated[int, Ge(0), Le(2**31 - 1)]
PrunerOption: TypeAlias = Annotated[int, Ge(0), Le(_LARGEST)] | Literal["auto"]
Trials: TypeAlias = Annotated[int, Ge(1), Le(100_000)]
Anywhere: TypeAlias = Annotated[float, Ge(-_MOST), Le(_MOST)]  # whatever the option
Threads: TypeAlias = Annotated[int, Ge(1), Le(_MOST_PROCESSES)]  # or processes, or devices
Workers: TypeAlias = Annotated[int, Ge(0), Le(_MOST_PROCESSES)]
Cluster: TypeAlias = Annotated[int, Ge(1), Le(100_000)]  # devices that a plan is for
Stage: TypeAlias = Annotated[int, Ge(0), Le(9)]  # of a backbone; from the fifth on ours have none
Channels: TypeAlias = Annotated[int, Ge(1), Le(16_384)]
ChannelList: TypeAlias = Annotated[Sequence[Channels], MaxLen(16)]
Cells: TypeAlias = Annotated[int, Ge(1), Le(256)]  # along a side of a map
Samples: TypeAlias = Annotated[int, Ge(1), Le(32)]  # along a side of a cell
BatchSize: TypeAlias = Annotated[int, Ge(1), Le(65_536)]
Images: TypeAlias = Annotated[int, Ge(1), Le(_LARGEST)]
Boxes: TypeAlias = Annotated[int, Ge(1), Le(100_000)]  # of an image
ImageSize: TypeAlias = Annotated[int, Ge(SMALLEST_IMAGE), Le(_LARGEST_IMAGE)]
DrawingSize: TypeAlias = Annotated[int, Ge(96), Le(_LARGEST_IMAGE)]
ClassNames: TypeAlias = Annotated[Sequence[str], MaxLen(100_000)]
Milestones: TypeAlias = Annotated[Sequence[CountOrZero], MaxLen(100)]
