"""Metrics on resampled images, as they lie on disk beside the records they belong to."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from yolact_bench.errors import SpecError
from yolact_bench.statistics.matches import IOU_THRESHOLDS

Values = NDArray[np.float64]

_SAMPLING = "sampling"  # which resamples these are; only equal ones are paired
_REMEDY = "delete it; `yolact-bench run` its spec makes it again"


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

    NaN in resamples in which there was nothing to find. Only equal resamples are paired.

    Raises:
        SpecError: no such file, or not one of resamples.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            columns = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise SpecError(f"{path}: no readable resamples ({error}); {_REMEDY}") from error
    if _SAMPLING not in columns:
        raise SpecError(f"{path}: not a file of resamples; {_REMEDY}")
    sampling = str(columns.pop(_SAMPLING))
    return {name: values.astype(np.float64) for name, values in columns.items()}, sampling
