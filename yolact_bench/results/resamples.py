"""Metrics on resampled images: their files beside the records, and those of an ablation's runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from yolact_bench.array_file import read_arrays
from yolact_bench.errors import SpecError
from yolact_bench.statistics.matches import IOU_THRESHOLDS, Values

_SAMPLING = "sampling"  # which resamples these are; only equal ones are paired
_REMEDY = "remove it; `yolact-bench run` its spec makes it again"


@dataclass(frozen=True, slots=True)
class Resamples:
    """Detect digest → metric → AP of every resample, as fractions."""

    arrays: Mapping[str, Mapping[str, Values]]
    sampling: Mapping[str, str]  # detect digest → which resamples

    def of(self, detect_digest: str, metric: str) -> Values | None:
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


def ap_columns(kind: str, area: str, ap: Values) -> dict[str, Values]:
    """Return the metrics in AP [R, T] by name: mask_ap, mask_ap50, mask_ap75, or mask_ap_small."""
    if area != "all":
        return {f"{kind}_ap_{area}": ap.mean(axis=1)}
    return {
        f"{kind}_ap": ap.mean(axis=1),
        f"{kind}_ap50": ap[:, IOU_THRESHOLDS.index(0.5)],
        f"{kind}_ap75": ap[:, IOU_THRESHOLDS.index(0.75)],
    }


def save_resamples(path: Path, columns: Mapping[str, Values], *, sampling: str) -> None:
    """Write metrics [R] by name to `path`, with the name of the resamples they were taken on."""
    np.savez_compressed(path, allow_pickle=False, **{_SAMPLING: np.array(sampling)}, **columns)


def read_resamples(path: Path) -> tuple[dict[str, Values], str]:
    """Return the metrics [R] that `save_resamples` left at `path`, and which resamples these are.

    Raises:
        SpecError: no such file, or not one of resamples.
    """
    try:
        columns = read_arrays(path)
        sampling = str(columns.pop(_SAMPLING))
        values = {name: column.astype(np.float64) for name, column in columns.items()}
        if any(v.ndim != 1 or np.isinf(v).any() for v in values.values()):
            raise ValueError("resamples of another shape, or not finite")
    except KeyError as error:
        raise SpecError(f"{path} is damaged: not a file of resamples; {_REMEDY}") from error
    except (ValueError, TypeError) as error:
        raise SpecError(f"{path} is damaged: {error}; {_REMEDY}") from error
    return values, sampling
