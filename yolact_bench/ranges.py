"""The ranges of numbers and lists: of the options of components, of settings and of specs.

Annotations say them, so that one reader refuses what is outside, NaN and infinity included, and
messages and `list components` can name them. Ends are far beyond every use. What takes memory or
time ends where a machine would be full; all else where kernels count, in 32 bits, or where float32
still holds the product of several such numbers.
"""

from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

_MOST_SEEDS, _MOST_PROCESSES = 1000, 1024
LARGEST_SEED = 2**32 - 1  # of NumPy's, Optuna's and PyTorch's generators
# Below it P6 is a single cell. P7's convolution would see nothing but that cell, and PyTorch 2.15
# leaves the other eight taps of its bf16 weight gradient uninitialised on a CPU.
SMALLEST_IMAGE = 65  # px
_LARGEST_IMAGE = 8192  # px; the largest network input in use has about 1,500
_MOST, _SMALLEST, _LARGEST = 1_000_000_000, 1e-9, 1_000_000

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Efficiency: TypeAlias = Annotated[float, Field(ge=_SMALLEST, le=1)]
Share: TypeAlias = Annotated[float, Field(ge=_SMALLEST, le=0.999)]
Positive: TypeAlias = Annotated[float, Field(ge=_SMALLEST, le=_LARGEST)]
NotNegative: TypeAlias = Annotated[float, Field(ge=0, le=_LARGEST)]
AtLeastOne: TypeAlias = Annotated[float, Field(ge=1, le=_LARGEST)]
Count: TypeAlias = Annotated[int, Field(ge=1, le=_MOST)]
CountOrZero: TypeAlias = Annotated[int, Field(ge=0, le=_MOST)]
Seed: TypeAlias = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
# Of single images; a list ends where a session of a day would.
Times: TypeAlias = Annotated[Sequence[Positive], Field(min_length=1, max_length=_LARGEST)]
Seeds: TypeAlias = Annotated[Sequence[Seed], Field(min_length=1, max_length=_MOST_SEEDS)]
NumSeeds: TypeAlias = Annotated[int, Field(ge=1, le=_MOST_SEEDS)]
# Optuna's take 32 bits, of which trials are added to it.
SamplerSeed: TypeAlias = Annotated[int, Field(ge=0, le=2**31 - 1)]
PrunerOption: TypeAlias = Annotated[int, Field(ge=0, le=_LARGEST)] | Literal["auto"]
Trials: TypeAlias = Annotated[int, Field(ge=1, le=100_000)]
Anywhere: TypeAlias = Annotated[float, Field(ge=-_MOST, le=_MOST)]  # whatever the option
Threads: TypeAlias = Annotated[int, Field(ge=1, le=_MOST_PROCESSES)]  # or processes, or devices
Workers: TypeAlias = Annotated[int, Field(ge=0, le=_MOST_PROCESSES)]
Cluster: TypeAlias = Annotated[int, Field(ge=1, le=100_000)]  # devices that a plan is for
Stage: TypeAlias = Annotated[
    int, Field(ge=0, le=9)
]  # of a backbone; from the fifth on ours have none
Channels: TypeAlias = Annotated[int, Field(ge=1, le=16_384)]
ChannelList: TypeAlias = Annotated[Sequence[Channels], Field(max_length=16)]
Cells: TypeAlias = Annotated[int, Field(ge=1, le=256)]  # along a side of a map
Samples: TypeAlias = Annotated[int, Field(ge=1, le=32)]  # along a side of a cell
BatchSize: TypeAlias = Annotated[int, Field(ge=1, le=65_536)]
Images: TypeAlias = Annotated[int, Field(ge=1, le=_LARGEST)]
Boxes: TypeAlias = Annotated[int, Field(ge=1, le=100_000)]  # of an image
ImageSize: TypeAlias = Annotated[int, Field(ge=SMALLEST_IMAGE, le=_LARGEST_IMAGE)]
DrawingSize: TypeAlias = Annotated[int, Field(ge=96, le=_LARGEST_IMAGE)]
ClassNames: TypeAlias = Annotated[Sequence[str], Field(max_length=100_000)]
Milestones: TypeAlias = Annotated[Sequence[CountOrZero], Field(max_length=100)]
