"""Bootstrap replicates of the runs of an ablation, as far as they have been computed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolact_bench.statistics.resamples import read_resamples


@dataclass(frozen=True, slots=True)
class Resamples:
    """Detect digest → metric → AP of every resample, as fractions."""

    arrays: Mapping[str, Mapping[str, NDArray[np.float64]]]
    sampling: Mapping[str, str]  # detect digest → which resamples; only equal ones are paired

    def of(self, detect_digest: str, metric: str) -> NDArray[np.float64] | None:
        """Return the replicates, if there are any; NaN where an image sample has no objects."""
        return self.arrays.get(detect_digest, {}).get(metric)

    @property
    def replicates(self) -> int:
        """How many resamples a metric has; 0 without any."""
        return max((len(a) for arrays in self.arrays.values() for a in arrays.values()), default=0)


def stored_resamples(folder: Path, detect_digests: Iterable[str]) -> Resamples:
    """Return what is stored in `folder` for these runs.

    Raises:
        SpecError: a file that cannot be read.
    """
    files = {digest: folder / f"{digest}.npz" for digest in detect_digests}
    stored = {digest: read_resamples(file) for digest, file in files.items() if file.exists()}
    return Resamples(
        {digest: columns for digest, (columns, _) in stored.items()},
        {digest: sampling for digest, (_, sampling) in stored.items()},
    )
